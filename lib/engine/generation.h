// A reply, written onto a sequence a step at a time.
#pragma once

#include "engine/allowed_tokens.h"
#include "engine/event_columns.h"
#include "engine/sampler.h"
#include "engine/sequence.h"
#include "text/reply_parser.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace abyssal {

struct GenerationOptions {
  bool ignore_eos = false;
  std::uint64_t max_tokens = ABY_NO_LIMIT;
  SamplingOptions sampling;
  bool logprobs = false;
  std::vector<std::int32_t> stop_tokens;
  std::vector<std::uint32_t> mask;                      // as set_mask takes it, or empty
  std::shared_ptr<const CompiledConstraint> constraint; // null for none
  bool plain = false;
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
  std::uint64_t seed() const noexcept { return sampler_.seed(); }
  // The ids that the next draws may take; empty: all. Throws INVALID_ARGUMENT if there is none, and BUSY as step does.
  void set_mask(std::vector<std::uint32_t> words);
  const LoadedModel &model() const noexcept { return *sequence_->model(); }
  void cancel() noexcept {
    cancelled_.store(true, std::memory_order_relaxed);
    allowed_.cancel();
  }

private:
  std::unique_lock<std::mutex> own(); // throws BUSY
  void add_event();
  GenerationEvent do_step(); // with its text in text_; on an error all is as before
  GenerationEvent event(aby_event_kind kind) const noexcept;
  GenerationEvent evaluate_prompt();
  GenerationEvent draw();
  GenerationEvent end(aby_finish_reason reason);
  void free_sequence() noexcept;
  bool ends(std::int32_t token) const noexcept;
  bool context_full() const noexcept;
  bool reasoning() const noexcept { return parser_ && parser_->reasoning(); }
  std::span<const float> last_logits();
  std::int32_t drawn_token();
  void take_text(std::int32_t token);
  bool evaluate_tokens(std::span<const std::int32_t> tokens, bool logits); // false: cancelled
  // Whether body went through; false: it was cancelled with the reply.
  template <typename Body> bool completed(Body &&body);

  std::shared_ptr<Sequence> sequence_;
  std::vector<std::int32_t> prompt_;
  GenerationOptions options_;
  Sampler sampler_;
  AllowedTokens allowed_;
  std::mutex mutex_;
  std::atomic<bool> cancelled_{false};
  std::uint64_t epoch_;
  std::uint64_t begin_ = 0; // tokens of the sequence before the prompt
  std::size_t prompt_done_ = 0;
  std::uint64_t evaluated_ = 0; // of the tokens drawn
  aby_event_kind last_kind_ = ABY_EVENT_PROMPT;
  std::optional<ReplyParser> parser_;   // none without a tokenizer
  std::optional<std::int32_t> pending_; // the token drawn last, while it is not evaluated
  std::optional<aby_finish_reason> finished_;
  std::uint64_t completion_tokens_ = 0, reasoning_tokens_ = 0;
  aby_text_kind text_kind_ = ABY_TEXT_CONTENT;
  std::string text_;                    // of the step that was done last
  std::optional<GenerationEvent> made_; // its event, until it is among the events
  EventColumns events_;
};

} // namespace abyssal
