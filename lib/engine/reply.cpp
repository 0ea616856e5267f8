#include "engine/reply.h"

#include <algorithm>

namespace abyssal {

namespace {

constexpr std::size_t kTailTokens = 64; // of what is before, that can open a <think>

} // namespace

Reply::Reply(ReplyModel model, ReplyOptions options, std::span<const std::int32_t> before)
    : model_(std::move(model)), options_(std::move(options)), sampler_(options_.sampling),
      allowed_(model_.vocab_size, model_.eos_token_ids, options_.constraint ? options_.constraint->begin() : nullptr) {
  allowed_.set(std::move(options_.mask));
  if (!model_.tokenizer)
    return;
  std::string tail; // a model may have rows for ids that its vocabulary lacks: their bytes are empty
  for (const std::int32_t token : before.last(std::min(before.size(), kTailTokens)))
    tail += model_.tokenizer->token_bytes(token);
  parser_.emplace(tail, options_.plain);
  text_kind_ = parser_->reasoning() ? ABY_TEXT_REASONING : ABY_TEXT_CONTENT;
  if (allowed_.constrained() && !parser_->reasoning())
    parser_->keep_content();
}

GenerationEvent Reply::event(aby_event_kind kind) const noexcept {
  GenerationEvent event;
  event.kind = kind;
  event.text_kind = text_kind_;
  event.completion_tokens = completion_tokens_;
  event.reasoning_tokens = reasoning_tokens_;
  return event;
}

std::optional<aby_finish_reason> Reply::complete() {
  if (allowed_.constrained() && !reasoning() && allowed_.complete())
    return ABY_FINISH_STOP;
  if (completion_tokens_ >= options_.max_tokens)
    return ABY_FINISH_LENGTH;
  return std::nullopt;
}

// A constraint admits an end-of-sequence token only where it may end, and then that is its end.
bool Reply::ends(std::int32_t token) const noexcept {
  return (allowed_.is_end(token) && (!options_.ignore_eos || allowed_.constrained())) ||
         std::find(options_.stop_tokens.begin(), options_.stop_tokens.end(), token) != options_.stop_tokens.end();
}

// A token that ends the reasoning must leave the content to the constraint.
std::int32_t Reply::draw(std::span<const float> logits) {
  const bool guarded = allowed_.constrained() && reasoning();
  TokenMask mask = allowed_.next(reasoning());
  for (;;) {
    const std::int32_t token = sampler_.draw(logits, mask);
    if (!guarded || !parser_->begins_content(model_.tokenizer->token_bytes(token)))
      return token;
    mask = allowed_.without(token);
  }
}

GenerationEvent Reply::accept(std::span<const float> logits) {
  text_.clear();
  const std::int32_t token = draw(logits);
  const bool last = ends(token);
  if (!last && !reasoning())
    allowed_.take(token);
  ++completion_tokens_;
  if (!last)
    take_text(token);
  GenerationEvent made = last ? end(ABY_FINISH_STOP) : event(ABY_EVENT_TOKEN);
  made.token = token;
  if (options_.logprobs)
    made.logprob = log_probability(logits, token);
  return made;
}

void Reply::take_text(std::int32_t token) {
  if (!parser_)
    return;
  const bool before = parser_->reasoning();
  ReplyPiece piece = parser_->push(model_.tokenizer->token_bytes(token));
  if (before || parser_->reasoning())
    ++reasoning_tokens_;
  if (before && !parser_->reasoning() && allowed_.constrained())
    parser_->keep_content();
  take_piece(std::move(piece));
}

void Reply::take_piece(ReplyPiece piece) {
  text_kind_ = piece.kind == TextKind::kReasoning ? ABY_TEXT_REASONING : ABY_TEXT_CONTENT;
  text_ = std::move(piece.text);
}

GenerationEvent Reply::end(aby_finish_reason reason) {
  text_.clear();
  if (parser_)
    take_piece(parser_->finish());
  GenerationEvent made = event(ABY_EVENT_END);
  made.finish_reason = reason;
  return made;
}

} // namespace abyssal
