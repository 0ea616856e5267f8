#include "engine/generation.h"

#include "base/status.h"

#include <algorithm>

namespace abyssal {

namespace {

constexpr std::size_t kTailTokens = 64; // of the prompt, that can open a <think>

AllowedTokens allowed_tokens(LoadedModel &model, const GenerationOptions &options) {
  std::unique_ptr<Constraint> constraint;
  if (options.constraint_kind)
    constraint = model.constraints().compile(*options.constraint_kind, options.constraint);
  return {static_cast<std::size_t>(model.config().vocab_size), model.config().eos_token_ids, std::move(constraint)};
}

} // namespace

Generation::Generation(std::shared_ptr<Sequence> sequence, std::span<const std::int32_t> prompt,
                       GenerationOptions options)
    : sequence_(std::move(sequence)), prompt_(prompt.begin(), prompt.end()), options_(std::move(options)),
      sampler_(options_.sampling), allowed_(allowed_tokens(*sequence_->model(), options_)),
      epoch_(sequence_->model()->epoch()) {
  const LoadedModel &model = *sequence_->model();
  allowed_.set(std::move(options_.mask));
  for (std::size_t i = 0; i < prompt_.size(); ++i) {
    if (prompt_[i] < 0 || prompt_[i] >= model.config().vocab_size)
      fail(ABY_ERROR_INVALID_ARGUMENT, "prompt token ", prompt_[i], " at index ", i, " is outside the vocabulary of ",
           model.config().vocab_size);
  }
  std::vector<std::int32_t> all = sequence_->tokens();
  if (prompt_.empty()) {
    if (all.empty())
      fail(ABY_ERROR_STATE, "there is no prompt, and the sequence is empty");
    static_cast<void>(sequence_->output(ABY_OUTPUT_LOGITS, 0)); // throws STATE if there are none
  }
  if (const auto &tokenizer = model.text().tokenizer) {
    all.insert(all.end(), prompt_.begin(), prompt_.end());
    std::string tail; // a model may have rows for ids that its vocabulary lacks: their bytes are empty
    for (std::size_t i = all.size() - std::min(all.size(), kTailTokens); i < all.size(); ++i)
      tail += tokenizer->token_bytes(all[i]);
    parser_.emplace(tail, options_.plain);
    text_kind_ = parser_->reasoning() ? ABY_TEXT_REASONING : ABY_TEXT_CONTENT;
    if (allowed_.constrained() && !parser_->reasoning())
      parser_->keep_content();
  }
}

GenerationEvent Generation::event(aby_event_kind kind) const noexcept {
  GenerationEvent result;
  result.kind = kind;
  result.text_kind = text_kind_;
  result.prompt_done = prompt_done_;
  result.prompt_total = prompt_.size();
  result.completion_tokens = completion_tokens_;
  result.reasoning_tokens = reasoning_tokens_;
  return result;
}

std::unique_lock<std::mutex> Generation::own() {
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock())
    fail(ABY_ERROR_BUSY, "another thread is inside a step of this reply");
  return lock;
}

void Generation::set_mask(std::vector<std::uint32_t> words) {
  const auto lock = own();
  allowed_.set(std::move(words));
}

GenerationEvent Generation::step() {
  const auto lock = own();
  text_.clear();
  if (finished_)
    return end(*finished_);
  if (cancelled_.load(std::memory_order_relaxed))
    return end(ABY_FINISH_CANCELLED);
  if (sequence_->model()->epoch() != epoch_)
    fail(ABY_ERROR_STATE, "the model's weights were replaced during the reply");
  if (prompt_done_ < prompt_.size())
    return evaluate_prompt();
  return draw();
}

template <typename Body> bool Generation::completed(Body &&body) {
  try {
    body();
  } catch (const Error &error) {
    if (error.status() != ABY_ERROR_CANCELLED || !cancelled_.load(std::memory_order_relaxed))
      throw;
    return false;
  }
  return true;
}

bool Generation::evaluate_tokens(std::span<const std::int32_t> tokens, bool logits) {
  const EvalItem item{sequence_.get(), tokens, &cancelled_};
  EvalOptions options;
  options.logits = logits ? 1 : 0;
  options.chunk = options_.chunk;
  return completed([&] { evaluate({&item, 1}, options); });
}

