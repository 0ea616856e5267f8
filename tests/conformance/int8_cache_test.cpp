// A cache in int8 against the reference values: what is cached, and what becomes of it.
#include "conformance/choice.h"
#include "support/agreement.h"
#include "support/api.h"
#include "support/expected.h"

#include <cstdlib>

namespace {

using namespace test;

constexpr const char *kCheckpoints[] = {"tiny-v2-lite",         "tiny-v2",      "tiny-v3",
                                        "tiny-v3-fp8",          "tiny-kimi-k2", "tiny-r1-distill-qwen",
                                        "tiny-r1-distill-llama"};

// Quants are within half a step of 1/127 of a group's largest value, which for normal values is about 2.5 of their
// sizes: an error of 2.5 / 127 / sqrt(12) of a row.
constexpr double kRowLimit = 8e-3;
constexpr double kRopeLimit = 4e-3;   // bfloat16
constexpr double kHiddenLimit = 1e-2; // after the first layer
// Of the last logits of a dense model. With experts and random weights a route that flips near a tie decides the error
// of what follows it: there the tokens drawn are looked at instead.
constexpr double kLogitsLimit = 2e-2;

Model open_with(const std::string &name, const std::string &backend, aby_dtype cache) {
  aby_model_options options = model_options();
  options.backend = backend.c_str();
  options.activations = ABY_DTYPE_F32;
  options.cache_dtype = cache;
  options.cache_tokens = 1024;
  return open(checkpoint(name), options);
}

} // namespace

TEST_CASE("an int8 cache stays within its tolerance") {
  for (const std::string &backend : backends()) {
    for (const std::string name : kCheckpoints) {
      CAPTURE(name);
      CAPTURE(backend);
      const Model model = open_with(name, backend, ABY_DTYPE_I8);
      aby_model_info info;
      ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
      CHECK(info.cache_dtype == ABY_DTYPE_I8);
      const Expected expected(checkpoint(name) + "/expected.safetensors");
      double worst_hidden = 0, worst_logits = 0;
      for (const std::string &prompt : prompts(backend)) {
        const auto want = expected.floats(prompt + ".logits_last");
        const Sequence s = sequence(model);
        aby_eval_options options = eval_options();
        options.logits = want.size() / info.vocab_size;
        options.keep = prompt == "p2" ? ABY_KEEP_HIDDEN_LAYERS : 0;
        eval(s, expected.ints(prompt + ".input_ids"), options);
        worst_logits = std::max(worst_logits, relative_error(logits(s), want));
        if (prompt != "p2")
          continue;
        worst_hidden = relative_error(floats(output(s, ABY_OUTPUT_HIDDEN, 1)), expected.floats("p2.hidden.1"));
        if (!expected.has("p2.c_kv.0"))
          continue;
        CHECK(relative_error(floats(output(s, ABY_OUTPUT_CACHE_C_KV, 0)), expected.floats("p2.c_kv.0")) < kRowLimit);
        CHECK(relative_error(floats(output(s, ABY_OUTPUT_CACHE_K_ROPE, 0)), expected.floats("p2.k_rope.0")) <
              kRopeLimit);
      }
      CHECK(worst_hidden < kHiddenLimit);
      if (info.experts == 0)
        CHECK(worst_logits < kLogitsLimit);
      if (std::getenv("ABYSSAL_TEST_REPORT") != nullptr)
        MESSAGE(name << ", int8 cache: hidden states after layer 1 " << worst_hidden << ", logits " << worst_logits);
    }
  }
}

TEST_CASE("with an int8 cache nearly the same tokens are drawn") {
  Agreement all;
  for (const std::string name : kCheckpoints) {
    CAPTURE(name);
    const Expected expected(checkpoint(name) + "/expected.safetensors");
    Agreement rounded, one;
    count_agreement(open_with(name, "cpu", ABY_DTYPE_BF16), expected, rounded);
    count_agreement(open_with(name, "cpu", ABY_DTYPE_I8), expected, one);
    CHECK(one.equal >= one.steps * 80 / 100); // a route that flips near a tie costs some
    if (std::getenv("ABYSSAL_TEST_REPORT") != nullptr)
      MESSAGE(name << ": int8 cache " << one.equal << " of " << one.steps << ", with clear gaps " << one.clear_equal
                   << " of " << one.clear << "; bf16 cache " << rounded.equal << ", " << rounded.clear_equal);
    all.steps += one.steps;
    all.equal += one.equal;
    all.clear += one.clear;
    all.clear_equal += one.clear_equal;
  }
  CHECK(all.equal >= all.steps * 90 / 100);
  CHECK(all.clear_equal >= all.clear * 96 / 100);
}

TEST_CASE("cached keys and values of grouped-query attention are near those of a float32 cache") {
  for (const std::string &backend : backends()) {
    for (const std::string name : {"tiny-r1-distill-qwen", "tiny-r1-distill-llama"}) {
      CAPTURE(name);
      CAPTURE(backend);
      const auto tokens = Expected(checkpoint(name) + "/expected.safetensors").ints("p2.input_ids");
      std::vector<std::vector<float>> keys, values;
      for (const aby_dtype cache : {ABY_DTYPE_F32, ABY_DTYPE_I8}) {
        const Model model = open_with(name, backend, cache);
        const Sequence s = sequence(model);
        eval(s, tokens, eval_options());
        keys.push_back(floats(output(s, ABY_OUTPUT_CACHE_K, 0)));
        values.push_back(floats(output(s, ABY_OUTPUT_CACHE_V, 0)));
      }
      CHECK(relative_error(keys[1], keys[0]) < kRowLimit);
      CHECK(relative_error(values[1], values[0]) < kRowLimit);
      CHECK(keys[1] != keys[0]);
    }
  }
}

// The MTP layer has a cache of its own, and pairs that begin in an earlier block. On the reference backend no bit
// depends on how tokens are cut.
TEST_CASE("the MTP layer over an int8 cache, in chunks and after a fork") {
  aby_model_options with = model_options();
  with.backend = "reference";
  with.cache_dtype = ABY_DTYPE_I8;
  with.cache_tokens = 1024;
  with.mtp = 1;
  with.attention = ABY_ATTENTION_ABSORBED;
  const Model model = open(checkpoint("tiny-v3"), with);
  const auto tokens = Expected(checkpoint("tiny-v3") + "/expected.safetensors").ints("p3.input_ids");
  aby_eval_options options = eval_options();
  options.mtp = 1;
  options.logits = 3;
  const Sequence whole = sequence(model);
  eval(whole, tokens, options);
  const auto want = floats(output(whole, ABY_OUTPUT_MTP_LOGITS));
  options.chunk = 7;
  const Sequence cut = sequence(model);
  eval(cut, tokens, options);
  CHECK(floats(output(cut, ABY_OUTPUT_MTP_LOGITS)) == want);
  const Sequence again = fork(cut);
  ABY_REQUIRE(aby_sequence_truncate(again.get(), 64));
  eval(again, {tokens.begin() + 64, tokens.end()}, options);
  CHECK(floats(output(again, ABY_OUTPUT_MTP_LOGITS)) == want);
}
