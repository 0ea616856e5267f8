// Every reference value of every conformance checkpoint, on every backend, through the C API.
#include "conformance/choice.h"
#include "support/api.h"
#include "support/expected.h"

#include <algorithm>

namespace {

using namespace test;

constexpr double kHiddenLimit = 2e-5;
constexpr double kLogitsLimit = 1e-4;
constexpr float kResolvedGap = 1e-3f; // between the two best logits, that float32 arithmetic resolves

struct Checkpoint {
  const char *name;
  bool mtp;
};
constexpr Checkpoint kCheckpoints[] = {
    {"tiny-v2-lite", false},         {"tiny-v2", false},      {"tiny-v3", true},
    {"tiny-v3-fp8", true},           {"tiny-kimi-k2", false}, {"tiny-r1-distill-qwen", false},
    {"tiny-r1-distill-llama", false}};

void check_near(const std::vector<float> &got, const std::vector<float> &want, double limit, const std::string &what) {
  INFO(what);
  CHECK(relative_error(got, want) < limit);
}

void check_hidden_and_cache(const Sequence &s, const Expected &expected) {
  for (std::int32_t layer = 0; expected.has("p2.hidden." + std::to_string(layer)); ++layer) {
    const std::string at = "." + std::to_string(layer);
    check_near(floats(output(s, ABY_OUTPUT_HIDDEN, layer)), expected.floats("p2.hidden" + at), kHiddenLimit,
               "hidden" + at);
    if (expected.has("p2.c_kv" + at)) {
      check_near(floats(output(s, ABY_OUTPUT_CACHE_C_KV, layer)), expected.floats("p2.c_kv" + at), kHiddenLimit,
                 "c_kv" + at);
      check_near(floats(output(s, ABY_OUTPUT_CACHE_K_ROPE, layer)), expected.floats("p2.k_rope" + at), kHiddenLimit,
                 "k_rope" + at);
    }
    if (expected.has("p2.route_index" + at)) {
      INFO("route" << at);
      CHECK(ints(output(s, ABY_OUTPUT_ROUTE_INDEX, layer)) == expected.ints("p2.route_index" + at));
      check_near(floats(output(s, ABY_OUTPUT_ROUTE_WEIGHT, layer)), expected.floats("p2.route_weight" + at),
                 kHiddenLimit, "route_weight" + at);
    }
  }
}

void check_mtp(const Sequence &s, const Expected &expected, std::int64_t vocab) {
  const std::vector<float> all = floats(output(s, ABY_OUTPUT_MTP_LOGITS));
  const std::vector<float> last = expected.floats("mtp.logits_last");
  REQUIRE(all.size() >= last.size());
  check_near({all.end() - static_cast<std::ptrdiff_t>(last.size()), all.end()}, last, kLogitsLimit, "mtp.logits_last");
  const std::vector<std::int32_t> drafts = expected.ints("mtp.draft_ids");
  REQUIRE(all.size() == drafts.size() * static_cast<std::size_t>(vocab));
  for (std::size_t i = 0; i < drafts.size(); ++i) {
    const auto row = all.begin() + static_cast<std::ptrdiff_t>(i) * vocab;
    const std::vector<float> values(row, row + vocab);
    const auto best = std::max_element(values.begin(), values.end()) - values.begin();
    // A draft may differ only where the two are as good as equal.
    INFO("draft " << i);
    CHECK(values[static_cast<std::size_t>(best)] - values[static_cast<std::size_t>(drafts[i])] < kResolvedGap);
  }
}

std::vector<std::int32_t> greedy(const Model &model, const std::vector<std::int32_t> &prompt, std::size_t count) {
  const Sequence s = sequence(model);
  aby_reply_options options = reply_options();
  options.temperature = 0;
  options.ignore_eos = 1;
  options.max_tokens = count;
  aby_generation *raw = nullptr;
  ABY_REQUIRE(aby_generation_create(&raw, s.get(), prompt.data(), prompt.size(), &options));
  const Generation generation(raw);
  std::vector<std::int32_t> ids;
  Event event;
  while (event.kind != ABY_EVENT_END) {
    ABY_REQUIRE(step(&event, generation.get()));
    if (event.kind == ABY_EVENT_TOKEN)
      ids.push_back(event.token);
  }
  CHECK(event.finish_reason == ABY_FINISH_LENGTH);
  CHECK(event.completion_tokens == count);
  return ids;
}

void check_greedy(const Model &model, const Expected &expected, const std::string &prompt) {
  const auto want = expected.ints(prompt + ".greedy_ids");
  const auto gap = expected.floats(prompt + ".greedy_gap");
  const auto got = greedy(model, expected.ints(prompt + ".input_ids"), want.size());
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < want.size() && gap[i] > kResolvedGap; ++i) {
    INFO(prompt << " step " << i);
    REQUIRE(got[i] == want[i]);
  }
}