GenerationEvent Generation::evaluate_prompt() {
  const std::size_t chunk = options_.chunk != 0 ? options_.chunk : sequence_->model()->plan().chunk;
  const std::size_t count = std::min(chunk, prompt_.size() - prompt_done_);
  if (!evaluate_tokens(std::span<const std::int32_t>(prompt_).subspan(prompt_done_, count),
                       prompt_done_ + count == prompt_.size()))
    return end(ABY_FINISH_CANCELLED);
  prompt_done_ += count;
  return event(ABY_EVENT_PROMPT);
}

bool Generation::context_full() {
  return sequence_->length() >= static_cast<std::size_t>(sequence_->model()->config().max_position_embeddings);
}

// A constraint admits an end-of-sequence token only where it may end, and then that is its end.
bool Generation::ends(std::int32_t token) const noexcept {
  return (allowed_.is_end(token) && (!options_.ignore_eos || allowed_.constrained())) ||
         std::find(options_.stop_tokens.begin(), options_.stop_tokens.end(), token) != options_.stop_tokens.end();
}

// A token that ends the reasoning must leave the content to the constraint.
std::int32_t Generation::drawn_token() {
  const OutputArray logits = sequence_->output(ABY_OUTPUT_LOGITS, 0);
  const auto vocab = static_cast<std::size_t>(logits.shape[1]);
  const auto *last = static_cast<const float *>(logits.data) + static_cast<std::size_t>(logits.shape[0] - 1) * vocab;
  const bool guarded = allowed_.constrained() && reasoning();
  TokenMask mask = allowed_.next(reasoning());
  for (;;) {
    const std::int32_t token = sampler_.draw({last, vocab}, mask);
    if (!guarded || !parser_->begins_content(sequence_->model()->text().tokenizer->token_bytes(token)))
      return token;
    mask = allowed_.without(token);
  }
}

// A drawn token is evaluated only when the next one is wanted: the last of a reply never is.
GenerationEvent Generation::draw() {
  Profile &profile = sequence_->model()->profile();
  bool complete = false;
  if (allowed_.constrained() && !reasoning() &&
      !completed([&] { complete = profile.timed(Part::kSampling, [&] { return allowed_.complete(); }); }))
    return end(ABY_FINISH_CANCELLED);
  if (complete)
    return end(ABY_FINISH_STOP);
  if (options_.max_tokens != 0 && completion_tokens_ >= options_.max_tokens)
    return end(ABY_FINISH_LENGTH);
  if (pending_) {
    if (context_full())
      return end(ABY_FINISH_LENGTH);
    try {
      if (!evaluate_tokens({&*pending_, 1}, true))
        return end(ABY_FINISH_CANCELLED);
    } catch (const Error &error) {
      if (error.status() != ABY_ERROR_CONTEXT_FULL)
        throw;
      return end(ABY_FINISH_LENGTH);
    }
    pending_.reset();
  }
  const std::int32_t token = profile.timed(Part::kSampling, [&] { return drawn_token(); });
  if (ends(token)) {
    ++completion_tokens_;
    GenerationEvent result = end(ABY_FINISH_STOP);
    result.token = token;
    return result;
  }
  if (!reasoning() && !completed([&] { allowed_.take(token); }))
    return end(ABY_FINISH_CANCELLED);
  ++completion_tokens_;
  pending_ = token;
  take_text(token);
  GenerationEvent result = event(ABY_EVENT_TOKEN);
  result.token = token;
  return result;
}

void Generation::take_text(std::int32_t token) {
  if (!parser_)
    return;
  const bool before = parser_->reasoning();
  ReplyPiece piece = parser_->push(sequence_->model()->text().tokenizer->token_bytes(token));
  if (before || parser_->reasoning())
    ++reasoning_tokens_;
  if (before && !parser_->reasoning() && allowed_.constrained())
    parser_->keep_content();
  text_kind_ = piece.kind == TextKind::kReasoning ? ABY_TEXT_REASONING : ABY_TEXT_CONTENT;
  text_ = std::move(piece.text);
}

GenerationEvent Generation::end(aby_finish_reason reason) {
  const bool first = !finished_;
  finished_ = reason;
  if (first && parser_) {
    ReplyPiece piece = parser_->finish();
    text_kind_ = piece.kind == TextKind::kReasoning ? ABY_TEXT_REASONING : ABY_TEXT_CONTENT;
    text_ = std::move(piece.text);
  }
  GenerationEvent result = event(ABY_EVENT_END);
  result.finish_reason = reason;
  return result;
}

} // namespace abyssal
