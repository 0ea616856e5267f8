#include "weights/gguf_names.h"

namespace abyssal {

namespace {

struct Known {
  const char *stored; // below "blk.N."
  GgufRole role;
  const char *name; // below "model.layers.N."
};

constexpr Known kLayer[] = {
    {"attn_norm.weight", GgufRole::kPlain, "input_layernorm.weight"},
    {"ffn_norm.weight", GgufRole::kPlain, "post_attention_layernorm.weight"},
    {"attn_q.weight", GgufRole::kQuery, "self_attn.q_proj.weight"},
    {"attn_q.bias", GgufRole::kQuery, "self_attn.q_proj.bias"},
    {"attn_k.weight", GgufRole::kQuery, "self_attn.k_proj.weight"},
    {"attn_k.bias", GgufRole::kQuery, "self_attn.k_proj.bias"},
    {"attn_v.weight", GgufRole::kPlain, "self_attn.v_proj.weight"},
    {"attn_v.bias", GgufRole::kPlain, "self_attn.v_proj.bias"},
    {"attn_output.weight", GgufRole::kPlain, "self_attn.o_proj.weight"},
    {"attn_output.bias", GgufRole::kPlain, "self_attn.o_proj.bias"},
    {"attn_q_a.weight", GgufRole::kPlain, "self_attn.q_a_proj.weight"},
    {"attn_q_a_norm.weight", GgufRole::kPlain, "self_attn.q_a_layernorm.weight"},
    {"attn_q_b.weight", GgufRole::kPlain, "self_attn.q_b_proj.weight"},
    {"attn_kv_a_mqa.weight", GgufRole::kPlain, "self_attn.kv_a_proj_with_mqa.weight"},
    {"attn_kv_a_norm.weight", GgufRole::kPlain, "self_attn.kv_a_layernorm.weight"},
    {"attn_kv_b.weight", GgufRole::kPlain, "self_attn.kv_b_proj.weight"},
    {"attn_k_b.weight", GgufRole::kKeyHalf, "self_attn.kv_b_proj.weight"},
    {"attn_v_b.weight", GgufRole::kValueHalf, "self_attn.kv_b_proj.weight"},
    {"ffn_gate.weight", GgufRole::kPlain, "mlp.gate_proj.weight"},
    {"ffn_up.weight", GgufRole::kPlain, "mlp.up_proj.weight"},
    {"ffn_down.weight", GgufRole::kPlain, "mlp.down_proj.weight"},
    {"ffn_gate_inp.weight", GgufRole::kPlain, "mlp.gate.weight"},
    {"exp_probs_b.bias", GgufRole::kPlain, "mlp.gate.e_score_correction_bias"},
    {"exp_probs_b", GgufRole::kPlain, "mlp.gate.e_score_correction_bias"},
    {"ffn_gate_exps.weight", GgufRole::kExperts, "mlp.experts.{}.gate_proj.weight"},
    {"ffn_up_exps.weight", GgufRole::kExperts, "mlp.experts.{}.up_proj.weight"},
    {"ffn_down_exps.weight", GgufRole::kExperts, "mlp.experts.{}.down_proj.weight"},
    {"ffn_gate_shexp.weight", GgufRole::kPlain, "mlp.shared_experts.gate_proj.weight"},
    {"ffn_up_shexp.weight", GgufRole::kPlain, "mlp.shared_experts.up_proj.weight"},
    {"ffn_down_shexp.weight", GgufRole::kPlain, "mlp.shared_experts.down_proj.weight"},
};

constexpr Known kOutside[] = {
    {"token_embd.weight", GgufRole::kPlain, "model.embed_tokens.weight"},
    {"output_norm.weight", GgufRole::kPlain, "model.norm.weight"},
    {"output.weight", GgufRole::kPlain, "lm_head.weight"},
};

} // namespace

GgufName published_name(const std::string &stored) {
  for (const Known &known : kOutside) {
    if (stored == known.stored)
      return {known.role, known.name};
  }
  constexpr const char *kPrefix = "blk.";
  const std::size_t digits = 4, dot = stored.find('.', digits);
  const bool layer = stored.compare(0, digits, kPrefix) == 0 && dot != std::string::npos && dot > digits &&
                     stored.find_first_not_of("0123456789", digits) == dot;
  if (!layer)
    return {GgufRole::kOther, stored};
  const std::string rest = stored.substr(dot + 1);
  for (const Known &known : kLayer) {
    if (rest == known.stored)
      return {known.role, "model.layers." + stored.substr(digits, dot - digits) + "." + known.name};
  }
  return {GgufRole::kOther, stored};
}

} // namespace abyssal
