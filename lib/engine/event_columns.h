// The events of a step, in columns as aby_events has them.
#pragma once

#include <abyssal/abyssal.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace abyssal {

struct GenerationEvent {
  aby_event_kind kind = ABY_EVENT_PROMPT;
  std::int32_t token = -1;
  float logprob = std::numeric_limits<float>::quiet_NaN(); // none
  aby_text_kind text_kind = ABY_TEXT_CONTENT;
  aby_finish_reason finish_reason = ABY_FINISH_NONE;
  std::uint64_t prompt_tokens = 0, prompt_total = 0, completion_tokens = 0, reasoning_tokens = 0;
};

class EventColumns {
public:
  void clear() noexcept;
  void add(const GenerationEvent &event, std::string_view text); // or throws, and nothing is added
  // The struct_size is the caller's matter.
  aby_events view() const noexcept;

private:
  std::vector<aby_event_kind> kind_;
  std::vector<std::int32_t> token_;
  std::vector<float> logprob_;
  std::vector<aby_text_kind> text_kind_;
  std::vector<std::uint64_t> text_begin_ = {0}; // [n + 1]
  std::string text_;
  std::vector<aby_finish_reason> finish_reason_;
  std::vector<std::uint64_t> prompt_tokens_, prompt_total_, completion_tokens_, reasoning_tokens_;
};

} // namespace abyssal
