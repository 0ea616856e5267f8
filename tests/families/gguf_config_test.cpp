#include "base/status.h"
#include "families/gguf_config.h"
#include "model/layers/gqa.h"
#include "model/layers/mla.h"
#include "model/layers/moe.h"
#include "support/gguf_builder.h"
#include "weights/gguf_source.h"

#include <doctest/doctest.h>

#include <map>

using namespace abyssal;
using namespace test;

namespace {

// Every key is set once, so that a test may choose another value, or none.
class Keys {
public:
  Keys &set(const std::string &key, const std::string &entry_bytes, std::uint32_t type) {
    values_[key] = {type, entry_bytes};
    return *this;
  }
  Keys &u32(const std::string &key, std::uint32_t value) { return set(key, Bytes().number(value).get(), kGgufU32); }
  Keys &u64(const std::string &key, std::uint64_t value) { return set(key, Bytes().number(value).get(), kGgufU64); }
  Keys &f32(const std::string &key, float value) { return set(key, Bytes().number(value).get(), kGgufF32); }
  Keys &text(const std::string &key, const std::string &value) {
    return set(key, Bytes().text(value).get(), kGgufText);
  }
  Keys &boolean(const std::string &key, bool value) {
    return set(key, Bytes().number(static_cast<std::uint8_t>(value)).get(), kGgufBool);
  }
  Keys &drop(const std::string &key) {
    REQUIRE(values_.erase(key) == 1);
    return *this;
  }
  GgufBuilder builder() const {
    GgufBuilder made;
    for (const auto &[key, value] : values_)
      made.entry(key, value.first, value.second);
    return made;
  }

private:
  std::map<std::string, std::pair<std::uint32_t, std::string>> values_;
};

Keys deepseek() {
  const std::string p = "deepseek2.";
  return Keys()
      .text("general.architecture", "deepseek2")
      .u32(p + "context_length", 4096)
      .u32(p + "embedding_length", 128)
      .u32(p + "feed_forward_length", 256)
      .u32(p + "block_count", 3)
      .u32(p + "attention.head_count", 4)
      .u32(p + "attention.head_count_kv", 1)
      .f32(p + "attention.layer_norm_rms_epsilon", 1e-6f)
      .u32(p + "attention.kv_lora_rank", 64)
      .u32(p + "attention.key_length", 80)
      .u32(p + "attention.value_length", 64)
      .u32(p + "attention.key_length_mla", 48)
      .u32(p + "attention.value_length_mla", 32)
      .u32(p + "rope.dimension_count", 16)
      .u32(p + "vocab_size", 1000)
      .u32(p + "expert_count", 8)
      .u32(p + "expert_used_count", 2)
      .u32(p + "expert_shared_count", 1)
      .u32(p + "expert_feed_forward_length", 64)
      .u32(p + "leading_dense_block_count", 1)
      .u32("tokenizer.ggml.bos_token_id", 1)
      .u32("tokenizer.ggml.eos_token_id", 2);
}

Keys llama() {
  const std::string p = "llama.";
  return Keys()
      .text("general.architecture", "llama")
      .u32(p + "context_length", 4096)
      .u32(p + "embedding_length", 128)
      .u32(p + "feed_forward_length", 256)
      .u32(p + "block_count", 2)
      .u32(p + "attention.head_count", 4)
      .u32(p + "attention.head_count_kv", 2)
      .f32(p + "attention.layer_norm_rms_epsilon", 1e-5f)
      .f32(p + "rope.freq_base", 500000.0f)
      .u32(p + "vocab_size", 1000);
}

const MlaSpec &mla(const ModelSpec &spec) { return dynamic_cast<const MlaSpec &>(spec.attention()); }
const GqaSpec &gqa(const ModelSpec &spec) { return dynamic_cast<const GqaSpec &>(spec.attention()); }
const MoeSpec &moe(const ModelSpec &spec) { return dynamic_cast<const MoeSpec &>(*spec.layers.back().feed_forward); }

ModelSpec parse(const GgufBuilder &builder) {
  const TemporaryFolder folder("config");
  const auto model = GgufModel::open(folder.write("model.gguf", builder.bytes()));
  return parse_gguf_config(model->metadata(), *make_gguf_source(model));
}

void refused(const Keys &keys, aby_status status, const std::vector<std::string> &parts) {
  try {
    parse(keys.builder());
    CHECK(status == ABY_OK);
  } catch (const Error &error) {
    INFO(error.text());
    CHECK(error.status() == status);
    CHECK(error.text().find("model.gguf") != std::string::npos);
    for (const std::string &part : parts) {
      INFO(part);
      CHECK(error.text().find(part) != std::string::npos);
    }
  }
}

} // namespace

