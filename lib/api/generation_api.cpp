#include "api/boundary.h"
#include "api/handles.h"

#include <chrono>
#include <cmath>
#include <random>

using namespace abyssal;
using namespace abyssal::api;

namespace {

aby_reply_options default_reply_options() noexcept {
  aby_reply_options options{};
  options.max_tokens = ABY_NO_LIMIT;
  options.seed = ABY_SEED_RANDOM;
  options.temperature = options.top_p = options.min_p = -1.0f;
  options.top_k = -1;
  return options;
}

// A number of at most 53 bits, which every language's numbers hold.
std::uint64_t random_seed() {
  std::random_device device;
  const std::uint64_t high = device() & 0x1FFFFFU;
  return high << 32 | (device() & 0xFFFFFFFFU);
}

// Negative: the checkpoint's own, or what stands for off.
float share_of(float given, const std::optional<float> &own, float off, const char *name) {
  if (!(given <= 1.0f))
    fail(ABY_ERROR_INVALID_ARGUMENT, name, " is ", given, "; expected 0 to 1, or -1 for the checkpoint's own");
  return given >= 0 ? given : own.value_or(off);
}

SamplingOptions sampling_options(const aby_reply_options &given, const ModelSpec &spec) {
  if (!std::isfinite(given.temperature))
    fail(ABY_ERROR_INVALID_ARGUMENT, "temperature is ", given.temperature, "; expected a finite number");
  SamplingOptions options;
  if (given.temperature >= 0)
    options.temperature = given.temperature;
  else
    options.temperature = spec.do_sample ? spec.temperature.value_or(1.0f) : 0.0f;
  options.top_p = share_of(given.top_p, spec.top_p, 1.0f, "top_p");
  options.min_p = share_of(given.min_p, spec.min_p, 0.0f, "min_p");
  options.top_k = static_cast<std::uint32_t>(given.top_k >= 0 ? given.top_k : spec.top_k.value_or(0));
  options.seed = given.seed != ABY_SEED_RANDOM ? given.seed : random_seed();
  return options;
}

std::vector<std::uint32_t> words_of_mask(const std::uint32_t *words, std::uint64_t count, const ModelSpec &spec) {
  if (words == nullptr && count == 0)
    return {};
  require(words, "mask");
  if (count != static_cast<std::uint64_t>(spec.vocab_size))
    fail(ABY_ERROR_INVALID_ARGUMENT, "mask has ", count, " ids; the vocabulary has ", spec.vocab_size);
  return {words, words + mask_words(static_cast<std::size_t>(count))};
}

std::shared_ptr<const CompiledConstraint> constraint_of(const aby_reply_options &given, const LoadedModel &model) {
  if (given.constraint == nullptr)
    return nullptr;
  if (given.constraint->model.get() != &model)
    fail(ABY_ERROR_INVALID_ARGUMENT, "constraint: it was compiled for another model");
  return given.constraint->compiled;
}

GenerationOptions generation_options(const aby_reply_options *raw_options, const LoadedModel &model) {
  const auto given = read_struct(raw_options, default_reply_options(), "aby_reply_options");
  if (given.logprobs < ABY_LOGPROBS_NONE || given.logprobs > ABY_LOGPROBS_MODEL)
    fail(ABY_ERROR_INVALID_ARGUMENT, "logprobs is ", given.logprobs, "; expected ABY_LOGPROBS_NONE or _MODEL");
  GenerationOptions options;
  options.reply.ignore_eos = given.ignore_eos != 0;
  options.reply.max_tokens = given.max_tokens;
  options.reply.sampling = sampling_options(given, model.spec());
  options.reply.logprobs = given.logprobs == ABY_LOGPROBS_MODEL;
  if (given.stop_token_count > 0) {
    require(given.stop_tokens, "stop_tokens");
    options.reply.stop_tokens.assign(given.stop_tokens, given.stop_tokens + given.stop_token_count);
  }
  options.reply.mask = words_of_mask(given.mask, given.mask_count, model.spec());
  options.reply.constraint = constraint_of(given, model);
  options.reply.plain = given.plain != 0;
  options.chunk = given.chunk;
  return options;
}

ConstraintKind constraint_kind(aby_constraint_kind kind) {
  if (kind < ABY_CONSTRAINT_JSON_SCHEMA || kind > ABY_CONSTRAINT_GRAMMAR)
    fail(ABY_ERROR_INVALID_ARGUMENT, "kind is ", kind, "; expected a value of aby_constraint_kind");
  return static_cast<ConstraintKind>(kind);
}

} // namespace

extern "C" {

aby_status aby_constraint_compile(aby_constraint **out, aby_model *model, aby_constraint_kind kind, const char *text,
                                  size_t length) {
  return guard([&] {
    require(out, "out");
    require(model, "model");
    require(text, "text");
    auto compiled = model->model->constraints().compile(constraint_kind(kind), std::string_view(text, length));
    *out = new aby_constraint{model->model, std::move(compiled)};
  });
}

void aby_constraint_destroy(aby_constraint *constraint) { delete constraint; }

aby_status aby_reply_options_init(aby_reply_options *out, size_t struct_size) {
  return init_struct(out, struct_size, default_reply_options(), "aby_reply_options");
}

aby_status aby_generation_create(aby_generation **out, aby_sequence *sequence, const int32_t *prompt, size_t count,
                                 const aby_reply_options *options) {
  return guard([&] {
    require(out, "out");
    require(sequence, "sequence");
    if (count > 0)
      require(prompt, "prompt");
    auto handle = std::make_unique<aby_generation>();
    handle->generation = std::make_unique<Generation>(sequence->sequence, std::span<const std::int32_t>(prompt, count),
                                                      generation_options(options, *sequence->sequence->model()));
    *out = handle.release();
  });
}

aby_status aby_generation_step(aby_events *out, size_t struct_size, aby_generation *generation, uint64_t microseconds) {
  return guard([&] {
    check_out(out, struct_size, "aby_events");
    require(generation, "generation");
    constexpr std::uint64_t kMost = std::uint64_t{1} << 40; // a week and more
    const std::chrono::microseconds time(std::min(microseconds, kMost));
    fill_struct(out, struct_size, generation->generation->step(time).view(), "aby_events");
  });
}

aby_status aby_generation_seed(uint64_t *out, const aby_generation *generation) {
  return guard([&] {
    require(out, "out");
    require(generation, "generation");
    *out = generation->generation->seed();
  });
}

aby_status aby_generation_set_mask(aby_generation *generation, const uint32_t *words, size_t count) {
  return guard([&] {
    require(generation, "generation");
    Generation &reply = *generation->generation;
    reply.set_mask(words_of_mask(words, count, reply.model().spec()));
  });
}

aby_status aby_generation_cancel(aby_generation *generation) {
  return guard([&] {
    require(generation, "generation");
    generation->generation->cancel();
  });
}

void aby_generation_destroy(aby_generation *generation) { delete generation; }

} // extern "C"
