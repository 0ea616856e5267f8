#include "api/boundary.h"
#include "api/handles.h"

#include <chrono>
#include <cmath>

using namespace abyssal;
using namespace abyssal::api;

namespace {

aby_generation_options default_generation_options() noexcept {
  aby_generation_options options{};
  options.temperature = -1.0f;
  return options;
}

void check_probability(float value, const char *name) {
  if (!(value >= 0.0f && value <= 1.0f))
    fail(ABY_ERROR_INVALID_ARGUMENT, name, " is ", value, "; expected 0 to 1");
}

SamplingOptions sampling_options(const aby_generation_options &given, const ModelConfig &config) {
  check_probability(given.top_p, "top_p");
  check_probability(given.min_p, "min_p");
  if (!std::isfinite(given.temperature))
    fail(ABY_ERROR_INVALID_ARGUMENT, "temperature is ", given.temperature, "; expected a finite number");
  SamplingOptions options;
  if (given.temperature >= 0)
    options.temperature = given.temperature;
  else
    options.temperature = config.do_sample ? config.temperature.value_or(1.0f) : 0.0f;
  options.top_p = given.top_p > 0 ? given.top_p : config.top_p.value_or(1.0f);
  options.min_p = given.min_p;
  options.top_k = given.top_k > 0 ? given.top_k : static_cast<std::uint32_t>(config.top_k.value_or(0));
  options.seed = given.seed;
  return options;
}

std::vector<std::uint32_t> words_of_mask(const std::uint32_t *words, std::uint64_t count, const ModelConfig &config) {
  if (words == nullptr && count == 0)
    return {};
  require(words, "mask");
  if (count != static_cast<std::uint64_t>(config.vocab_size))
    fail(ABY_ERROR_INVALID_ARGUMENT, "mask has ", count, " ids; the vocabulary has ", config.vocab_size);
  return {words, words + mask_words(static_cast<std::size_t>(count))};
}

std::optional<ConstraintKind> constraint_kind(const aby_generation_options &given) {
  if (given.constraint_kind < ABY_CONSTRAINT_NONE || given.constraint_kind > ABY_CONSTRAINT_GRAMMAR)
    fail(ABY_ERROR_INVALID_ARGUMENT, "constraint_kind is ", given.constraint_kind,
         "; expected a value of aby_constraint");
  if (given.constraint_kind == ABY_CONSTRAINT_NONE) {
    if (given.constraint != nullptr)
      fail(ABY_ERROR_INVALID_ARGUMENT, "constraint is given, but constraint_kind does not say what it is");
    return std::nullopt;
  }
  require(given.constraint, "constraint");
  return static_cast<ConstraintKind>(given.constraint_kind);
}

GenerationOptions generation_options(const aby_generation_options *raw_options, const ModelConfig &config) {
  const auto given = read_struct(raw_options, default_generation_options(), "aby_generation_options");
  GenerationOptions options;
  options.ignore_eos = given.ignore_eos != 0;
  options.max_tokens = given.max_tokens;
  options.sampling = sampling_options(given, config);
  if (given.stop_token_count > 0) {
    require(given.stop_tokens, "stop_tokens");
    options.stop_tokens.assign(given.stop_tokens, given.stop_tokens + given.stop_token_count);
  }
  options.mask = words_of_mask(given.mask, given.mask_count, config);
  options.constraint_kind = constraint_kind(given);
  if (options.constraint_kind)
    options.constraint = given.constraint;
  options.plain = given.plain != 0;
  options.chunk = given.chunk;
  options.write_ahead = std::chrono::microseconds(given.write_ahead);
  return options;
}

} // namespace

extern "C" {

aby_status aby_generation_options_init(aby_generation_options *out, size_t struct_size) {
  return init_struct(out, struct_size, default_generation_options(), "aby_generation_options");
}

aby_status aby_generation_create(aby_generation **out, aby_sequence *sequence, const int32_t *prompt, size_t count,
                                 const aby_generation_options *options) {
  return guard([&] {
    require(out, "out");
    require(sequence, "sequence");
    if (count > 0)
      require(prompt, "prompt");
    const ModelConfig &config = sequence->sequence->model()->config();
    auto handle = std::make_unique<aby_generation>();
    handle->generation = std::make_unique<Generation>(sequence->sequence, std::span<const std::int32_t>(prompt, count),
                                                      generation_options(options, config));
    *out = handle.release();
  });
}

aby_status aby_event_init(aby_event *out, size_t struct_size) {
  return init_struct(out, struct_size, aby_event{}, "aby_event");
}

aby_status aby_generation_step(aby_event *out, aby_generation *generation) {
  return guard([&] {
    require(out, "out");
    require(generation, "generation");
    check_struct_size(out->struct_size, sizeof(aby_event), "aby_event");
    const GenerationEvent result = generation->generation->step();
    aby_event event{};
    event.kind = result.kind;
    event.token = result.token;
    event.text_kind = result.text_kind;
    event.text = generation->generation->text().data();
    event.text_length = generation->generation->text().size();
    event.finish_reason = result.finish_reason;
    event.prompt_done = result.prompt_done;
    event.prompt_total = result.prompt_total;
    event.completion_tokens = result.completion_tokens;
    event.reasoning_tokens = result.reasoning_tokens;
    fill_struct(out, event, "aby_event");
  });
}

aby_status aby_generation_set_mask(aby_generation *generation, const uint32_t *words, size_t count) {
  return guard([&] {
    require(generation, "generation");
    Generation &reply = *generation->generation;
    reply.set_mask(words_of_mask(words, count, reply.model().config()));
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
