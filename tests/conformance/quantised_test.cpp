// Weights rounded while they are loaded, against the reference values of the stored ones, through the C API.
#include "support/api.h"
#include "support/expected.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>

namespace {

using namespace test;
namespace fs = std::filesystem;

constexpr std::array kMoe = {"tiny-v2-lite", "tiny-v2", "tiny-v3", "tiny-v3-fp8", "tiny-kimi-k2"};
constexpr std::array kDense = {"tiny-r1-distill-qwen", "tiny-r1-distill-llama"};

aby_model_options options_for(const char *backend, aby_weights weights) {
  aby_model_options options = model_options();
  options.backend = backend;
  options.weights = weights;
  options.cache_tokens = 1024;
  return options;
}

double limit_of(aby_weights weights) { return weights == ABY_WEIGHTS_INT8 ? 2e-2 : 1.5e-1; }

void check_layers(const std::string &name, const char *backend, aby_weights weights, std::int32_t layers) {
  CAPTURE(name);
  CAPTURE(backend);
  CAPTURE(weights);
  const Model model = open(checkpoint(name), options_for(backend, weights));
  const Expected expected(checkpoint(name) + "/expected.safetensors");
  const Sequence s = sequence(model);
  aby_eval_options eval_with = eval_options();
  eval_with.keep = ABY_KEEP_HIDDEN_LAYERS;
  eval(s, expected.ints("p2.input_ids"), eval_with);
  for (std::int32_t layer = 0; layer <= layers; ++layer) {
    INFO("hidden " << layer);
    const double off = relative_error(floats(output(s, ABY_OUTPUT_HIDDEN, layer)),
                                      expected.floats("p2.hidden." + std::to_string(layer)));
    CHECK(off < limit_of(weights));
    CHECK((layer == 0 || off > 1e-3)); // they were rounded
  }
}

std::vector<float> logits_of(const Model &model, const std::vector<std::int32_t> &tokens) {
  const Sequence s = sequence(model);
  eval(s, tokens, eval_options());
  return logits(s);
}

aby_model_info info_of(const Model &model) {
  auto info = make<aby_model_info>(aby_model_info_init);
  ABY_REQUIRE(aby_model_info_get(&info, model.get()));
  return info;
}

} // namespace

// In the first layers, before a route that the rounding cannot resolve can send a token to another expert.
TEST_CASE("rounded weights are within their tolerance") {
  for (const char *backend : {"reference", "cpu"}) {
    for (const aby_weights weights : {ABY_WEIGHTS_INT8, ABY_WEIGHTS_INT4}) {
      for (const char *name : kMoe)
        check_layers(name, backend, weights, 1);
      for (const char *name : kDense) { // no routes: all of the model
        check_layers(name, backend, weights, 3);
        const Model model = open(checkpoint(name), options_for(backend, weights));
        const Expected expected(checkpoint(name) + "/expected.safetensors");
        for (const std::string prompt : {"p0", "p1", "p2", "p3"}) {
          CAPTURE(name);
          CAPTURE(prompt);
          const auto want = expected.floats(prompt + ".logits_last");
          const Sequence s = sequence(model);
          aby_eval_options eval_with = eval_options();
          eval_with.logits = want.size() / info_of(model).vocab_size;
          eval(s, expected.ints(prompt + ".input_ids"), eval_with);
          CHECK(relative_error(logits(s), want) < 1.2 * limit_of(weights)); // a random head makes it larger
        }
      }
    }
  }
}

