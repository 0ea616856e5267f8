// aby_model_profile: the same bits, every op under its name, and work that follows from the shapes.
#include "support/api.h"

#include <chrono>
#include <map>
#include <numeric>

namespace {

using namespace test;

using Parts = std::map<std::string, aby_profile_part>;

Parts parts_of(const Model &model) {
  std::size_t count = 0;
  ABY_REQUIRE(aby_model_profile_count(&count, model.get()));
  Parts parts;
  for (std::size_t i = 0; i < count; ++i) {
    aby_profile_part part;
    ABY_REQUIRE(aby_model_profile_get(&part, sizeof part, model.get(), i));
    REQUIRE(parts.emplace(part.name, part).second);
  }
  return parts;
}

using Calls = std::map<std::string, std::uint64_t>;

Calls calls_of(const Parts &parts) {
  Calls calls;
  for (const auto &[name, part] : parts)
    calls[name] = part.calls;
  return calls;
}

void profile(const Model &model, bool on) { ABY_REQUIRE(aby_model_profile(model.get(), on ? 1 : 0)); }

std::vector<std::int32_t> tokens(std::int32_t count) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  std::iota(tokens.begin(), tokens.end(), 3);
  return tokens;
}

// Everything that an evaluation gives.
std::vector<float> results(const Sequence &sequence, int layers) {
  std::vector<float> all = logits(sequence);
  for (int layer = 0; layer <= layers; ++layer) {
    const std::vector<float> hidden = floats(output(sequence, ABY_OUTPUT_HIDDEN, layer));
    all.insert(all.end(), hidden.begin(), hidden.end());
  }
  return all;
}

} // namespace

TEST_CASE("a profile names every op, does not change a bit and takes no more than the time there is") {
  for (const std::string &backend : backends()) {
    CAPTURE(backend);
    const Model model = open(checkpoint("tiny-v3"), backend);
    const Sequence plain = sequence(model), measured = sequence(model);
    aby_eval_options options = eval_options();
    options.keep = ABY_KEEP_HIDDEN_LAYERS;
    eval(plain, tokens(12), options);
    CHECK(calls_of(parts_of(model)) == Calls{{"embedding", 0},
                                             {"norms", 0},
                                             {"attention projections", 0},
                                             {"attention", 0},
                                             {"router", 0},
                                             {"experts", 0},
                                             {"mlp", 0},
                                             {"head", 0},
                                             {"sampling", 0}});
    profile(model, true);
    const auto begin = std::chrono::steady_clock::now();
    eval(measured, tokens(12), options);
    const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    profile(model, false);
    CHECK(results(measured, 4) == results(plain, 4));

    // Four layers, the last three with experts; norms: two a layer and the last.
    const Parts parts = parts_of(model);
    CHECK(calls_of(parts) == Calls{{"embedding", 1},
                                   {"norms", 9},
                                   {"attention projections", 8},
                                   {"attention", 4},
                                   {"router", 6},
                                   {"experts", 3},
                                   {"mlp", 1},
                                   {"head", 1},
                                   {"sampling", 0}});
    double sum = 0;
    for (const auto &[name, part] : parts) {
      CHECK(part.seconds >= 0);
      sum += part.seconds;
    }
    CHECK(sum > 0);
    CHECK(sum <= wall);
    eval(measured, tokens(3), options); // it is off
    CHECK(calls_of(parts_of(model)) == calls_of(parts));
  }
}

TEST_CASE("the work of a part follows from the model's shapes") {
  const Model model = open(checkpoint("tiny-v3"), "cpu");
  const Sequence one = sequence(model);
  profile(model, true);
  eval(one, tokens(12), eval_options());
  Parts parts = parts_of(model);
  // [out, in] of q_a, q_b, kv_a and o.
  CHECK(parts["attention projections"].flops == 2u * 12 * 4 * (48 * 128 + 192 * 48 + 80 * 128 + 128 * 128));
  CHECK(parts["router"].flops == 2u * 12 * 3 * 32 * 128);
  CHECK(parts["experts"].flops == 2u * 12 * 3 * (4 + 1) * 3 * 48 * 128); // four routed and the shared one
  CHECK(parts["mlp"].flops == 2u * 12 * 3 * 320 * 128);
  CHECK(parts["head"].flops == 2u * 1280 * 128); // of the last token alone
  CHECK(parts["norms"].flops == 0);
  // Absorbed: 78 pairs of query and key, and each query through W_uk and W_uv.
  CHECK(parts["attention"].flops == 4u * 2 * 4 * (78 * (64 + 16 + 64) + 12 * 64 * (32 + 32)));

  profile(model, true); // from nothing
  eval(one, tokens(1), eval_options());
  parts = parts_of(model);
  CHECK(parts["experts"].calls == 3);
  CHECK(parts["experts"].bytes == 3u * (4 + 1) * 3 * 48 * 128 * 2); // bf16; only experts that a token can reach
  // 13 cached rows of 80 numbers and kv_b, both in bf16, a layer.
  CHECK(parts["attention"].bytes == 4u * (13 * 80 * 2 + 4 * (32 + 32) * 64 * 2));
}

