// Parts of a split model, models in folders, and tensors under their published names.
#include "base/status.h"
#include "support/gguf_builder.h"
#include "weights/gguf_arrange.h"
#include "weights/gguf_names.h"
#include "weights/gguf_source.h"

#include <doctest/doctest.h>

#include <functional>

using namespace abyssal;
using namespace test;

namespace {

GgufBuilder part(std::uint32_t no, std::uint32_t count, std::uint32_t tensors) {
  return GgufBuilder().u32("split.no", no).u32("split.count", count).u32("split.tensors.count", tensors);
}

void refused(const std::function<void()> &open, aby_status status, const std::vector<std::string> &parts) {
  try {
    open();
    CHECK(status == ABY_OK);
  } catch (const Error &error) {
    INFO(error.text());
    CHECK(error.status() == status);
    for (const std::string &piece : parts) {
      INFO(piece);
      CHECK(error.text().find(piece) != std::string::npos);
    }
  }
}

struct Model {
  explicit Model(const GgufBuilder &builder)
      : source(make_gguf_source(GgufModel::open(folder.write("model.gguf", builder.bytes())))) {}
  TemporaryFolder folder{"gguf"};
  std::shared_ptr<const TensorSource> source;
};

std::vector<float> floats(const std::vector<std::byte> &bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

} // namespace

TEST_CASE("a split model opens by any part; its tensors are those of all") {
  const TemporaryFolder folder("gguf");
  const auto first = folder.write("m-00001-of-00003.gguf", part(0, 3, 2).text("k", "v").bytes());
  folder.write("m-00002-of-00003.gguf", part(1, 3, 2).floats("a", {4}).bytes());
  const auto last = folder.write("m-00003-of-00003.gguf", part(2, 3, 2).floats("b", {4}).bytes());
  for (const std::string &path : {first, last}) {
    const auto model = GgufModel::open(path);
    CHECK(model->metadata().text("k") == "v");
    CHECK(model->tensors().size() == 2);
    CHECK(model->find("b")->file->path() == last);
    CHECK(model->find("c") == nullptr);
  }
  CHECK(find_gguf_model(folder.path()) == first);
}

TEST_CASE("parts that do not belong together") {
  const TemporaryFolder folder("gguf");
  const auto first = folder.write("m-00001-of-00002.gguf", part(0, 2, 2).floats("a", {4}).bytes());
  const auto open = [&] { GgufModel::open(first); };
  const auto second = [&](const GgufBuilder &builder) { folder.write("m-00002-of-00002.gguf", builder.bytes()); };
  refused(open, ABY_ERROR_NOT_FOUND, {"m-00002-of-00002.gguf", "no such file"});
  second(part(1, 2, 2).floats("b", {4}));
  refused(open, ABY_OK, {});
  second(part(0, 2, 2).floats("b", {4}));
  refused(open, ABY_ERROR_FORMAT, {"m-00002-of-00002.gguf", "split.no", "is 0"});
  second(part(1, 3, 2).floats("b", {4}));
  refused(open, ABY_ERROR_FORMAT, {"m-00002-of-00002.gguf", "split.count", "is 3"});
  second(part(1, 2, 2).floats("a", {4}));
  refused(open, ABY_ERROR_FORMAT, {"m-00002-of-00002.gguf", "tensor a", "also in", "m-00001-of-00002.gguf"});
  second(part(1, 2, 2));
  refused(open, ABY_ERROR_FORMAT, {"m-00001-of-00002.gguf", "split.tensors.count", "is 2", "1"});
  second(GgufBuilder());
  refused(open, ABY_ERROR_FORMAT, {"m-00002-of-00002.gguf", "split.count is missing"});
  second(GgufBuilder().text("split.count", "2"));
  refused(open, ABY_ERROR_FORMAT, {"m-00002-of-00002.gguf", "split.count", "whole number"});
  folder.write("m-00002-of-00002.gguf", "GGUF");
  refused(open, ABY_ERROR_FORMAT, {"m-00002-of-00002.gguf", "version"});
  for (const char *name : {"n.gguf", "n-1-of-2.gguf", "n-00003-of-00002.gguf", "n-00000-of-00002.gguf"}) {
    const auto odd = folder.write(name, part(0, 2, 2).bytes());
    refused([&] { GgufModel::open(odd); }, ABY_ERROR_FORMAT, {name, "one of 2 parts"});
  }
}

TEST_CASE("the only model of a folder") {
  const TemporaryFolder folder("gguf");
  CHECK(find_gguf_model(folder.path()).empty());
  folder.write("notes.txt", "");
  const auto one = folder.write("one.gguf", GgufBuilder().bytes());
  CHECK(find_gguf_model(folder.path()) == one);
  folder.write("two-00002-of-00002.gguf", "");
  refused([&] { find_gguf_model(folder.path()); }, ABY_ERROR_FORMAT, {"one.gguf, two-00001-of-00002.gguf"});
}

TEST_CASE("published names") {
  CHECK(published_name("token_embd.weight").name == "model.embed_tokens.weight");
  CHECK(published_name("blk.12.attn_kv_a_mqa.weight").name == "model.layers.12.self_attn.kv_a_proj_with_mqa.weight");
  CHECK(published_name("blk.3.exp_probs_b.bias").name == "model.layers.3.mlp.gate.e_score_correction_bias");
  for (const char *other : {"", "blk.", "blk.x.attn_q.weight", "blk..attn_q.weight", "blk.1", "blk.1.", "blk.1.else",
                            "ablk.1.attn_q.weight", "blk.1x.attn_q.weight"}) {
    INFO(std::string(other));
    CHECK(published_name(other).role == GgufRole::kOther);
    CHECK(published_name(other).name == other);
  }
}

TEST_CASE("experts are slices of the file") {
  const Model model(GgufBuilder().floats("blk.1.ffn_up_exps.weight", {4, 3, 2}));
  const std::string name = "model.layers.1.mlp.experts.1.up_proj.weight";
  const TensorView *view = model.source->find(name);
  REQUIRE(view != nullptr);
  CHECK(view->shape == std::vector<std::int64_t>{3, 4});
  CHECK(load_as_float(view->data, view->dtype, 0) == 12.0f);
  CHECK(view->bytes == 48);
  CHECK(model.source->stays_in_place(name));
  CHECK(model.source->find("model.layers.1.mlp.experts.2.up_proj.weight") == nullptr);
  CHECK(model.source->origin(name).find("model.gguf, blk.1.ffn_up_exps.weight, offset ") == 0);
  CHECK(model.source->names().size() == 2);
}

TEST_CASE("kv_b_proj is joined from its halves, heads of [keys, values]") {
  // 2 heads, kv_lora 3, nope 2, v 1; keys[h][l][i] = 100 h + 10 l + i
  Bytes keys, values;
  for (int h = 0; h < 2; ++h)
    for (int l = 0; l < 3; ++l)
      for (int i = 0; i < 2; ++i)
        keys.number(static_cast<float>(100 * h + 10 * l + i));
  for (int i = 0; i < 6; ++i)
    values.number(static_cast<float>(-i));
  const Model model(GgufBuilder()
                        .tensor("blk.0.attn_k_b.weight", {2, 3, 2}, 0, keys.get())
                        .tensor("blk.0.attn_v_b.weight", {3, 1, 2}, 0, values.get()));
  const std::string name = "model.layers.0.self_attn.kv_b_proj.weight";
  const TensorView *view = model.source->find(name);
  REQUIRE(view != nullptr);
  CHECK(view->shape == std::vector<std::int64_t>{6, 3});
  CHECK(view->data == nullptr);
  CHECK_FALSE(model.source->stays_in_place(name));
  CHECK(floats(model.source->make(name)) == std::vector<float>{0, 10, 20, 1, 11, 21, 0, -1, -2, //
                                                               100, 110, 120, 101, 111, 121, -3, -4, -5});
  CHECK(model.source->stored(name).bytes == 72);
  CHECK(model.source->origin(name).find("attn_v_b") != std::string::npos);
}

TEST_CASE("rows of llama's q and k are put back, heads and biases alike; others are not touched") {
  const GgufBuilder tensors = GgufBuilder()
                                  .floats("blk.0.attn_q.weight", {1, 8})
                                  .floats("blk.0.attn_k.bias", {4})
                                  .floats("blk.0.attn_v.weight", {1, 4});
  GgufBuilder llama = tensors, qwen = tensors;
  llama.text("general.architecture", "llama").u32("llama.attention.key_length", 4);
  qwen.text("general.architecture", "qwen2");
  const Model permuted(llama), plain(qwen);
  const std::string q = "model.layers.0.self_attn.q_proj.weight", k = "model.layers.0.self_attn.k_proj.bias";
  CHECK(floats(permuted.source->make(q)) == std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7});
  CHECK(floats(permuted.source->make(k)) == std::vector<float>{0, 2, 1, 3});
  CHECK(permuted.source->stays_in_place("model.layers.0.self_attn.v_proj.weight"));
  CHECK(plain.source->stays_in_place(q));
  CHECK(plain.source->find(k)->data != nullptr);
}

