// A reply, written onto a sequence a step at a time.
#pragma once

#include "engine/allowed_tokens.h"
#include "engine/sampler.h"
#include "engine/sequence.h"
#include "text/reply_parser.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace abyssal {

struct GenerationOptions {
  bool ignore_eos = false;
  std::uint64_t max_tokens = 0; // 0: no limit but the context
  SamplingOptions sampling;
  std::vector<std::int32_t> stop_tokens;
  std::vector<std::uint32_t> mask; // as set_mask takes it, or empty
  std::optional<ConstraintKind> constraint_kind;
  std::string constraint;
  bool plain = false;
  std::uint32_t chunk = 0;                  // 0: the plan's
  std::chrono::microseconds write_ahead{0}; // how long a step may go on to draw what the next ones give
};

struct GenerationEvent {
  aby_event_kind kind = ABY_EVENT_PROMPT;
  std::int32_t token = -1;
  aby_text_kind text_kind = ABY_TEXT_CONTENT;
  aby_finish_reason finish_reason = ABY_FINISH_NONE;
  std::uint64_t prompt_done = 0, prompt_total = 0, completion_tokens = 0, reasoning_tokens = 0;
};

class Generation {
public:
  // Throws STATE if there is neither a prompt nor a sequence with logits of its last token, and for a constraint
  // without a tokenizer; INVALID_ARGUMENT for a constraint that does not compile.
  Generation(std::shared_ptr<Sequence> sequence, std::span<const std::int32_t> prompt, GenerationOptions options);
  ~Generation();
  Generation(const Generation &) = delete;
  Generation &operator=(const Generation &) = delete;

  // The text of the event is in text(), until the next step. Throws BUSY if another thread is stepping.
  GenerationEvent step();
  const std::string &text() const noexcept { return text_; }
  // The ids that the next draws may take; empty: all. Throws INVALID_ARGUMENT if there is none, and BUSY as step does.
  void set_mask(std::vector<std::uint32_t> words);
  const LoadedModel &model() const noexcept { return *sequence_->model(); }
  void cancel() noexcept {
    cancelled_.store(true, std::memory_order_relaxed);
    allowed_.cancel();
  }

private:
  // What a draw changes, but for the sequence.
  struct Drawn {
    std::optional<ReplyParser> parser;   // none without a tokenizer
    std::optional<std::int32_t> pending; // not evaluated yet
    std::optional<aby_finish_reason> finished;
    std::uint64_t completion_tokens = 0, reasoning_tokens = 0;
    aby_text_kind text_kind = ABY_TEXT_CONTENT;
  };
  // A step that was done before it was asked for, and what it left.
  struct Ahead {
    GenerationEvent event;
    std::string text;
    Drawn drawn;
    std::uint64_t random_numbers;
    std::size_t length; // of the sequence
  };

  std::unique_lock<std::mutex> own(); // throws BUSY
  GenerationEvent do_step();
  void write_ahead(const GenerationEvent &first, std::chrono::steady_clock::time_point begin);
  void keep(const GenerationEvent &event);
  GenerationEvent give_kept();
  void take_back(); // to what was given
  void go_back_to(const Ahead &step);
  GenerationEvent event(aby_event_kind kind) const noexcept;
  GenerationEvent evaluate_prompt();
  GenerationEvent draw();
  GenerationEvent end(aby_finish_reason reason);
  bool ends(std::int32_t token) const noexcept;
  bool context_full();
  bool reasoning() const noexcept { return drawn_.parser && drawn_.parser->reasoning(); }
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
  std::size_t prompt_done_ = 0;
  Drawn drawn_;
  std::string text_;
  std::deque<Ahead> ahead_; // the first one is given; none: nothing is ahead
};

} // namespace abyssal
