#include "model/config.h"

#include "base/status.h"
#include "model/config_fields.h"

#include <algorithm>
#include <array>
#include <limits>

namespace abyssal {

namespace {

// Far above every published model, and small enough that no product of sizes overflows.
constexpr std::int64_t kMostLayers = 1000, kMostHidden = 1 << 20, kMostHeads = 1 << 14, kMostHeadDim = 1 << 14;
constexpr std::int64_t kMostExperts = 1 << 14, kMostVocab = 1 << 28, kMostTokens = 1 << 30;
constexpr std::int64_t kMostToken = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMostAttentionWidth = 1 << 26; // heads * head size

constexpr std::array kArchitectures = {"deepseek_v2", "deepseek_v3", "kimi_k2", "qwen2", "llama"};

bool is_deepseek(const std::string &model_type) { return model_type != "qwen2" && model_type != "llama"; }

// The family, from model_type; a checkpoint without one is known by its first architecture.
std::string read_model_type(const ConfigFields &fields) {
  std::string type = fields.text_or("model_type", "");
  if (type.empty()) {
    const auto names = fields.texts("architectures");
    const std::string name = names.empty() ? "" : names.front();
    if (name == "DeepseekV2ForCausalLM")
      type = "deepseek_v2";
    else if (name == "DeepseekV3ForCausalLM")
      type = "deepseek_v3";
    else if (name == "Qwen2ForCausalLM")
      type = "qwen2";
    else if (name == "LlamaForCausalLM")
      type = "llama";
    else
      fields.refuse("model_type", "the name of an architecture");
  }
  if (std::find(kArchitectures.begin(), kArchitectures.end(), type) == kArchitectures.end()) {
    std::string known;
    for (const char *name : kArchitectures)
      known += (known.empty() ? "" : ", ") + std::string(name);
    fields.unsupported("architecture \"" + type + "\" is not supported; supported are: " + known);
  }
  return type;
}

void read_common(ModelConfig &c, const ConfigFields &fields) {
  c.hidden_size = fields.integer("hidden_size", 1, kMostHidden);
  c.intermediate_size = fields.integer("intermediate_size", 1, kMostHidden);
  c.num_hidden_layers = fields.integer("num_hidden_layers", 1, kMostLayers);
  c.vocab_size = fields.integer("vocab_size", 1, kMostVocab);
  c.num_attention_heads = fields.integer("num_attention_heads", 1, kMostHeads);
  c.max_position_embeddings = fields.integer("max_position_embeddings", 1, kMostTokens);
  c.rms_norm_eps = static_cast<float>(fields.positive_or("rms_norm_eps", 1e-6));
  c.tie_word_embeddings = fields.boolean_or("tie_word_embeddings", false);
  const std::string act = fields.text_or("hidden_act", "silu");
  if (act != "silu")
    fields.unsupported("hidden_act \"" + act + "\" is not supported; supported is: silu");
  if (fields.boolean_or("mlp_bias", false))
    fields.unsupported("mlp_bias is not supported");
}

void read_mla(ModelConfig &c, const ConfigFields &fields) {
  c.attention = Attention::kMla;
  c.num_key_value_heads = c.num_attention_heads;
  c.q_lora_rank = fields.integer_or("q_lora_rank", 0, 0, kMostHidden);
  c.kv_lora_rank = fields.integer("kv_lora_rank", 1, kMostHeadDim);
  c.qk_nope_head_dim = fields.integer("qk_nope_head_dim", 1, kMostHeadDim);
  c.qk_rope_head_dim = fields.integer("qk_rope_head_dim", 2, kMostHeadDim);
  c.v_head_dim = fields.integer("v_head_dim", 1, kMostHeadDim);
  if (c.qk_rope_head_dim % 2 != 0)
    fields.refuse("qk_rope_head_dim", "an even number");
  const std::int64_t widest = std::max(c.qk_nope_head_dim + c.qk_rope_head_dim, c.qk_nope_head_dim + c.v_head_dim);
  if (c.num_attention_heads * widest > kMostAttentionWidth)
    fields.refuse("num_attention_heads", concat("heads times head size of at most ", kMostAttentionWidth));
  c.attention_bias = fields.boolean_or("attention_bias", false);
  c.attention_o_bias = c.attention_bias;
}

// Sliding windows are refused unless they are as long as the context, where they change nothing.
void check_window(const ModelConfig &c, const ConfigFields &fields) {
  if (fields.boolean_or("use_sliding_window", false) && fields.has("sliding_window") &&
      fields.integer("sliding_window", 1, kMostTokens) < c.max_position_embeddings)
    fields.unsupported("sliding windows (use_sliding_window) are not supported");
  const auto types = fields.texts("layer_types");
  const auto other = std::find_if(types.begin(), types.end(), [](const auto &t) { return t != "full_attention"; });
  if (other != types.end())
    fields.unsupported("layer_types \"" + *other + "\" is not supported; supported is: full_attention");
}

void read_gqa(ModelConfig &c, const ConfigFields &fields) {
  c.attention = Attention::kGqa;
  c.num_key_value_heads = fields.integer_or("num_key_value_heads", c.num_attention_heads, 1, kMostHeads);
  if (c.num_attention_heads % c.num_key_value_heads != 0)
    fields.refuse("num_key_value_heads", concat("a divisor of num_attention_heads, ", c.num_attention_heads));
  if (!fields.has("head_dim") && c.hidden_size % c.num_attention_heads != 0)
    fields.refuse("num_attention_heads", concat("a divisor of hidden_size, ", c.hidden_size));
  c.head_dim = fields.integer_or("head_dim", c.hidden_size / c.num_attention_heads, 2, kMostHeadDim);
  if (c.head_dim < 2 || c.head_dim % 2 != 0)
    fields.refuse("head_dim", "an even number of 2 or more");
  if (std::int64_t{c.num_attention_heads} * c.head_dim > kMostAttentionWidth)
    fields.refuse("num_attention_heads", concat("heads times head_dim of at most ", kMostAttentionWidth));
  const bool qwen = c.model_type == "qwen2";
  c.attention_bias = qwen || fields.boolean_or("attention_bias", false);
  c.attention_o_bias = !qwen && c.attention_bias;
  check_window(c, fields);
}

void read_router(ModelConfig &c, const ConfigFields &fields) {
  const bool v2 = c.model_type == "deepseek_v2";
  const std::string scoring = fields.text_or("scoring_func", v2 ? "softmax" : "sigmoid");
  if (scoring == "softmax")
    c.scoring = ABK_SCORING_SOFTMAX;
  else if (scoring == "sigmoid")
    c.scoring = ABK_SCORING_SIGMOID;
  else
    fields.unsupported("scoring_func \"" + scoring + "\" is not supported; supported are: softmax, sigmoid");
  const std::string method = fields.text_or("topk_method", v2 ? "greedy" : "noaux_tc");
  if (method == "greedy")
    c.topk_method = ABK_TOPK_GREEDY;
  else if (method == "group_limited_greedy")
    c.topk_method = ABK_TOPK_GROUP_LIMITED_GREEDY;
  else if (method == "noaux_tc")
    c.topk_method = ABK_TOPK_NOAUX_TC;
  else
    fields.unsupported("topk_method \"" + method +
                       "\" is not supported; supported are: greedy, group_limited_greedy, noaux_tc");
  c.norm_topk_prob = fields.boolean_or("norm_topk_prob", !v2);
  c.routed_scaling_factor = static_cast<float>(fields.positive_or("routed_scaling_factor", 1.0));
  c.n_group = fields.integer_or("n_group", 1, 1, kMostExperts);
  c.topk_group = fields.integer_or("topk_group", 1, 1, kMostExperts);
  if (c.n_routed_experts % c.n_group != 0)
    fields.refuse("n_group", concat("a divisor of n_routed_experts, ", c.n_routed_experts));
  if (c.topk_group > c.n_group)
    fields.refuse("topk_group", concat("at most n_group, ", c.n_group));
  if (c.topk_method == ABK_TOPK_GREEDY) // takes no notice of groups
    c.n_group = c.topk_group = 1;
  const std::int32_t eligible = c.n_routed_experts / c.n_group * c.topk_group;
  if (c.num_experts_per_tok > eligible)
    fields.refuse("num_experts_per_tok", concat("at most ", eligible, ", the experts in topk_group groups"));
}

void read_moe(ModelConfig &c, const ConfigFields &fields) {
  c.num_nextn_predict_layers = fields.integer_or("num_nextn_predict_layers", 0, 0, kMostLayers);
  c.n_routed_experts = fields.integer_or("n_routed_experts", 0, 0, kMostExperts);
  if (c.n_routed_experts == 0)
    return;
  c.n_shared_experts = fields.integer_or("n_shared_experts", 0, 0, 1024);
  c.num_experts_per_tok = fields.integer("num_experts_per_tok", 1, c.n_routed_experts);
  c.moe_intermediate_size = fields.integer("moe_intermediate_size", 1, kMostHidden);
  c.first_k_dense_replace = fields.integer_or("first_k_dense_replace", 0, 0, kMostLayers);
  c.moe_layer_freq = fields.integer_or("moe_layer_freq", 1, 1, kMostLayers);
  read_router(c, fields);
}

void read_yarn(RopeConfig &rope, const ConfigFields &scaling) {
  rope.scaling = RopeScaling::kYarn;
  rope.beta_fast = scaling.positive_or("beta_fast", 32);
  rope.beta_slow = scaling.positive_or("beta_slow", 1);
  rope.mscale = scaling.number_or("mscale", 1);
  rope.mscale_all_dim = scaling.number_or("mscale_all_dim", 0);
  if (scaling.has("attention_factor"))
    scaling.unsupported("attention_factor is not supported");
}

void read_llama3(RopeConfig &rope, const ConfigFields &scaling) {
  rope.scaling = RopeScaling::kLlama3;
  rope.low_freq_factor = scaling.positive_or("low_freq_factor", 1);
  rope.high_freq_factor = scaling.positive_or("high_freq_factor", 4);
  if (rope.high_freq_factor <= rope.low_freq_factor)
    scaling.refuse("high_freq_factor", "more than low_freq_factor");
}

// rope_theta and rope_scaling; newer writers put both into rope_parameters.
void read_rope(ModelConfig &c, const ConfigFields &fields) {
  RopeConfig &rope = c.rope;
  const auto parameters = fields.object("rope_parameters");
  rope.theta = fields.positive_or("rope_theta", parameters ? parameters->positive_or("rope_theta", 10000) : 10000);
  const auto scaling = fields.has("rope_scaling") ? fields.object("rope_scaling") : parameters;
  if (!scaling)
    return;
  const std::string type = scaling->text_or("rope_type", scaling->text_or("type", "default"));
  if (type == "default")
    return;
  rope.factor = scaling->positive_or("factor", 1);
  if (rope.factor < 1)
    scaling->refuse("factor", "a number of 1 or more");
  rope.original_max_position_embeddings =
      scaling->positive_or("original_max_position_embeddings", c.max_position_embeddings);
  if (type == "yarn")
    read_yarn(rope, *scaling);
  else if (type == "llama3")
    read_llama3(rope, *scaling);
  else if (type == "linear")
    rope.scaling = RopeScaling::kLinear;
  else
    scaling->unsupported("RoPE scaling \"" + type + "\" is not supported; supported are: yarn, llama3, linear");
}

void read_quantization(ModelConfig &c, const ConfigFields &fields) {
  const auto quantization = fields.object("quantization_config");
  if (!quantization)
    return;
  const std::string method = quantization->text_or("quant_method", "");
  if (method != "fp8")
    quantization->unsupported("quant_method \"" + method + "\" is not supported; supported is: fp8");
  const std::string format = quantization->text_or("fmt", "e4m3");
  if (format != "e4m3")
    quantization->unsupported("fmt \"" + format + "\" is not supported; supported is: e4m3");
  const auto block = quantization->integers("weight_block_size", 1, 1 << 20);
  if (block.size() != 2)
    quantization->refuse("weight_block_size", "two numbers, such as [128, 128]");
  c.fp8 = {true, block[0], block[1]};
}

void read_token_ids(ModelConfig &c, const ConfigFields &fields) {
  const auto bos = fields.integers("bos_token_id", 0, kMostToken);
  if (!bos.empty())
    c.bos_token_id = bos.front();
  if (fields.has("eos_token_id"))
    c.eos_token_ids = fields.integers("eos_token_id", 0, kMostToken);
}

} // namespace

ModelConfig parse_config(const std::string &json, const std::string &origin) {
  return parse_config(ConfigFields(json, origin));
}

ModelConfig parse_config(const ConfigFields &fields) {
  ModelConfig config;
  config.model_type = read_model_type(fields);
  read_common(config, fields);
  if (is_deepseek(config.model_type)) {
    read_mla(config, fields);
    read_moe(config, fields);
  } else {
    read_gqa(config, fields);
  }
  read_rope(config, fields);
  read_quantization(config, fields);
  read_token_ids(config, fields);
  return config;
}

void parse_generation_config(ModelConfig &config, const std::string &json, const std::string &origin) {
  const ConfigFields fields(json, origin);
  read_token_ids(config, fields);
  config.do_sample = fields.boolean_or("do_sample", true);
  if (fields.has("temperature")) {
    config.temperature = static_cast<float>(fields.number_or("temperature", 1));
    if (*config.temperature < 0)
      fields.refuse("temperature", "a number of 0 or more");
  }
  if (fields.has("top_p")) {
    config.top_p = static_cast<float>(fields.positive_or("top_p", 1));
    if (*config.top_p > 1)
      fields.refuse("top_p", "a number from 0 to 1");
  }
  if (fields.has("min_p")) {
    config.min_p = static_cast<float>(fields.number_or("min_p", 0));
    if (*config.min_p < 0 || *config.min_p > 1)
      fields.refuse("min_p", "a number from 0 to 1");
  }
  if (fields.has("top_k"))
    config.top_k = fields.integer("top_k", 0, kMostToken);
}

} // namespace abyssal
