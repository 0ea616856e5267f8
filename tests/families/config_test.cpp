// Configs: the published families, and numbers that make no sense.
#include "base/mapped_file.h"
#include "base/status.h"
#include "families/config.h"
#include "model/layers/gqa.h"
#include "model/layers/mla.h"
#include "model/layers/moe.h"

#include <doctest/doctest.h>

#include <string>

using namespace abyssal;

namespace {

// The sizes of a DeepSeek-V3, without what a test adds.
const std::string kV3 = R"("model_type":"deepseek_v3","hidden_size":7168,"intermediate_size":18432,
  "moe_intermediate_size":2048,"num_hidden_layers":61,"num_attention_heads":128,"num_key_value_heads":128,
  "vocab_size":129280,"max_position_embeddings":163840,"rms_norm_eps":1e-06,"hidden_act":"silu","rope_theta":10000,
  "kv_lora_rank":512,"qk_nope_head_dim":128,"qk_rope_head_dim":64,"v_head_dim":128,"n_routed_experts":256,
  "n_shared_experts":1,"num_experts_per_tok":8,"first_k_dense_replace":3,"moe_layer_freq":1,"n_group":8,"topk_group":4,
  "routed_scaling_factor":2.5,"norm_topk_prob":true)";

const MlaSpec &mla(const ModelSpec &spec) { return dynamic_cast<const MlaSpec &>(spec.attention()); }
const GqaSpec &gqa(const ModelSpec &spec) { return dynamic_cast<const GqaSpec &>(spec.attention()); }
const MoeSpec &moe(const ModelSpec &spec) { return dynamic_cast<const MoeSpec &>(*spec.layers.back().feed_forward); }

ModelSpec parse(const std::string &fields) { return parse_config("{" + fields + "}", "config.json"); }

// kV3 with one field changed, and what comes of it.
Error changed(const std::string &name, const std::string &value) {
  std::string fields = kV3;
  const auto at = fields.find("\"" + name + "\":");
  if (at == std::string::npos) {
    fields += ",\"" + name + "\":" + value;
  } else {
    const auto begin = at + name.size() + 3;
    const auto end = fields.find(',', begin);
    fields.replace(begin, (end == std::string::npos ? fields.size() : end) - begin, value);
  }
  try {
    parse(fields);
  } catch (const Error &error) {
    return error;
  }
  return {ABY_OK, "parsed"};
}

void refused(const std::string &name, const std::string &value, aby_status status = ABY_ERROR_FORMAT) {
  const Error error = changed(name, value);
  INFO(name << " = " << value << ": " << error.text());
  CHECK(error.status() == status);
  CHECK(error.text().find("config.json") != std::string::npos);
}

} // namespace

TEST_CASE("every conformance checkpoint's config") {
  for (const std::string name : {"tiny-v2-lite", "tiny-v2", "tiny-v3", "tiny-v3-fp8", "tiny-kimi-k2",
                                 "tiny-r1-distill-qwen", "tiny-r1-distill-llama"}) {
    const std::string folder = std::string(ABYSSAL_TEST_DATA) + "/conformance/" + name;
    ModelSpec config = parse_config(read_text_file(folder + "/config.json"), name);
    parse_generation_config(config, read_text_file(folder + "/generation_config.json"), name);
    CHECK(config.vocab_size == 1280);
    CHECK(config.eos_token_ids == std::vector<std::int32_t>{1});
    CHECK(config.bos_token_id == 0);
    CHECK(*config.temperature == doctest::Approx(0.6));
    CHECK(*config.top_p == doctest::Approx(0.95));
  }
}

TEST_CASE("DeepSeek-V3 and R1 as published: fp8, YaRN, grouped sigmoid routing, MTP") {
  const ModelSpec c = parse(kV3 + R"(,"q_lora_rank":1536,"topk_method":"noaux_tc","scoring_func":"sigmoid",
    "num_nextn_predict_layers":1,"ep_size":1,"eos_token_id":1,"bos_token_id":0,
    "quantization_config":{"activation_scheme":"dynamic","fmt":"e4m3","quant_method":"fp8","weight_block_size":[128,128]},
    "rope_scaling":{"beta_fast":32,"beta_slow":1,"factor":40,"mscale":1.0,"mscale_all_dim":1.0,
    "original_max_position_embeddings":4096,"type":"yarn"})");
  CHECK(mla(c).q_lora_rank == 1536);
  CHECK(moe(c).topk_method == ABK_TOPK_NOAUX_TC);
  CHECK(moe(c).scoring == ABK_SCORING_SIGMOID);
  CHECK(c.fp8.enabled);
  CHECK(c.rope.scaling == RopeScaling::kYarn);
  CHECK(c.rope.factor == 40);
  CHECK(c.mtp);
  CHECK(c.layers[2].feed_forward->routed().experts == 0);
  CHECK(c.layers[3].feed_forward->routed().experts == 256);
  CHECK(c.mtp->feed_forward->routed().top_k == 8);
}

TEST_CASE("Moonlight: no q_lora, no groups, no RoPE scaling; method and score left out") {
  const ModelSpec c = parse(R"("model_type":"deepseek_v3","hidden_size":2048,"intermediate_size":11264,
    "moe_intermediate_size":1408,"num_hidden_layers":27,"num_attention_heads":16,"vocab_size":163840,
    "max_position_embeddings":8192,"q_lora_rank":null,"kv_lora_rank":512,"qk_nope_head_dim":128,"qk_rope_head_dim":64,
    "v_head_dim":128,"n_routed_experts":64,"n_shared_experts":2,"num_experts_per_tok":6,"first_k_dense_replace":1,
    "n_group":1,"topk_group":1,"norm_topk_prob":true,"routed_scaling_factor":2.446,"rope_theta":50000.0,
    "rope_scaling":null,"rms_norm_eps":1e-5)");
  CHECK(mla(c).q_lora_rank == 0);
  CHECK(moe(c).topk_method == ABK_TOPK_NOAUX_TC);
  CHECK(moe(c).scoring == ABK_SCORING_SIGMOID);
  CHECK(c.rope.scaling == RopeScaling::kNone);
  CHECK(c.rms_norm_eps == doctest::Approx(1e-5));
}