TEST_CASE("shapes that a stacked, halved or permuted tensor cannot have") {
  const auto check = [](const GgufBuilder &builder, aby_status status, const std::vector<std::string> &parts) {
    refused([&] { Model model(builder); }, status, parts);
  };
  check(GgufBuilder().floats("blk.0.ffn_up_exps.weight", {4, 4}), ABY_ERROR_FORMAT,
        {"ffn_up_exps", "offset", "[4, 4]"});
  check(GgufBuilder().tensor("blk.0.ffn_up_exps.weight", {1, 1, 20000}, 24, std::string(20000, 'x')), ABY_ERROR_FORMAT,
        {"at most 16384 experts"});
  check(GgufBuilder().floats("blk.0.attn_k_b.weight", {2, 3, 2}), ABY_ERROR_NOT_FOUND, {"attn_k_b", "other half"});
  const auto halves = [](std::vector<std::uint64_t> keys, std::vector<std::uint64_t> values) {
    return GgufBuilder()
        .floats("blk.0.attn_k_b.weight", std::move(keys))
        .floats("blk.0.attn_v_b.weight", std::move(values));
  };
  check(halves({2, 6}, {3, 1, 2}), ABY_ERROR_FORMAT, {"attn_k_b", "heads"});
  check(halves({2, 3, 2}, {3, 2}), ABY_ERROR_FORMAT, {"attn_v_b", "[2, v_head_dim, 3]"});
  check(halves({2, 3, 2}, {4, 1, 2}), ABY_ERROR_FORMAT, {"attn_v_b"});
  check(halves({2, 3, 2}, {3, 1, 3}), ABY_ERROR_FORMAT, {"attn_v_b"});
  check(GgufBuilder()
            .tensor("blk.0.attn_k_b.weight", {256, 1, 1}, 16, std::string(66, 'x'))
            .floats("blk.0.attn_v_b.weight", {1, 1, 1}),
        ABY_ERROR_UNSUPPORTED, {"attn_k_b", "IQ2_XXS"});
  check(GgufBuilder().floats("blk.0.exp_probs_b", {4}).floats("blk.0.exp_probs_b.bias", {4}), ABY_ERROR_FORMAT,
        {"e_score_correction_bias", "exp_probs_b"});
  const auto llama = [](std::uint32_t head) {
    return GgufBuilder().text("general.architecture", "llama").u32("llama.attention.key_length", head);
  };
  check(llama(4).floats("blk.0.attn_q.weight", {2, 6}), ABY_ERROR_FORMAT, {"attn_q", "heads of 4"});
  check(llama(4).floats("blk.0.attn_q.weight", {2, 2, 4}), ABY_ERROR_FORMAT, {"attn_q"});
  check(llama(3), ABY_ERROR_FORMAT, {"model.gguf", "heads of 3"});
  check(GgufBuilder().text("general.architecture", "llama"), ABY_ERROR_FORMAT, {"head_count is missing"});
}