TEST_CASE("deepseek2: heads of split files, no q_lora, softmax without groups unless said") {
  const ModelSpec c = parse(deepseek().builder());
  CHECK(c.model_type == "deepseek_v2");
  CHECK(std::string(c.attention().info().name) == "mla");
  CHECK(mla(c).q_lora_rank == 0);
  CHECK(mla(c).qk_nope_head_dim == 32);
  CHECK(mla(c).qk_rope_head_dim == 16);
  CHECK(mla(c).v_head_dim == 32);
  CHECK(moe(c).scoring == ABK_SCORING_SOFTMAX);
  CHECK(moe(c).topk_method == ABK_TOPK_GREEDY);
  CHECK_FALSE(moe(c).norm_topk_prob);
  CHECK(moe(c).routed_scaling_factor == 1.0f);
  CHECK(c.layers[0].feed_forward->routed().experts == 0);
  CHECK(c.layers[1].feed_forward->routed().experts > 0);
  CHECK(c.rope.scaling == RopeScaling::kNone);
  CHECK(c.rope.theta == 10000.0);
  CHECK(c.bos_token_id == 1);
  CHECK(c.eos_token_ids == std::vector<std::int32_t>{2});
  CHECK(c.tie_word_embeddings); // no tensors at all
}

TEST_CASE("deepseek2: files without the _mla keys, groups, sigmoid with a bias, scales") {
  const std::string p = "deepseek2.";
  Keys keys = deepseek();
  keys.drop(p + "attention.key_length_mla").drop(p + "attention.value_length_mla").u32(p + "attention.key_length", 48);
  keys.u32(p + "attention.value_length", 24).u32(p + "attention.q_lora_rank", 40).u32(p + "expert_gating_func", 2);
  keys.u32(p + "expert_group_count", 4).u32(p + "expert_group_used_count", 2).boolean(p + "expert_weights_norm", true);
  keys.f32(p + "expert_weights_scale", 2.5f).u32("tokenizer.ggml.eot_token_id", 9);
  const ModelSpec c = parse(keys.builder().floats("blk.2.exp_probs_b.bias", {8}).floats("output.weight", {4, 4}));
  CHECK(c.model_type == "deepseek_v3");
  CHECK(mla(c).qk_nope_head_dim == 32);
  CHECK(mla(c).v_head_dim == 24);
  CHECK(mla(c).q_lora_rank == 40);
  CHECK(moe(c).scoring == ABK_SCORING_SIGMOID);
  CHECK(moe(c).topk_method == ABK_TOPK_NOAUX_TC);
  CHECK(moe(c).n_group == 4);
  CHECK(moe(c).topk_group == 2);
  CHECK(moe(c).norm_topk_prob);
  CHECK(moe(c).routed_scaling_factor == 2.5f);
  CHECK(c.eos_token_ids == std::vector<std::int32_t>{2, 9});
  CHECK_FALSE(c.tie_word_embeddings);
  CHECK(moe(parse(keys.builder())).topk_method == ABK_TOPK_GROUP_LIMITED_GREEDY); // no bias
  keys.f32(p + "expert_weights_scale", 0).u32(p + "expert_group_count", 0);
  CHECK(moe(parse(keys.builder())).routed_scaling_factor == 1.0f);
  CHECK(moe(parse(keys.builder())).topk_method == ABK_TOPK_GREEDY);
  keys.u32(p + "nextn_predict_layers", 1);
  CHECK(parse(keys.builder()).layer_count() == 2);
}

TEST_CASE("YaRN: absent numbers, the multiplier, and the same without one") {
  Keys keys = deepseek();
  const std::string p = "deepseek2.rope.scaling.";
  keys.text(p + "type", "yarn").f32(p + "factor", 40).u32(p + "original_context_length", 4096);
  ModelSpec c = parse(keys.builder());
  CHECK(c.rope.scaling == RopeScaling::kYarn);
  CHECK(c.rope.beta_fast == 32.0);
  CHECK(c.rope.beta_slow == 1.0);
  CHECK(c.rope.mscale_all_dim == 0.0);
  CHECK(c.rope.mscale == 0.0);
  keys.f32(p + "yarn_log_multiplier", 0.0707f).f32(p + "yarn_beta_fast", 16);
  c = parse(keys.builder());
  CHECK(c.rope.mscale_all_dim == doctest::Approx(0.707));
  CHECK(c.rope.mscale == c.rope.mscale_all_dim);
  CHECK(c.rope.beta_fast == 16.0);
  refused(Keys(keys).drop(p + "factor"), ABY_ERROR_FORMAT, {"rope.scaling.factor is missing"});
  refused(Keys(keys).text(p + "type", "longrope"), ABY_ERROR_UNSUPPORTED, {"longrope"});
  refused(Keys(keys).f32(p + "yarn_attn_factor", 2), ABY_ERROR_UNSUPPORTED, {"yarn_attn_factor"});
}

