// config.json and generation_config.json of every supported family, checked.
#pragma once

#include "backends/backend.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace abyssal {

class ConfigFields;

enum class Attention { kMla, kGqa };

enum class RopeScaling { kNone, kLinear, kYarn, kLlama3 };

struct RopeConfig {
  double theta = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;
  double original_max_position_embeddings = 0;
  double beta_fast = 32, beta_slow = 1;             // yarn
  double mscale = 1, mscale_all_dim = 0;            // yarn
  double low_freq_factor = 1, high_freq_factor = 4; // llama3
  std::vector<float> frequency_divisors = {};       // one per frequency, or none: how GGUF files store llama3's scaling
};

struct Fp8Config { // quantization_config
  bool enabled = false;
  std::int64_t block_n = 128, block_k = 128;
};

// Names are those of config.json. All sizes were checked: positive where they must be, products far from overflow.
struct ModelConfig {
  std::string model_type; // deepseek_v2, deepseek_v3, kimi_k2, qwen2, llama
  Attention attention = Attention::kMla;
  std::int32_t hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0, vocab_size = 0;
  std::int32_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0; // head_dim: grouped-query attention
  std::int32_t max_position_embeddings = 0;
  float rms_norm_eps = 1e-6f;
  bool tie_word_embeddings = false;
  bool attention_bias = false; // MLA: biases on q_a_proj, kv_a_proj_with_mqa, o_proj. GQA: on q, k, v (and o for llama)
  bool attention_o_bias = false; // o_proj has a bias
  bool mlp_bias = false;         // refused when set
  RopeConfig rope;

  // MLA; q_lora_rank 0: none.
  std::int32_t q_lora_rank = 0, kv_lora_rank = 0, qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;

  // MoE; n_routed_experts 0: a dense model.
  std::int32_t n_routed_experts = 0, n_shared_experts = 0, num_experts_per_tok = 0, moe_intermediate_size = 0;
  std::int32_t first_k_dense_replace = 0, moe_layer_freq = 1, n_group = 1, topk_group = 1;
  abk_scoring scoring = ABK_SCORING_SOFTMAX;
  abk_topk_method topk_method = ABK_TOPK_GREEDY;
  bool norm_topk_prob = false;
  float routed_scaling_factor = 1.0f;

  std::int32_t num_nextn_predict_layers = 0;
  Fp8Config fp8;

  std::int32_t bos_token_id = -1;
  std::vector<std::int32_t> eos_token_ids;

  // generation_config.json
  std::optional<float> temperature, top_p, min_p;
  std::optional<std::int32_t> top_k;
  bool do_sample = true;

  bool is_moe_layer(std::int32_t layer) const noexcept {
    return n_routed_experts > 0 && layer >= first_k_dense_replace && layer % moe_layer_freq == 0;
  }
};

// Parses the text of config.json. origin names it in messages. Throws FORMAT (invalid JSON, absurd or contradictory
// numbers, each named) or UNSUPPORTED (an architecture or feature this library does not run, named).
ModelConfig parse_config(const std::string &json, const std::string &origin);
ModelConfig parse_config(const ConfigFields &fields);

// Merges generation_config.json: sampling defaults, eos and bos ids.
void parse_generation_config(ModelConfig &config, const std::string &json, const std::string &origin);

} // namespace abyssal
