// Models from tensors in memory, and weights replaced between evaluations.
#include "support/api.h"
#include "weights/safetensors.h"

#include <atomic>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

namespace {

using namespace test;

// The tensors of a checkpoint as the C API takes them.
struct Tensors {
  explicit Tensors(const std::string &folder)
      : source(abyssal::open_safetensors_folder(folder)), names(source->names()) {
    std::ifstream file(folder + "/config.json");
    std::stringstream text;
    text << file.rdbuf();
    config = text.str();
    for (const std::string &name : names) {
      const abyssal::TensorView &view = *source->find(name);
      auto tensor = make<aby_tensor>(aby_tensor_init);
      tensor.name = name.c_str();
      tensor.dtype = view.dtype;
      tensor.data = view.data;
      tensor.bytes = view.bytes;
      tensor.rank = static_cast<std::uint32_t>(view.shape.size());
      std::copy(view.shape.begin(), view.shape.end(), tensor.shape);
      tensors.push_back(tensor);
    }
    for (const aby_tensor &tensor : tensors)
      pointers.push_back(&tensor);
  }
  aby_tensor &at(const std::string &name) {
    for (aby_tensor &tensor : tensors) {
      if (name == tensor.name)
        return tensor;
    }
    FAIL("no tensor " << name);
    return tensors.front();
  }
  std::shared_ptr<const abyssal::TensorSource> source;
  std::vector<std::string> names;
  std::string config;
  std::vector<aby_tensor> tensors;
  std::vector<const aby_tensor *> pointers;
};

Model open_tensors(const Tensors &tensors, const std::string &backend) {
  aby_model_options options = model_options();
  options.backend = backend.c_str();
  options.cache_tokens = 512;
  aby_model *model = nullptr;
  ABY_REQUIRE(aby_model_open_tensors(&model, tensors.config.c_str(), tensors.pointers.data(), tensors.pointers.size(),
                                     &options));
  return Model(model);
}

std::vector<float> logits_of(const Model &model) {
  const Sequence s = sequence(model);
  eval(s, {3, 1, 4, 1, 5, 9, 2, 6}, eval_options());
  return logits(s);
}

} // namespace

TEST_CASE("a model from tensors equals the one from files") {
  for (const std::string name : {"tiny-v3-fp8", "tiny-v2-lite", "tiny-r1-distill-qwen"}) {
    CAPTURE(name);
    const Tensors tensors(checkpoint(name));
    CHECK(logits_of(open_tensors(tensors, "cpu")) == logits_of(open(checkpoint(name), "cpu")));
  }
}

TEST_CASE("updated weights give the results of the new weights, and drop the caches") {
  for (const std::string &backend : backends()) {
    CAPTURE(backend);
    Tensors tensors(checkpoint("tiny-v2-lite"));
    const Model model = open_tensors(tensors, backend);
    const std::vector<float> before = logits_of(model);
    const Sequence stale = sequence(model);
    eval(stale, {1, 2, 3}, eval_options());

    // One expert and the head, changed.
    const std::string expert = "model.layers.1.mlp.experts.3.up_proj.weight";
    std::vector<std::vector<float>> changed;
    std::vector<const aby_tensor *> update;
    for (const std::string &name : {expert, std::string("lm_head.weight")}) {
      aby_tensor &tensor = tensors.at(name);
      const auto *data = static_cast<const float *>(tensor.data);
      changed.emplace_back(data, data + tensor.bytes / sizeof(float));
      for (float &value : changed.back())
        value *= -1.5f;
      tensor.data = changed.back().data();
      update.push_back(&tensor);
    }
    ABY_REQUIRE(aby_model_update(model.get(), update.data(), update.size()));
    const std::vector<float> after = logits_of(model);
    CHECK(after == logits_of(open_tensors(tensors, backend)));
    CHECK(after != before);
    CHECK(length(stale) == 0);
    aby_array array;
    CHECK(aby_sequence_output(&array, sizeof array, stale.get(), ABY_OUTPUT_LOGITS, 0) == ABY_ERROR_STATE);
  }
}

TEST_CASE("an update that cannot be is refused and changes nothing") {
  Tensors tensors(checkpoint("tiny-v2-lite"));
  const Model model = open_tensors(tensors, "cpu");
  const std::vector<float> before = logits_of(model);
  aby_tensor tensor = tensors.at("lm_head.weight");
  const aby_tensor *pointer = &tensor;
  const auto refused = [&](aby_status status) {
    CHECK(aby_model_update(model.get(), &pointer, 1) == status);
    CHECK(logits_of(model) == before);
  };
  tensor.name = "lm_head.wait";
  refused(ABY_ERROR_NOT_FOUND);
  tensor.name = "lm_head.weight";
  tensor.shape[0] -= 1;
  tensor.bytes -= static_cast<std::uint64_t>(tensor.shape[1]) * sizeof(float);
  refused(ABY_ERROR_FORMAT);
  tensor.bytes -= 1;
  refused(ABY_ERROR_INVALID_ARGUMENT);
  tensor.name = nullptr;
  refused(ABY_ERROR_INVALID_ARGUMENT);
  pointer = nullptr;
  refused(ABY_ERROR_INVALID_ARGUMENT);
}

TEST_CASE("an update while an evaluation runs is refused") {
  Tensors tensors(checkpoint("tiny-v2-lite"));
  aby_model_options options = model_options();
  options.backend = "reference";
  const Model model = open(checkpoint("tiny-v2-lite"), options);
  const Sequence s = sequence(model);
  // One that changes nothing before the evaluation has begun: a replacement would make the sequence stale.
  aby_tensor unknown = tensors.at("lm_head.weight");
  unknown.name = "no.such.weight";
  const aby_tensor *pointer = &unknown;
  aby_eval_options with = eval_options();
  with.chunk = 64;
  const std::vector<std::int32_t> tokens(2000, 11);
  std::int32_t cancel = 0;
  with.cancel = &cancel;
  std::atomic<bool> done{false};
  aby_status evaluated = ABY_ERROR_INTERNAL;
  std::thread worker([&] {
    evaluated = aby_sequence_eval(s.get(), tokens.data(), tokens.size(), &with);
    done = true;
  });
  int busy = 0;
  while (!done && busy == 0)
    busy += aby_model_update(model.get(), &pointer, 1) == ABY_ERROR_BUSY ? 1 : 0;
  const aby_tensor *known = &tensors.at("lm_head.weight");
  CHECK(aby_model_update(model.get(), &known, 1) == ABY_ERROR_BUSY);
  __atomic_store_n(&cancel, 1, __ATOMIC_RELAXED);
  worker.join();
  CHECK(busy == 1);
  CHECK(evaluated == ABY_ERROR_CANCELLED);
  CHECK(length(s) == 0);
}