void check_all(const Checkpoint &which, const std::string &backend) {
  CAPTURE(which.name);
  CAPTURE(backend);
  const Model model = open_f32(checkpoint(which.name), backend, which.mtp);
  const Expected expected(checkpoint(which.name) + "/expected.safetensors");
  aby_model_info info;
  ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
  for (const std::string &prompt : prompts(backend)) {
    const auto tokens = expected.ints(prompt + ".input_ids");
    const auto want = expected.floats(prompt + ".logits_last");
    const Sequence s = sequence(model);
    aby_eval_options options = eval_options();
    const bool detailed = prompt == "p2";
    options.logits = detailed && which.mtp ? tokens.size() : want.size() / info.vocab_size;
    options.keep = detailed ? ABY_KEEP_HIDDEN_LAYERS | ABY_KEEP_ROUTES : 0;
    options.mtp = detailed && which.mtp ? 1 : 0;
    eval(s, tokens, options);
    const std::vector<float> got = logits(s);
    REQUIRE(got.size() >= want.size());
    check_near({got.end() - static_cast<std::ptrdiff_t>(want.size()), got.end()}, want, kLogitsLimit,
               prompt + ".logits_last");
    if (detailed) {
      check_hidden_and_cache(s, expected);
      if (which.mtp)
        check_mtp(s, expected, info.vocab_size);
    }
    if (continues(prompt, backend))
      check_greedy(model, expected, prompt);
  }
}

// The others are in bf16 or fp8, but for norms and scales of some.
bool stored_in_f32(const Checkpoint &which) { return std::string(which.name) == "tiny-v2-lite"; }

void check_types(const Model &model, aby_dtype activations, aby_dtype cache) {
  aby_model_info info;
  ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
  CHECK(info.activations == activations);
  CHECK(info.cache_dtype == cache);
}

} // namespace

TEST_CASE("every reference value on every backend, in float32") {
  for (const std::string &backend : backends()) {
    for (const Checkpoint &which : kCheckpoints)
      check_all(which, backend);
  }
}

TEST_CASE("bf16 activations, which are the default of bf16 and fp8 weights, stay within their tolerance") {
  for (const std::string &backend : backends()) {
    for (const Checkpoint &which : kCheckpoints) {
      CAPTURE(which.name);
      CAPTURE(backend);
      aby_model_options options = model_options();
      options.backend = backend.c_str();
      options.activations = stored_in_f32(which) ? ABY_DTYPE_BF16 : ABY_DTYPE_AUTO;
      options.cache_tokens = 1024;
      const Model model = open(checkpoint(which.name), options);
      check_types(model, ABY_DTYPE_BF16, ABY_DTYPE_BF16);
      const Expected expected(checkpoint(which.name) + "/expected.safetensors");
      const Sequence s = sequence(model);
      aby_eval_options eval_with = eval_options();
      eval_with.keep = ABY_KEEP_HIDDEN_LAYERS;
      eval(s, expected.ints("p2.input_ids"), eval_with);
      // The first layers, before a route that bf16 cannot resolve can send a token to another expert.
      for (const std::int32_t layer : {0, 1})
        check_near(floats(output(s, ABY_OUTPUT_HIDDEN, layer)), expected.floats("p2.hidden." + std::to_string(layer)),
                   1e-2, "hidden." + std::to_string(layer));
    }
  }
}

TEST_CASE("what is left open of arithmetic follows from the stored types and from what is asked") {
  struct Case {
    const char *checkpoint;
    aby_dtype activations, cache;
    aby_weights_kind weights;
    aby_dtype want_activations, want_cache;
  };
  constexpr aby_dtype kAuto = ABY_DTYPE_AUTO, kF32 = ABY_DTYPE_F32, kBf16 = ABY_DTYPE_BF16, kI8 = ABY_DTYPE_I8;
  constexpr aby_weights_kind kStored = ABY_WEIGHTS_STORED;
  const Case cases[] = {{"tiny-v3", kAuto, kAuto, kStored, kBf16, kBf16},
                        {"tiny-v3-fp8", kAuto, kAuto, kStored, kBf16, kBf16},
                        {"tiny-r1-distill-qwen", kI8, kAuto, kStored, kBf16, kBf16},
                        {"tiny-v3", kF32, kAuto, kStored, kF32, kF32},
                        {"tiny-v3", kAuto, kF32, kStored, kBf16, kF32},
                        {"tiny-v3", kAuto, kI8, kStored, kBf16, kI8},
                        {"tiny-v2-lite", kAuto, kAuto, kStored, kF32, kF32},
                        {"tiny-v2-lite", kBf16, kAuto, kStored, kBf16, kBf16},
                        {"tiny-v3", kAuto, kAuto, ABY_WEIGHTS_INT4, kF32, kBf16},
                        {"tiny-v3", kF32, kAuto, ABY_WEIGHTS_INT8, kF32, kF32},
                        {"tiny-v3", kBf16, kAuto, ABY_WEIGHTS_INT8, kBf16, kBf16},
                        {"../conformance-gguf/tiny-llama-Q4_K_M.gguf", kAuto, kAuto, kStored, kF32, kBf16}};
  for (const Case &c : cases) {
    CAPTURE(c.checkpoint);
    CAPTURE(c.activations);
    CAPTURE(c.weights);
    aby_model_options options = model_options();
    options.activations = c.activations;
    options.cache_dtype = c.cache;
    options.weights = c.weights;
    options.cache_tokens = 64;
    check_types(open(checkpoint(c.checkpoint), options), c.want_activations, c.want_cache);
  }
}