TEST_CASE("llama and qwen2: head sizes, biases by what is there, divisors, sampling") {
  Keys keys = llama();
  keys.f32("general.sampling.temp", 0.5f).f32("general.sampling.top_p", 0.9f).u32("general.sampling.top_k", 20);
  ModelSpec c = parse(keys.builder().floats("rope_freqs.weight", {16}, 1));
  CHECK(c.model_type == "llama");
  CHECK(gqa(c).head_dim == 32);
  CHECK(gqa(c).kv_heads == 2);
  CHECK(c.rope.frequency_divisors.size() == 16);
  CHECK(c.rope.frequency_divisors[15] == 16.0f);
  CHECK_FALSE(gqa(c).qkv_bias);
  CHECK(*c.temperature == 0.5f);
  CHECK(*c.top_p == 0.9f);
  CHECK(*c.top_k == 20);
  keys.drop("llama.vocab_size");
  c = parse(keys.builder().floats("blk.0.attn_q.bias", {128}).floats("token_embd.weight", {128, 10}));
  CHECK(gqa(c).qkv_bias);
  CHECK_FALSE(gqa(c).o_bias);
  CHECK(c.vocab_size == 10);
  CHECK_THROWS_WITH(parse(llama().builder().floats("rope_freqs.weight", {15}, 1)), doctest::Contains("rope_freqs"));
  CHECK_THROWS_WITH(parse(llama().builder().floats("rope_freqs.weight", {16}, -3)),
                    doctest::Contains("element 0 is -3"));
  refused(Keys(llama()).u32("llama.attention.key_length", 64).u32("llama.rope.dimension_count", 32),
          ABY_ERROR_UNSUPPORTED, {"rope.dimension_count", "is 32"});
  refused(Keys(llama()).u32("llama.expert_count", 8), ABY_ERROR_UNSUPPORTED, {"expert_count"});
  refused(Keys(llama()).f32("general.sampling.top_p", 7), ABY_ERROR_FORMAT, {"top_p"});
}

TEST_CASE("other architectures are refused by name, whatever else is there") {
  refused(Keys().text("general.architecture", "mamba"), ABY_ERROR_UNSUPPORTED,
          {"\"mamba\"", "deepseek2, qwen2, llama"});
  refused(Keys(), ABY_ERROR_FORMAT, {"general.architecture is missing"});
  refused(Keys().u32("general.architecture", 3), ABY_ERROR_FORMAT, {"general.architecture", "expected a text"});
}

TEST_CASE("numbers that make no sense name the key of the file") {
  const std::string p = "deepseek2.";
  const auto wild = [&](const std::string &key, std::uint64_t value) {
    CAPTURE(value);
    refused(deepseek().u64(p + key, value), ABY_ERROR_FORMAT, {key});
  };
  for (const char *key :
       {"context_length", "embedding_length", "feed_forward_length", "block_count", "attention.head_count",
        "attention.kv_lora_rank", "attention.key_length_mla", "attention.value_length_mla", "rope.dimension_count",
        "vocab_size", "expert_used_count", "expert_feed_forward_length"}) {
    CAPTURE(std::string(key));
    wild(key, 0);
    wild(key, std::uint64_t{1} << 40);
    wild(key, std::uint64_t{1} << 62);
    wild(key, ~std::uint64_t{0});
    refused(deepseek().text(p + key, "7"), ABY_ERROR_FORMAT, {key});
    refused(deepseek().f32(p + key, 0.5f), ABY_ERROR_FORMAT, {key});
    refused(deepseek().set(p + key, Bytes().number<std::uint32_t>(kGgufU32).number<std::uint64_t>(0).get(), kGgufArray),
            ABY_ERROR_FORMAT, {key});
    if (std::string(key).find("_mla") == std::string::npos && std::string(key) != "vocab_size")
      refused(deepseek().drop(p + key), ABY_ERROR_FORMAT, {key});
  }
  for (const char *key : {"expert_count", "expert_group_count", "leading_dense_block_count", "attention.q_lora_rank",
                          "expert_shared_count"})
    wild(key, std::uint64_t{1} << 40);
  wild("nextn_predict_layers", 5);
  wild("nextn_predict_layers", std::uint64_t{1} << 62);
  refused(deepseek().drop(p + "vocab_size"), ABY_ERROR_FORMAT, {"vocab_size"});
  refused(deepseek().drop(p + "attention.layer_norm_rms_epsilon"), ABY_ERROR_FORMAT, {"layer_norm_rms_epsilon"});
  refused(deepseek().u32(p + "expert_gating_func", 3), ABY_ERROR_UNSUPPORTED, {"expert_gating_func", "3"});
  refused(deepseek().u32(p + "rope.dimension_count", 48), ABY_ERROR_FORMAT, {"rope.dimension_count"});
}
