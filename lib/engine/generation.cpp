#include "engine/generation.h"

#include "base/status.h"

#include <algorithm>

namespace abyssal {

namespace {

ReplyModel reply_model(const LoadedModel &model) {
  return {static_cast<std::size_t>(model.spec().vocab_size), model.spec().eos_token_ids, model.text().tokenizer};
}

void check_prompt(std::span<const std::int32_t> prompt, std::size_t length, LoadedModel &model) {
  const ModelSpec &spec = model.spec();
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    if (prompt[i] < 0 || prompt[i] >= spec.vocab_size)
      fail(ABY_ERROR_INVALID_ARGUMENT, "prompt token ", prompt[i], " at index ", i, " is outside the vocabulary of ",
           spec.vocab_size);
  }
  const auto context = static_cast<std::size_t>(spec.max_position_embeddings);
  if (prompt.size() > context || length > context - prompt.size())
    fail(ABY_ERROR_CONTEXT_FULL, "a prompt of ", prompt.size(), " tokens after ", length, " exceeds the context of ",
         context);
  const auto cached = static_cast<std::size_t>(model.cache().pool().size()) * ABK_BLOCK_TOKENS;
  if (length + prompt.size() > cached)
    fail(ABY_ERROR_CONTEXT_FULL, "a prompt of ", prompt.size(), " tokens after ", length,
         " exceeds the whole cache, which holds ", cached, "; see cache_tokens");
}

// The tokens that the reply to a prompt follows, once the prompt is known to fit; begin: those before the prompt.
std::vector<std::int32_t> tokens_before(Sequence &sequence, std::span<const std::int32_t> prompt,
                                        std::uint64_t &begin) {
  std::vector<std::int32_t> all = sequence.tokens();
  begin = all.size();
  check_prompt(prompt, all.size(), *sequence.model());
  all.insert(all.end(), prompt.begin(), prompt.end());
  if (all.empty())
    fail(ABY_ERROR_STATE, "there is no prompt, and the sequence is empty");
  return all;
}

} // namespace

Generation::Generation(std::shared_ptr<Sequence> sequence, std::span<const std::int32_t> prompt,
                       GenerationOptions options)
    : sequence_(std::move(sequence)), prompt_(prompt.begin(), prompt.end()), chunk_(options.chunk),
      reply_(reply_model(*sequence_->model()), std::move(options.reply), tokens_before(*sequence_, prompt_, begin_)),
      epoch_(sequence_->model()->epoch()) {
  if (chunk_ == 0)
    chunk_ = sequence_->model()->plan().chunk;
  pending_ = sequence_->begin_writing(this, prompt_.empty()); // the last that can fail
  if (pending_)
    --begin_;
}

Generation::~Generation() {
  if (!finished_)
    free_sequence();
}

void Generation::free_sequence() noexcept {
  const bool fits = !context_full();
  sequence_->end_writing(fits ? pending_ : std::nullopt);
}

std::unique_lock<std::mutex> Generation::own() {
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock())
    fail(ABY_ERROR_BUSY, "another thread is inside a step of this reply");
  return lock;
}

void Generation::set_mask(std::vector<std::uint32_t> words) {
  const auto lock = own();
  reply_.set_mask(std::move(words));
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
    made_ = next_event();
  events_.add(with_prompt(made_->event), made_->text);
  last_kind_ = made_->event.kind;
  made_.reset();
}

GenerationEvent Generation::with_prompt(GenerationEvent event) const noexcept {
  event.prompt_tokens = prompt_done_;
  event.prompt_total = prompt_.size();
  return event;
}

Generation::Made Generation::next_event() {
  if (finished_) {
    GenerationEvent again = reply_.event(ABY_EVENT_END);
    again.finish_reason = *finished_;
    return {again, {}};
  }
  if (cancelled_.load(std::memory_order_relaxed))
    return end(ABY_FINISH_CANCELLED);
  if (sequence_->model()->epoch() != epoch_)
    fail(ABY_ERROR_STATE, "the model's weights were replaced during the reply");
  try {
    if (prompt_done_ < prompt_.size())
      return {evaluate_prompt(), {}};
    return draw();
  } catch (const Error &error) {
    if (error.status() != ABY_ERROR_CANCELLED || !cancelled_.load(std::memory_order_relaxed))
      throw;
    return end(ABY_FINISH_CANCELLED);
  }
}

void Generation::evaluate_tokens(std::span<const std::int32_t> tokens, bool logits) {
  const EvalItem item{sequence_.get(), tokens, this, &cancelled_};
  EvalOptions options;
  options.logits = logits ? 1 : 0;
  options.chunk = chunk_;
  evaluate({&item, 1}, options);
}

GenerationEvent Generation::evaluate_prompt() {
  const std::size_t count = std::min<std::size_t>(chunk_, prompt_.size() - prompt_done_);
  evaluate_tokens(std::span<const std::int32_t>(prompt_).subspan(prompt_done_, count),
                  prompt_done_ + count == prompt_.size());
  prompt_done_ += count;
  return reply_.event(ABY_EVENT_PROMPT);
}

bool Generation::context_full() const noexcept {
  return begin_ + prompt_done_ + evaluated_ >=
         static_cast<std::uint64_t>(sequence_->model()->spec().max_position_embeddings);
}

std::span<const float> Generation::last_logits() {
  const OutputArray logits = sequence_->output(ABY_OUTPUT_LOGITS, 0);
  const auto vocab = static_cast<std::size_t>(logits.shape[1]);
  return {static_cast<const float *>(logits.data) + static_cast<std::size_t>(logits.shape[0] - 1) * vocab, vocab};
}

// A drawn token is evaluated only when the next one is wanted: the last of a reply never is.
Generation::Made Generation::draw() {
  Profile &profile = sequence_->model()->profile();
  const auto complete = [&] { return reply_.complete(); };
  if (const auto reason = reply_.constrained() ? profile.timed(Part::kSampling, complete) : complete())
    return end(*reason);
  if (pending_) {
    if (context_full())
      return end(ABY_FINISH_CONTEXT);
    try {
      evaluate_tokens({&*pending_, 1}, true);
    } catch (const Error &error) {
      if (error.status() != ABY_ERROR_CONTEXT_FULL)
        throw;
      return end(ABY_FINISH_CONTEXT); // beyond the whole cache
    }
    pending_.reset();
    ++evaluated_;
  }
  const std::span<const float> logits = last_logits();
  const GenerationEvent event = profile.timed(Part::kSampling, [&] { return reply_.accept(logits); });
  if (event.kind == ABY_EVENT_TOKEN) {
    pending_ = event.token;
  } else {
    finished_ = event.finish_reason;
    free_sequence();
  }
  return {event, reply_.text()};
}

Generation::Made Generation::end(aby_finish_reason reason) {
  finished_ = reason;
  const GenerationEvent event = reply_.end(reason);
  if (reason == ABY_FINISH_CONTEXT)
    pending_.reset();
  free_sequence();
  return {event, reply_.text()};
}

} // namespace abyssal