TEST_CASE("V2-Lite: softmax, greedy, its groups without effect") {
  std::string fields = kV3;
  fields.replace(fields.find("deepseek_v3"), 11, "deepseek_v2");
  const ModelSpec c = parse(fields + R"(,"topk_method":"greedy","scoring_func":"softmax","q_lora_rank":null)");
  CHECK(moe(c).scoring == ABK_SCORING_SOFTMAX);
  CHECK(moe(c).topk_method == ABK_TOPK_GREEDY);
  CHECK(moe(c).n_group == 1);
}

TEST_CASE("the distilled models: biases, head size, tied embeddings, Llama 3 scaling") {
  const ModelSpec qwen = parse(R"("architectures":["Qwen2ForCausalLM"],"hidden_size":1536,"intermediate_size":8960,
    "num_hidden_layers":28,"num_attention_heads":12,"num_key_value_heads":2,"vocab_size":151936,
    "max_position_embeddings":131072,"use_sliding_window":false,"sliding_window":4096,"max_window_layers":21,
    "rope_theta":10000,"eos_token_id":151643,"tie_word_embeddings":false)");
  CHECK(qwen.model_type == "qwen2");
  CHECK(gqa(qwen).head_dim == 128);
  CHECK(gqa(qwen).qkv_bias);
  CHECK_FALSE(gqa(qwen).o_bias);
  const ModelSpec llama = parse(R"("model_type":"llama","hidden_size":4096,"intermediate_size":14336,
    "num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"vocab_size":128256,
    "max_position_embeddings":131072,"rope_theta":500000.0,"eos_token_id":[128001,128008],"rope_scaling":{"factor":8.0,
    "high_freq_factor":4.0,"low_freq_factor":1.0,"original_max_position_embeddings":8192,"rope_type":"llama3"})");
  CHECK_FALSE(gqa(llama).qkv_bias);
  CHECK(llama.rope.scaling == RopeScaling::kLlama3);
  CHECK(llama.eos_token_ids == std::vector<std::int32_t>{128001, 128008});
  const ModelSpec newer = parse(R"("model_type":"llama","hidden_size":64,"intermediate_size":64,
    "num_hidden_layers":1,"num_attention_heads":4,"vocab_size":10,"max_position_embeddings":64,
    "rope_parameters":{"rope_type":"default","rope_theta":12345.0})");
  CHECK(newer.rope.theta == 12345.0);
}

TEST_CASE("architectures and features that are not supported are named") {
  for (const std::string type : {"mistral", "deepseek_v32", "gemma3", "mamba"}) {
    const Error error = changed("model_type", "\"" + type + "\"");
    CHECK(error.status() == ABY_ERROR_UNSUPPORTED);
    CHECK(error.text().find(type) != std::string::npos);
    CHECK(error.text().find("deepseek_v3") != std::string::npos);
  }
  refused("hidden_act", "\"gelu\"", ABY_ERROR_UNSUPPORTED);
  refused("scoring_func", "\"sqrtsoftplus\"", ABY_ERROR_UNSUPPORTED);
  refused("topk_method", "\"expert_choice\"", ABY_ERROR_UNSUPPORTED);
  refused("mlp_bias", "true", ABY_ERROR_UNSUPPORTED);
  refused("quantization_config", R"({"quant_method":"awq"})", ABY_ERROR_UNSUPPORTED);
  refused("rope_scaling", R"({"type":"longrope","factor":4})", ABY_ERROR_UNSUPPORTED);
}

TEST_CASE("absurd numbers are refused by name") {
  CHECK(changed("rms_norm_eps", "1e-06").status() == ABY_OK);
  for (const char *name :
       {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
        "max_position_embeddings", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim",
        "num_experts_per_tok", "moe_intermediate_size", "moe_layer_freq", "n_group", "topk_group"}) {
    for (const char *value :
         {"0", "-1", "1152921504606846976", "18446744073709551615", "1e300", "2.5", "\"7\"", "[]", "{}", "true"})
      refused(name, value);
    CHECK(changed(name, "0").text().find(name) != std::string::npos);
  }
  refused("hidden_size", "null");
  refused("num_experts_per_tok", "257");
  refused("n_group", "7");
  refused("topk_group", "9");
  refused("topk_group", "0");
  refused("qk_rope_head_dim", "63");
  refused("routed_scaling_factor", "-1");
  refused("routed_scaling_factor", "\"x\"");
  refused("rms_norm_eps", "0");
  refused("norm_topk_prob", "1");
  refused("rope_theta", "0");
  refused("rope_scaling", R"({"type":"yarn","factor":-4})");
  refused("rope_scaling", "5");
  refused("quantization_config", R"({"quant_method":"fp8","weight_block_size":[128]})");
  refused("quantization_config", R"({"quant_method":"fp8","weight_block_size":[0,128]})");
  refused("eos_token_id", "[-1]");
}

TEST_CASE("what is no JSON object") {
  for (const std::string text : {"", "{", "[]", "7", "nul", "{\"a\":\xff}"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_config(text, "config.json"), Error);
  }
  CHECK_THROWS_WITH(parse_config(std::string(100000, '['), "config.json"), doctest::Contains("nested"));
}