TEST_CASE("grouped-query attention, the MTP layer, sampling and replaced weights are in it too") {
  const Model qwen = open(checkpoint("tiny-r1-distill-qwen"), "cpu");
  const Sequence one = sequence(qwen);
  profile(qwen, true);
  eval(one, tokens(5), eval_options());
  Parts parts = parts_of(qwen);
  CHECK(calls_of(parts) == Calls{{"embedding", 1},
                                 {"norms", 7},
                                 {"attention projections", 12},
                                 {"attention", 3},
                                 {"router", 0},
                                 {"experts", 0},
                                 {"mlp", 3},
                                 {"head", 1},
                                 {"sampling", 0}});
  CHECK(parts["attention"].flops == 3u * 4 * 4 * 32 * 15);

  const Model v3 = open(checkpoint("tiny-v3"), "cpu", true);
  const Sequence two = sequence(v3);
  aby_eval_options options = eval_options();
  options.mtp = 1;
  profile(v3, true);
  eval(two, tokens(5), options);
  CHECK(parts_of(v3)["embedding"].calls == 3); // both embeddings, and the product that combines them with hidden states
  CHECK(parts_of(v3)["attention"].calls == 5);
  CHECK(parts_of(v3)["head"].calls == 2);

  const Sequence three = sequence(qwen);
  aby_reply_options reply = reply_options();
  reply.ignore_eos = 1;
  reply.max_tokens = 4;
  const auto prompt = tokens(3);
  aby_generation *raw = nullptr;
  ABY_REQUIRE(aby_generation_create(&raw, three.get(), prompt.data(), prompt.size(), &reply));
  const Generation generation(raw);
  profile(qwen, true);
  Event event;
  while (event.kind != ABY_EVENT_END)
    ABY_REQUIRE(step(&event, generation.get()));
  CHECK(parts_of(qwen)["sampling"].calls == 4);
  CHECK(parts_of(qwen)["embedding"].calls == 4); // the prompt and all tokens but the last

  auto tensor = make<aby_tensor>(aby_tensor_init);
  const std::vector<float> gate(32 * 128, 0.5f);
  tensor.name = "model.layers.1.mlp.gate.weight";
  tensor.dtype = ABY_DTYPE_F32;
  tensor.data = gate.data();
  tensor.bytes = gate.size() * sizeof(float);
  tensor.rank = 2;
  tensor.shape[0] = 32;
  tensor.shape[1] = 128;
  const aby_tensor *tensors[] = {&tensor};
  profile(v3, true);
  ABY_REQUIRE(aby_model_update(v3.get(), tensors, 1));
  const Sequence four = sequence(v3);
  eval(four, tokens(2), eval_options());
  CHECK(parts_of(v3)["router"].flops == 2u * 2 * 3 * 32 * 128);
}

TEST_CASE("wrong arguments of the profile are refused") {
  const Model model = open(checkpoint("tiny-v2-lite"), "reference");
  std::size_t count = 0;
  aby_profile_part part{};
  CHECK(aby_model_profile(nullptr, 1) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_model_profile_count(nullptr, model.get()) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_model_profile_count(&count, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  REQUIRE(aby_model_profile_count(&count, model.get()) == ABY_OK);
  CHECK(aby_model_profile_get(nullptr, sizeof part, model.get(), 0) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_model_profile_get(&part, sizeof part, nullptr, 0) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_model_profile_get(&part, sizeof part, model.get(), count) == ABY_ERROR_NOT_FOUND);
  CHECK(part.name == nullptr);
  CHECK(aby_model_profile_get(&part, 4096, model.get(), 0) == ABY_ERROR_STRUCT_SIZE);
}
