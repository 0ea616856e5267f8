// The C API for tests: handles that release themselves, and checks that print the library's error text.
#pragma once

#include <abyssal/abyssal.h>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace test {

// Requires success and prints the error text otherwise.
#define ABY_REQUIRE(call)                                                                                              \
  do {                                                                                                                 \
    const aby_status aby_require_status = (call);                                                                      \
    INFO(std::string(aby_last_error()));                                                                               \
    REQUIRE(aby_require_status == ABY_OK);                                                                             \
  } while (false)

template <typename Handle, void (*Destroy)(Handle *)> struct Deleter {
  void operator()(Handle *handle) const { Destroy(handle); }
};
using Model = std::unique_ptr<aby_model, Deleter<aby_model, aby_model_destroy>>;
using Constraint = std::unique_ptr<aby_constraint, Deleter<aby_constraint, aby_constraint_destroy>>;
using Sequence = std::unique_ptr<aby_sequence, Deleter<aby_sequence, aby_sequence_destroy>>;
using Generation = std::unique_ptr<aby_generation, Deleter<aby_generation, aby_generation_destroy>>;
using Device = std::unique_ptr<aby_device, Deleter<aby_device, aby_device_destroy>>;

// Every struct comes from its init function.
template <typename Struct, typename Init> Struct make(Init init) {
  Struct value;
  REQUIRE(init(&value, sizeof value) == ABY_OK);
  return value;
}
inline aby_model_options model_options() { return make<aby_model_options>(aby_model_options_init); }
inline aby_eval_options eval_options() { return make<aby_eval_options>(aby_eval_options_init); }
inline aby_reply_options reply_options() { return make<aby_reply_options>(aby_reply_options_init); }

inline std::string checkpoint(const std::string &name) {
  return std::string(ABYSSAL_TEST_DATA) + "/conformance/" + name;
}

// reference, cpu, and the deferred module, which is loaded as any backend module is.
inline std::vector<std::string> backends() { return {"reference", "cpu", ABYSSAL_DEFERRED_MODULE}; }

inline Model open(const std::string &path, const aby_model_options &options) {
  aby_model *model = nullptr;
  ABY_REQUIRE(aby_model_open(&model, path.c_str(), &options));
  return Model(model);
}

inline Model open(const std::string &path, const std::string &backend, bool mtp = false) {
  aby_model_options options = model_options();
  options.backend = backend.c_str();
  options.mtp = mtp ? 1 : 0;
  options.cache_tokens = 1024;
  return open(path, options);
}

// With float32 arithmetic, which results are compared closely in: with references, and however tokens share passes.
inline Model open_f32(const std::string &path, const std::string &backend, bool mtp = false) {
  aby_model_options options = model_options();
  options.backend = backend.c_str();
  options.mtp = mtp ? 1 : 0;
  options.cache_tokens = 1024;
  options.activations = ABY_DTYPE_F32;
  return open(path, options);
}

inline Sequence sequence(const Model &model) {
  aby_sequence *sequence = nullptr;
  ABY_REQUIRE(aby_sequence_create(&sequence, model.get()));
  return Sequence(sequence);
}

inline Sequence fork(const Sequence &from) {
  aby_sequence *sequence = nullptr;
  ABY_REQUIRE(aby_sequence_fork(&sequence, from.get()));
  return Sequence(sequence);
}

inline void eval(const Sequence &sequence, const std::vector<std::int32_t> &tokens, const aby_eval_options &options) {
  ABY_REQUIRE(aby_sequence_eval(sequence.get(), tokens.data(), tokens.size(), &options));
}

inline aby_array output(const Sequence &sequence, aby_output_kind kind, std::int32_t layer = 0) {
  aby_array array;
  ABY_REQUIRE(aby_sequence_output(&array, sizeof array, sequence.get(), kind, layer));
  return array;
}

// An event as a row.
struct Event {
  aby_event_kind kind = ABY_EVENT_PROMPT;
  std::int32_t token = -1;
  float logprob = 0;
  aby_text_kind text_kind = ABY_TEXT_CONTENT;
  std::string text;
  aby_finish_reason finish_reason = ABY_FINISH_NONE;
  std::uint64_t prompt_tokens = 0, prompt_total = 0, completion_tokens = 0, reasoning_tokens = 0;
};

inline Event event_of(const aby_events &events, std::size_t i) {
  return {events.kind[i],
          events.token[i],
          events.logprob[i],
          events.text_kind[i],
          {events.text + events.text_begin[i], events.text + events.text_begin[i + 1]},
          events.finish_reason[i],
          events.prompt_tokens[i],
          events.prompt_total[i],
          events.completion_tokens[i],
          events.reasoning_tokens[i]};
}

// One event.
inline aby_status step(Event *out, aby_generation *generation) {
  aby_events events;
  const aby_status status = aby_generation_step(&events, sizeof events, generation, 0);
  if (status == ABY_OK) {
    REQUIRE(events.count == 1);
    *out = event_of(events, 0);
  }
  return status;
}

inline std::int64_t elements(const aby_array &array) {
  std::int64_t n = 1;
  for (std::uint32_t i = 0; i < array.rank; ++i)
    n *= array.shape[i];
  return n;
}

inline std::vector<float> floats(const aby_array &array) {
  REQUIRE(array.dtype == ABY_DTYPE_F32);
  const auto *data = static_cast<const float *>(array.data);
  return {data, data + elements(array)};
}

inline std::vector<std::int32_t> ints(const aby_array &array) {
  REQUIRE(array.dtype == ABY_DTYPE_I32);
  const auto *data = static_cast<const std::int32_t *>(array.data);
  return {data, data + elements(array)};
}

inline std::vector<float> logits(const Sequence &sequence) { return floats(output(sequence, ABY_OUTPUT_LOGITS)); }

inline std::size_t length(const Sequence &sequence) {
  std::size_t length = 0;
  ABY_REQUIRE(aby_sequence_length(&length, sequence.get()));
  return length;
}

// |x - reference| / |reference| over the whole tensor.
inline double relative_error(const std::vector<float> &x, const std::vector<float> &reference) {
  REQUIRE(x.size() == reference.size());
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    difference += (double{x[i]} - reference[i]) * (double{x[i]} - reference[i]);
    norm += double{reference[i]} * reference[i];
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

} // namespace test
