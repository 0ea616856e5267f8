// A reply as it is drawn, from logits to events: sampling, masks and constraints, and telling reasoning from content.
// It knows no device and no sequence, and takes no lock.
#pragma once

#include "engine/allowed_tokens.h"
#include "engine/event_columns.h"
#include "engine/sampler.h"
#include "text/reply_parser.h"
#include "text/tokenizer.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace abyssal {

struct ReplyOptions {
  bool ignore_eos = false;
  std::uint64_t max_tokens = ABY_NO_LIMIT;
  SamplingOptions sampling;
  bool logprobs = false;
  std::vector<std::int32_t> stop_tokens;
  std::vector<std::uint32_t> mask;                      // as set_mask takes it, or empty
  std::shared_ptr<const CompiledConstraint> constraint; // null for none
  bool plain = false;                                   // reasoning is not told from content
};

// What replies of one model share.
struct ReplyModel {
  std::size_t vocab_size = 0;
  std::vector<std::int32_t> eos_token_ids;
  std::shared_ptr<const Tokenizer> tokenizer; // null: events have no text
};

class Reply {
public:
  // before: the tokens that the reply follows, of which the last ones tell whether it begins with reasoning. Throws
  // INVALID_ARGUMENT for a mask without a token.
  Reply(ReplyModel model, ReplyOptions options, std::span<const std::int32_t> before);

  bool constrained() const noexcept { return allowed_.constrained(); }
  // Why no further token is drawn, if so: the constraint has all that it can have, or max_tokens were drawn. Throws
  // CANCELLED after cancel.
  std::optional<aby_finish_reason> complete();
  // Draws from the logits of the token before: a TOKEN, or the END that an end-of-sequence or stop token makes. Throws
  // STATE where no token is left, CANCELLED after cancel; nothing is drawn then.
  GenerationEvent accept(std::span<const float> logits);
  // The END for another reason, with the text that is left.
  GenerationEvent end(aby_finish_reason reason);
  // An event without a token, with the counts so far.
  GenerationEvent event(aby_event_kind kind) const noexcept;
  // Of the event made last; valid until the next.
  std::string_view text() const noexcept { return text_; }

  // The ids that the next draws may take; empty: all. Throws INVALID_ARGUMENT if there is none.
  void set_mask(std::vector<std::uint32_t> words) { allowed_.set(std::move(words)); }
  // Interrupts the constraint's work, for good. From any thread.
  void cancel() noexcept { allowed_.cancel(); }
  std::uint64_t seed() const noexcept { return sampler_.seed(); }

private:
  bool reasoning() const noexcept { return parser_ && parser_->reasoning(); }
  bool ends(std::int32_t token) const noexcept;
  std::int32_t draw(std::span<const float> logits);
  void take_text(std::int32_t token);
  void take_piece(ReplyPiece piece);

  ReplyModel model_;
  ReplyOptions options_;
  Sampler sampler_;
  AllowedTokens allowed_;
  std::optional<ReplyParser> parser_; // none without a tokenizer
  std::uint64_t completion_tokens_ = 0, reasoning_tokens_ = 0;
  aby_text_kind text_kind_ = ABY_TEXT_CONTENT;
  std::string text_;
};

} // namespace abyssal
