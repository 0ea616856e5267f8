// DeepSeek-V2, V3 and R1, and Kimi-K2 and Moonlight, which have V3's layers: latent attention, experts, MTP.
#include "base/status.h"
#include "families/family.h"
#include "families/limits.h"
#include "model/layers/mla.h"
#include "model/layers/mlp.h"
#include "model/layers/moe.h"

#include <algorithm>

namespace abyssal {

namespace {

MlaSpec read_mla(const ConfigFields &fields) {
  MlaSpec mla;
  mla.heads = fields.integer("num_attention_heads", 1, kMostHeads);
  mla.q_lora_rank = fields.integer_or("q_lora_rank", 0, 0, kMostHidden);
  mla.kv_lora_rank = fields.integer("kv_lora_rank", 1, kMostHeadDim);
  mla.qk_nope_head_dim = fields.integer("qk_nope_head_dim", 1, kMostHeadDim);
  mla.qk_rope_head_dim = fields.integer("qk_rope_head_dim", 2, kMostHeadDim);
  mla.v_head_dim = fields.integer("v_head_dim", 1, kMostHeadDim);
  if (mla.qk_rope_head_dim % 2 != 0)
    fields.refuse("qk_rope_head_dim", "an even number");
  const std::int64_t widest =
      std::max(mla.qk_nope_head_dim + mla.qk_rope_head_dim, mla.qk_nope_head_dim + mla.v_head_dim);
  if (mla.heads * widest > kMostAttentionWidth)
    fields.refuse("num_attention_heads", concat("heads times head size of at most ", kMostAttentionWidth));
  mla.bias = fields.boolean_or("attention_bias", false);
  return mla;
}

// Where a config does not say, V2 and its successors differ.
void read_router(MoeSpec &moe, bool v2, const ConfigFields &fields) {
  const std::string scoring = fields.text_or("scoring_func", v2 ? "softmax" : "sigmoid");
  if (scoring == "softmax")
    moe.scoring = ABK_SCORING_SOFTMAX;
  else if (scoring == "sigmoid")
    moe.scoring = ABK_SCORING_SIGMOID;
  else
    fields.unsupported("scoring_func \"" + scoring + "\" is not supported; supported are: softmax, sigmoid");
  const std::string method = fields.text_or("topk_method", v2 ? "greedy" : "noaux_tc");
  if (method == "greedy")
    moe.topk_method = ABK_TOPK_GREEDY;
  else if (method == "group_limited_greedy")
    moe.topk_method = ABK_TOPK_GROUP_LIMITED_GREEDY;
  else if (method == "noaux_tc")
    moe.topk_method = ABK_TOPK_NOAUX_TC;
  else
    fields.unsupported("topk_method \"" + method +
                       "\" is not supported; supported are: greedy, group_limited_greedy, noaux_tc");
  moe.norm_topk_prob = fields.boolean_or("norm_topk_prob", !v2);
  moe.routed_scaling_factor = static_cast<float>(fields.positive_or("routed_scaling_factor", 1.0));
  moe.n_group = fields.integer_or("n_group", 1, 1, kMostExperts);
  moe.topk_group = fields.integer_or("topk_group", 1, 1, kMostExperts);
  if (moe.n_routed_experts % moe.n_group != 0)
    fields.refuse("n_group", concat("a divisor of n_routed_experts, ", moe.n_routed_experts));
  if (moe.topk_group > moe.n_group)
    fields.refuse("topk_group", concat("at most n_group, ", moe.n_group));
  if (moe.topk_method == ABK_TOPK_GREEDY) // takes no notice of groups
    moe.n_group = moe.topk_group = 1;
  const std::int32_t eligible = moe.n_routed_experts / moe.n_group * moe.topk_group;
  if (moe.num_experts_per_tok > eligible)
    fields.refuse("num_experts_per_tok", concat("at most ", eligible, ", the experts in topk_group groups"));
}

// n_routed_experts 0: a dense model.
MoeSpec read_moe(bool v2, const ConfigFields &fields) {
  MoeSpec moe;
  moe.n_routed_experts = fields.integer_or("n_routed_experts", 0, 0, kMostExperts);
  if (moe.n_routed_experts == 0)
    return moe;
  moe.n_shared_experts = fields.integer_or("n_shared_experts", 0, 0, 1024);
  moe.num_experts_per_tok = fields.integer("num_experts_per_tok", 1, moe.n_routed_experts);
  moe.moe_intermediate_size = fields.integer("moe_intermediate_size", 1, kMostHidden);
  read_router(moe, v2, fields);
  return moe;
}

void read_layers(ModelSpec &spec, std::int32_t layers, bool v2, const ConfigFields &fields) {
  const auto mla = std::make_shared<MlaSpec>(read_mla(fields));
  const auto dense = std::make_shared<MlpSpec>();
  dense->intermediate_size = fields.integer("intermediate_size", 1, kMostHidden);
  const auto moe = std::make_shared<MoeSpec>(read_moe(v2, fields));
  const bool routed = moe->n_routed_experts > 0;
  const std::int32_t first = routed ? fields.integer_or("first_k_dense_replace", 0, 0, kMostLayers) : 0;
  const std::int32_t every = routed ? fields.integer_or("moe_layer_freq", 1, 1, kMostLayers) : 1;
  const auto layer = [&](std::int32_t i) -> LayerSpec {
    if (routed && i >= first && i % every == 0)
      return {mla, moe};
    return {mla, dense};
  };
  for (std::int32_t i = 0; i < layers; ++i)
    spec.layers.push_back(layer(i));
  if (fields.integer_or("num_nextn_predict_layers", 0, 0, kMostLayers) > 0)
    spec.mtp = layer(layers);
  spec.rope.dim = mla->qk_rope_head_dim;
  spec.rope.score_dim = mla->qk_nope_head_dim + mla->qk_rope_head_dim;
  spec.rope.scores_scaled = true;
}

void read_v2(ModelSpec &spec, std::int32_t layers, const ConfigFields &fields) {
  read_layers(spec, layers, true, fields);
}

void read_v3(ModelSpec &spec, std::int32_t layers, const ConfigFields &fields) {
  read_layers(spec, layers, false, fields);
}

} // namespace

const Family kDeepseekV2 = {"deepseek_v2", "DeepseekV2ForCausalLM", read_v2};
const Family kDeepseekV3 = {"deepseek_v3", "DeepseekV3ForCausalLM", read_v3};
const Family kKimiK2 = {"kimi_k2", nullptr, read_v3};

} // namespace abyssal