TEST_CASE("int8 weights take activations of 16 bits: as good as float32, and better than 8") {
  for (const char *name : kDense) {
    CAPTURE(name);
    const Expected expected(checkpoint(name) + "/expected.safetensors");
    double error[3] = {};
    for (const auto &[i, activations] : {std::pair{0, ABY_DTYPE_F32}, {1, ABY_DTYPE_AUTO}, {2, ABY_DTYPE_I8}}) {
      aby_model_options options = options_for("cpu", ABY_WEIGHTS_INT8);
      options.activations = activations;
      const Model model = open(checkpoint(name), options);
      CHECK(info_of(model).arithmetic == (i == 0 ? ABY_DTYPE_F32 : i == 1 ? ABY_DTYPE_I16 : ABY_DTYPE_I8));
      const Sequence s = sequence(model);
      aby_eval_options eval_with = eval_options();
      eval_with.keep = ABY_KEEP_HIDDEN_LAYERS;
      eval(s, expected.ints("p2.input_ids"), eval_with);
      error[i] = relative_error(floats(output(s, ABY_OUTPUT_HIDDEN, 3)), expected.floats("p2.hidden.3"));
    }
    CHECK(error[1] < 1.1 * error[0]);
    CHECK(error[2] > 1.3 * error[0]);
  }
}

TEST_CASE("the plan knows what rounded weights need") {
  for (const char *name : kMoe) {
    CAPTURE(name);
    std::uint64_t bytes[3] = {};
    for (const aby_weights weights : {ABY_WEIGHTS_STORED, ABY_WEIGHTS_INT8, ABY_WEIGHTS_INT4}) {
      const aby_model_options options = options_for("cpu", weights);
      auto plan = make<aby_model_plan>(aby_model_plan_init);
      ABY_REQUIRE(aby_model_plan_get(&plan, checkpoint(name).c_str(), &options));
      const Model model = open(checkpoint(name), options);
      CHECK(plan.weight_bytes == info_of(model).weight_bytes);
      CHECK(plan.file_bytes == info_of(model).file_bytes);
      bytes[weights] = plan.weight_bytes;
    }
    CHECK(bytes[ABY_WEIGHTS_INT4] < bytes[ABY_WEIGHTS_INT8]);
  }
}

TEST_CASE("a checkpoint written with rounded weights gives the bits of rounding while loading") {
  const fs::path folder = fs::temp_directory_path() / ("abyssal-quantised-" + std::to_string(getpid()));
  for (const char *name : {"tiny-v3", "tiny-v3-fp8", "tiny-v2-lite", "tiny-r1-distill-qwen"}) {
    for (const aby_weights weights : {ABY_WEIGHTS_INT8, ABY_WEIGHTS_INT4}) {
      CAPTURE(name);
      CAPTURE(weights);
      fs::remove_all(folder);
      aby_model_options options = options_for("cpu", weights);
      ABY_REQUIRE(aby_model_quantize(checkpoint(name).c_str(), folder.c_str(), &options));
      CHECK(aby_model_quantize(checkpoint(name).c_str(), folder.c_str(), &options) == ABY_ERROR_INVALID_ARGUMENT);
      options.mtp = std::string(name).starts_with("tiny-v3") ? 1 : 0;
      const std::vector<std::int32_t> tokens = {3, 1, 4, 1, 5, 9, 2, 6};
      const Model written = open(folder.string(), options), loaded = open(checkpoint(name), options);
      CHECK(logits_of(written, tokens) == logits_of(loaded, tokens));
      CHECK(std::string(info_of(written).weight_types).find("q8_0") != std::string::npos);
      CHECK(info_of(written).has_tokenizer == 1);
    }
  }
  fs::remove_all(folder);
}

TEST_CASE("nothing to round to, and GGUF, are refused") {
  const fs::path out = fs::temp_directory_path() / ("abyssal-refused-" + std::to_string(getpid()));
  aby_model_options options = options_for("cpu", ABY_WEIGHTS_STORED);
  CHECK(aby_model_quantize(checkpoint("tiny-v2").c_str(), out.c_str(), &options) == ABY_ERROR_INVALID_ARGUMENT);
  options.weights = ABY_WEIGHTS_INT8;
  const std::string gguf = std::string(ABYSSAL_TEST_DATA) + "/conformance-gguf/tiny-qwen2-Q4_K_M.gguf";
  CHECK(aby_model_quantize(gguf.c_str(), out.c_str(), &options) == ABY_ERROR_UNSUPPORTED);
  options.weights = 3;
  aby_model *model = nullptr;
  CHECK(aby_model_open(&model, checkpoint("tiny-v2").c_str(), &options) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK_FALSE(fs::exists(out));
}
