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
    drawn_.parser.emplace(tail, options_.plain);
    drawn_.text_kind = drawn_.parser->reasoning() ? ABY_TEXT_REASONING : ABY_TEXT_CONTENT;
    if (allowed_.constrained() && !drawn_.parser->reasoning())
      drawn_.parser->keep_content();
  }
}

Generation::~Generation() {
  try {
    take_back();
  } catch (const std::exception &) { // in use against the rule, or out of memory: it stays ahead
  }
}

GenerationEvent Generation::event(aby_event_kind kind) const noexcept {
  GenerationEvent result;
  result.kind = kind;
  result.text_kind = drawn_.text_kind;
  result.prompt_done = prompt_done_;
  result.prompt_total = prompt_.size();
  result.completion_tokens = drawn_.completion_tokens;
  result.reasoning_tokens = drawn_.reasoning_tokens;
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
  take_back();
}

GenerationEvent Generation::step() {
  const auto lock = own();
  if (cancelled_.load(std::memory_order_relaxed) || sequence_->model()->epoch() != epoch_)
    take_back();
  if (ahead_.size() > 1) {
    ahead_.pop_front();
    return give_kept();
  }
  ahead_.clear();
  const auto begin = std::chrono::steady_clock::now();
  const bool evaluates = drawn_.pending.has_value(); // else its time tells nothing of the next one's
  const GenerationEvent event = do_step();
  if (options_.write_ahead.count() == 0 || !evaluates || event.kind != ABY_EVENT_TOKEN || allowed_.constrained())
    return event;
  write_ahead(event, begin);
  return ahead_.empty() ? event : give_kept();
}

// Whatever stops a step that nobody has asked for comes again when somebody does.
void Generation::write_ahead(const GenerationEvent &first, std::chrono::steady_clock::time_point begin) {
  try {
    keep(first);
    auto before = begin;
    for (auto now = std::chrono::steady_clock::now();
         ahead_.back().event.kind == ABY_EVENT_TOKEN && (now - begin) + (now - before) <= options_.write_ahead;
         now = std::chrono::steady_clock::now()) {
      before = now;
      keep(do_step());
    }
  } catch (const std::exception &) {
    if (!ahead_.empty())
      go_back_to(ahead_.back()); // the step may have been done, and only keeping it have failed
  }
}

void Generation::keep(const GenerationEvent &event) {
  ahead_.push_back({event, text_, drawn_, sampler_.taken(), sequence_->length()});
}

GenerationEvent Generation::give_kept() {
  text_ = std::move(ahead_.front().text);
  return ahead_.front().event;
}

void Generation::take_back() {
  if (ahead_.size() > 1)
    go_back_to(ahead_.front());
  ahead_.clear();
}

void Generation::go_back_to(const Ahead &step) {
  if (sequence_->model()->epoch() == epoch_ && sequence_->length() > step.length) // replaced weights have emptied it
    sequence_->truncate(step.length);
  sampler_.go_back(step.random_numbers);
  drawn_ = step.drawn;
}

GenerationEvent Generation::do_step() {
  text_.clear();
  if (drawn_.finished)
    return end(*drawn_.finished);
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
    if (!guarded || !drawn_.parser->begins_content(sequence_->model()->text().tokenizer->token_bytes(token)))
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
  if (options_.max_tokens != 0 && drawn_.completion_tokens >= options_.max_tokens)
    return end(ABY_FINISH_LENGTH);
  if (drawn_.pending) {
    if (context_full())
      return end(ABY_FINISH_LENGTH);
    try {
      if (!evaluate_tokens({&*drawn_.pending, 1}, true))
        return end(ABY_FINISH_CANCELLED);
    } catch (const Error &error) {
      if (error.status() != ABY_ERROR_CONTEXT_FULL)
        throw;
      return end(ABY_FINISH_LENGTH);
    }
    drawn_.pending.reset();
  }
  const std::int32_t token = profile.timed(Part::kSampling, [&] { return drawn_token(); });
  if (ends(token)) {
    ++drawn_.completion_tokens;
    GenerationEvent result = end(ABY_FINISH_STOP);
    result.token = token;
    return result;
  }
  if (!reasoning() && !completed([&] { allowed_.take(token); }))
    return end(ABY_FINISH_CANCELLED);
  ++drawn_.completion_tokens;
  drawn_.pending = token;
  take_text(token);
  GenerationEvent result = event(ABY_EVENT_TOKEN);
  result.token = token;
  return result;
}

void Generation::take_text(std::int32_t token) {
  if (!drawn_.parser)
    return;
  const bool before = drawn_.parser->reasoning();
  ReplyPiece piece = drawn_.parser->push(sequence_->model()->text().tokenizer->token_bytes(token));
  if (before || drawn_.parser->reasoning())
    ++drawn_.reasoning_tokens;
  if (before && !drawn_.parser->reasoning() && allowed_.constrained())
    drawn_.parser->keep_content();
  drawn_.text_kind = piece.kind == TextKind::kReasoning ? ABY_TEXT_REASONING : ABY_TEXT_CONTENT;
  text_ = std::move(piece.text);
}

GenerationEvent Generation::end(aby_finish_reason reason) {
  const bool first = !drawn_.finished;
  drawn_.finished = reason;
  if (first && drawn_.parser) {
    ReplyPiece piece = drawn_.parser->finish();
    drawn_.text_kind = piece.kind == TextKind::kReasoning ? ABY_TEXT_REASONING : ABY_TEXT_CONTENT;
    text_ = std::move(piece.text);
  }
  GenerationEvent result = event(ABY_EVENT_END);
  result.finish_reason = reason;
  return result;
}

} // namespace abyssal
