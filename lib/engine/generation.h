// A reply that is written onto a sequence, a step at a time: evaluates what the reply has drawn.
#pragma once

#include "engine/event_columns.h"
#include "engine/reply.h"
#include "engine/sequence.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

namespace abyssal {

struct GenerationOptions {
  ReplyOptions reply;
  std::uint32_t chunk = 0; // 0: the plan's
};

class Generation {
public:
  // Throws STATE if there is neither a prompt nor a sequence with logits of its last token or with one left to be
  // evaluated, CONTEXT_FULL for a prompt that never fits, and BUSY if another reply is being written onto the sequence.
  Generation(std::shared_ptr<Sequence> sequence, std::span<const std::int32_t> prompt, GenerationOptions options);
  ~Generation();
  Generation(const Generation &) = delete;
  Generation &operator=(const Generation &) = delete;

  // One event, and after a token that was evaluated further ones while all of it takes no longer than `time`. Valid
  // until the next step. Throws BUSY if another thread is stepping.
  const EventColumns &step(std::chrono::microseconds time);
  std::uint64_t seed() const noexcept { return reply_.seed(); }
  // The ids that the next draws may take; empty: all. Throws INVALID_ARGUMENT if there is none, and BUSY as step does.
  void set_mask(std::vector<std::uint32_t> words);
  const LoadedModel &model() const noexcept { return *sequence_->model(); }
  void cancel() noexcept {
    cancelled_.store(true, std::memory_order_relaxed);
    reply_.cancel();
  }

private:
  // An event, with its text, which is valid until the next.
  struct Made {
    GenerationEvent event;
    std::string_view text;
  };

  std::unique_lock<std::mutex> own(); // throws BUSY
  void add_event();
  Made next_event(); // on an error all is as before
  GenerationEvent with_prompt(GenerationEvent event) const noexcept;
  GenerationEvent evaluate_prompt();
  Made draw();
  Made end(aby_finish_reason reason);
  void free_sequence() noexcept;
  bool context_full() const noexcept;
  std::span<const float> last_logits();
  void evaluate_tokens(std::span<const std::int32_t> tokens, bool logits);

  std::shared_ptr<Sequence> sequence_;
  std::vector<std::int32_t> prompt_;
  std::uint32_t chunk_;
  std::uint64_t begin_ = 0; // tokens of the sequence before the prompt
  Reply reply_;
  std::mutex mutex_;
  std::atomic<bool> cancelled_{false};
  std::uint64_t epoch_;
  std::size_t prompt_done_ = 0;
  std::uint64_t evaluated_ = 0; // of the tokens drawn
  aby_event_kind last_kind_ = ABY_EVENT_PROMPT;
  std::optional<std::int32_t> pending_; // the token drawn last, while it is not evaluated
  std::optional<aby_finish_reason> finished_;
  std::optional<Made> made_; // until it is among the events
  EventColumns events_;
};

} // namespace abyssal
