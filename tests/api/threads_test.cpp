// One model, many threads: sequences are independent, and wrong use is refused instead of racing.
#include "support/api.h"

#include <atomic>
#include <filesystem>
#include <thread>

namespace {
using namespace test;
}

TEST_CASE("sequences on several threads give the results of one thread") {
  for (const std::string &backend : backends()) {
    CAPTURE(backend);
    const Model model = open(checkpoint("tiny-v3"), backend);
    const auto run = [&](std::int32_t seed) {
      std::vector<std::int32_t> tokens;
      for (std::int32_t i = 0; i < 40; ++i)
        tokens.push_back((seed * 131 + i * 17) % 1200);
      aby_sequence *raw = nullptr;
      std::vector<float> result;
      if (aby_sequence_create(&raw, model.get()) != ABY_OK)
        return result;
      const Sequence s(raw);
      aby_array array;
      if (aby_sequence_eval(raw, tokens.data(), tokens.size(), nullptr) == ABY_OK &&
          aby_sequence_output(&array, sizeof array, raw, ABY_OUTPUT_LOGITS, 0) == ABY_OK) {
        const auto *data = static_cast<const float *>(array.data);
        result.assign(data, data + array.shape[1]);
      }
      return result;
    };
    std::vector<std::vector<float>> want, got(4);
    for (std::int32_t i = 0; i < 4; ++i)
      want.push_back(run(i));
    std::vector<std::thread> threads;
    for (std::int32_t i = 0; i < 4; ++i)
      threads.emplace_back([&, i] { got[static_cast<std::size_t>(i)] = run(i); });
    for (std::thread &thread : threads)
      thread.join();
    REQUIRE(!want[0].empty());
    CHECK(got == want);
  }
}

TEST_CASE("a sequence in use is busy on another thread, and can be cancelled from there") {
  aby_model_options options = model_options();
  options.backend = "reference";
  const Model model = open(checkpoint("tiny-v3"), options);
  const Sequence s = sequence(model);
  const std::vector<std::int32_t> tokens(2000, 3);
  aby_status status = ABY_OK;
  std::int32_t cancel = 0;
  aby_eval_options eval_with = eval_options();
  eval_with.cancel = &cancel;
  std::atomic<bool> done{false};
  std::thread worker([&] {
    do
      status = aby_sequence_eval(s.get(), tokens.data(), tokens.size(), &eval_with);
    while (status == ABY_ERROR_BUSY); // the other thread came first
    done = true;
  });
  int busy = 0;
  std::size_t n = 0;
  while (!done && busy == 0)
    busy += aby_sequence_length(&n, s.get()) == ABY_ERROR_BUSY ? 1 : 0;
  __atomic_store_n(&cancel, 1, __ATOMIC_RELAXED);
  worker.join();
  CHECK(busy == 1);
  CHECK(status == ABY_ERROR_CANCELLED);
  CHECK(length(s) == 0);
  eval(s, {1, 2}, eval_options());
  CHECK(length(s) == 2);
  // One that is set before the call is not lost.
  CHECK(aby_sequence_eval(s.get(), tokens.data(), tokens.size(), &eval_with) == ABY_ERROR_CANCELLED);
  CHECK(length(s) == 2);
}

TEST_CASE("opening a model, planning and quantizing can be cancelled before and while they run") {
  aby_model_options options = model_options();
  std::int32_t cancel = 1;
  options.cancel = &cancel;
  aby_model *model = nullptr;
  aby_model_plan plan;
  const std::string path = checkpoint("tiny-v3"), out = "/tmp/abyssal-never-written";
  CHECK(aby_model_open(&model, path.c_str(), &options) == ABY_ERROR_CANCELLED);
  CHECK(aby_model_plan_get(&plan, sizeof plan, path.c_str(), &options) == ABY_ERROR_CANCELLED);
  options.weights = ABY_WEIGHTS_INT8;
  CHECK(aby_model_quantize(path.c_str(), out.c_str(), &options) == ABY_ERROR_CANCELLED);
  CHECK_FALSE(std::filesystem::exists(out + "/config.json"));
  options.weights = ABY_WEIGHTS_STORED;
  // While it runs: the flag is seen, though the progress function lets it go on.
  cancel = 0;
  options.progress_context = &cancel;
  options.progress = [](void *context, aby_stage stage, std::uint64_t done, std::uint64_t) {
    if (stage == ABY_STAGE_WEIGHTS && done > 0)
      *static_cast<std::int32_t *>(context) = 1;
    return 0;
  };
  CHECK(aby_model_open(&model, path.c_str(), &options) == ABY_ERROR_CANCELLED);
  CHECK(cancel == 1);
  CHECK(model == nullptr);
}

TEST_CASE("the thread count does not change a bit of the result") {
  std::vector<std::vector<float>> all;
  for (const std::uint32_t threads : {1u, 2u, 5u}) {
    aby_model_options options = model_options();
    options.threads = threads;
    options.cache_tokens = 512;
    const Model model = open(checkpoint("tiny-v3"), options);
    const Sequence s = sequence(model);
    std::vector<std::int32_t> tokens;
    for (std::int32_t i = 0; i < 200; ++i)
      tokens.push_back(i * 37 % 1200);
    eval(s, tokens, eval_options());
    eval(s, {5}, eval_options());
    all.push_back(logits(s));
  }
  CHECK(all[1] == all[0]);
  CHECK(all[2] == all[0]);
}
