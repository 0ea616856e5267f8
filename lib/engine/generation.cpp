#include "engine/generation.h"

#include "base/status.h"

#include <algorithm>
#include <limits>

namespace abyssal {

namespace {

constexpr std::size_t kTailTokens = 64; // of the prompt, that can open a <think>

AllowedTokens allowed_tokens(const LoadedModel &model, const GenerationOptions &options) {
  return {static_cast<std::size_t>(model.config().vocab_size), model.config().eos_token_ids,
          options.constraint ? options.constraint->begin() : nullptr};
}

void check_prompt(std::span<const std::int32_t> prompt, std::size_t length, LoadedModel &model) {
  const ModelConfig &config = model.config();
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    if (prompt[i] < 0 || prompt[i] >= config.vocab_size)
      fail(ABY_ERROR_INVALID_ARGUMENT, "prompt token ", prompt[i], " at index ", i, " is outside the vocabulary of ",
           config.vocab_size);
  }
  const auto context = static_cast<std::size_t>(config.max_position_embeddings);
  if (prompt.size() > context || length > context - prompt.size())
    fail(ABY_ERROR_CONTEXT_FULL, "a prompt of ", prompt.size(), " tokens after ", length, " exceeds the context of ",
         context);
  const auto cached = static_cast<std::size_t>(model.cache().pool().size()) * ABK_BLOCK_TOKENS;
  if (length + prompt.size() > cached)
    fail(ABY_ERROR_CONTEXT_FULL, "a prompt of ", prompt.size(), " tokens after ", length,
         " exceeds the whole cache, which holds ", cached, "; see cache_tokens");
}

} // namespace

Generation::Generation(std::shared_ptr<Sequence> sequence, std::span<const std::int32_t> prompt,
                       GenerationOptions options)
    : sequence_(std::move(sequence)), prompt_(prompt.begin(), prompt.end()), options_(std::move(options)),
      sampler_(options_.sampling), allowed_(allowed_tokens(*sequence_->model(), options_)),
      epoch_(sequence_->model()->epoch()) {
  const LoadedModel &model = *sequence_->model();
  allowed_.set(std::move(options_.mask));
  std::vector<std::int32_t> all = sequence_->tokens();
  check_prompt(prompt_, all.size(), *sequence_->model());
  all.insert(all.end(), prompt_.begin(), prompt_.end());
  if (all.empty())
    fail(ABY_ERROR_STATE, "there is no prompt, and the sequence is empty");
  if (const auto &tokenizer = model.text().tokenizer) {
    std::string tail; // a model may have rows for ids that its vocabulary lacks: their bytes are empty
    for (std::size_t i = all.size() - std::min(all.size(), kTailTokens); i < all.size(); ++i)
      tail += tokenizer->token_bytes(all[i]);
    parser_.emplace(tail, options_.plain);
    text_kind_ = parser_->reasoning() ? ABY_TEXT_REASONING : ABY_TEXT_CONTENT;
    if (allowed_.constrained() && !parser_->reasoning())
      parser_->keep_content();
  }
  pending_ = sequence_->begin_writing(this, prompt_.empty()); // the last that can fail
  begin_ = all.size() - prompt_.size() - (pending_ ? 1 : 0);
}

Generation::~Generation() {
  if (!finished_)
    free_sequence();
}

void Generation::free_sequence() noexcept {
  const bool fits = !context_full();
  sequence_->end_writing(fits ? pending_ : std::nullopt);
}

GenerationEvent Generation::event(aby_event_kind kind) const noexcept {
  GenerationEvent result;
  result.kind = kind;
  result.text_kind = text_kind_;
  result.prompt_tokens = prompt_done_;
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

const EventColumns &Generation::step(std::chrono::microseconds time) {
  const auto lock = own();
  const auto begin = std::chrono::steady_clock::now();
  const bool evaluates = pending_.has_value(); // else its time tells nothing of the next one's
  events_.clear();
  add_event();
  if (!evaluates || time.count() == 0)
    return events_;
  try {
    auto before = begin;
    for (auto now = std::chrono::steady_clock::now();
         last_kind_ == ABY_EVENT_TOKEN && (now - begin) + (now - before) <= time;
         now = std::chrono::steady_clock::now()) {
      before = now;
      add_event();
    }
  } catch (const std::exception &) { // comes again when the event is asked for
  }
  return events_;
}

void Generation::add_event() {
  if (!made_)
    made_ = do_step();
  events_.add(*made_, text_);
  last_kind_ = made_->kind;
  made_.reset();
}

GenerationEvent Generation::do_step() {
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
  const EvalItem item{sequence_.get(), tokens, this, &cancelled_};
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

bool Generation::context_full() const noexcept {
  return begin_ + prompt_done_ + evaluated_ >=
         static_cast<std::uint64_t>(sequence_->model()->config().max_position_embeddings);
}

// A constraint admits an end-of-sequence token only where it may end, and then that is its end.
bool Generation::ends(std::int32_t token) const noexcept {
  return (allowed_.is_end(token) && (!options_.ignore_eos || allowed_.constrained())) ||
         std::find(options_.stop_tokens.begin(), options_.stop_tokens.end(), token) != options_.stop_tokens.end();
}

std::span<const float> Generation::last_logits() {
  const OutputArray logits = sequence_->output(ABY_OUTPUT_LOGITS, 0);
  const auto vocab = static_cast<std::size_t>(logits.shape[1]);
  return {static_cast<const float *>(logits.data) + static_cast<std::size_t>(logits.shape[0] - 1) * vocab, vocab};
}

// A token that ends the reasoning must leave the content to the constraint.
std::int32_t Generation::drawn_token() {
  const std::span<const float> logits = last_logits();
  const bool guarded = allowed_.constrained() && reasoning();
  TokenMask mask = allowed_.next(reasoning());
  for (;;) {
    const std::int32_t token = sampler_.draw(logits, mask);
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
  if (completion_tokens_ >= options_.max_tokens)
    return end(ABY_FINISH_LENGTH);
  if (pending_) {
    if (context_full())
      return end(ABY_FINISH_CONTEXT);
    try {
      if (!evaluate_tokens({&*pending_, 1}, true))
        return end(ABY_FINISH_CANCELLED);
    } catch (const Error &error) {
      if (error.status() != ABY_ERROR_CONTEXT_FULL)
        throw;
      return end(ABY_FINISH_CONTEXT); // beyond the whole cache
    }
    pending_.reset();
    ++evaluated_;
  }
  float logprob = std::numeric_limits<float>::quiet_NaN();
  const std::int32_t token = profile.timed(Part::kSampling, [&] {
    const std::int32_t drawn = drawn_token();
    if (options_.logprobs)
      logprob = log_probability(last_logits(), drawn);
    return drawn;
  });
  if (ends(token)) {
    ++completion_tokens_;
    GenerationEvent result = end(ABY_FINISH_STOP);
    result.token = token;
    result.logprob = logprob;
    return result;
  }
  if (!reasoning() && !completed([&] { allowed_.take(token); }))
    return end(ABY_FINISH_CANCELLED);
  ++completion_tokens_;
  pending_ = token;
  take_text(token);
  GenerationEvent result = event(ABY_EVENT_TOKEN);
  result.token = token;
  result.logprob = logprob;
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
  if (first) {
    if (reason == ABY_FINISH_CONTEXT)
      pending_.reset();
    free_sequence();
  }
  GenerationEvent result = event(ABY_EVENT_END);
  result.finish_reason = reason;
  return result;
}

} // namespace abyssal
