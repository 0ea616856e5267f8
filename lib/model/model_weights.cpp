#include "model/model_weights.h"

#include "base/status.h"

namespace abyssal {

namespace {

// Takes tensors below a prefix such as "model.layers.3.".
class Scope {
public:
  Scope(WeightVisitor &visitor, std::string prefix) : visitor_(visitor), prefix_(std::move(prefix)) {}

  WeightPtr matrix(const std::string &name, std::int64_t n, std::int64_t k) const {
    return take({.use = ABK_USE_MATRIX, .names = {prefix_ + name + ".weight"}, .n = n, .k = k});
  }
  WeightPtr router(const std::string &name, std::int64_t n, std::int64_t k) const {
    return take({.use = ABK_USE_ROUTER, .names = {prefix_ + name + ".weight"}, .n = n, .k = k});
  }
  WeightPtr vector(const std::string &name, std::int64_t n) const {
    return take({.use = ABK_USE_VECTOR, .names = {prefix_ + name}, .n = n});
  }
  WeightPtr norm(const std::string &name, std::int64_t n) const { return vector(name + ".weight", n); }
  WeightPtr bias(const std::string &name, std::int64_t n) const { return vector(name + ".bias", n); }
  WeightPtr embedding(const std::string &name, std::int64_t n, std::int64_t k) const {
    return take({.use = ABK_USE_EMBEDDING, .names = {prefix_ + name + ".weight"}, .n = n, .k = k, .outer = true});
  }
  WeightPtr head(const std::string &name, std::int64_t n, std::int64_t k) const {
    return take({.use = ABK_USE_MATRIX, .names = {prefix_ + name + ".weight"}, .n = n, .k = k, .outer = true});
  }
  WeightPtr take(const WeightSpec &spec) const { return visitor_.take(spec); }
  bool has(const std::string &name) const { return visitor_.has(prefix_ + name); }
  // Whether kv_b_proj is wanted in halves too, and there.
  bool halves() const { return visitor_.takes_halves() && has("k_b_proj.0.weight") && has("v_b_proj.0.weight"); }
  const std::string &prefix() const noexcept { return prefix_; }
  Scope below(const std::string &name) const { return {visitor_, prefix_ + name}; }

private:
  WeightVisitor &visitor_;
  std::string prefix_;
};

// A half of kv_b_proj, head by head: what kv_b_proj holds too, so that it counts as nothing of its own.
WeightPtr visit_heads(const ModelConfig &c, const Scope &attn, const char *name, std::int64_t n, std::int64_t k) {
  WeightSpec spec{.use = ABK_USE_MATRIX,
                  .names = {},
                  .n = n,
                  .k = k,
                  .repeated = true,
                  .whole = attn.prefix() + "kv_b_proj.weight"};
  for (std::int32_t head = 0; head < c.num_attention_heads; ++head)
    spec.names.push_back(attn.prefix() + name + "." + std::to_string(head) + ".weight");
  return attn.take(spec);
}

MlaWeights visit_mla(const ModelConfig &c, const Scope &attn) {
  MlaWeights w;
  const std::int64_t q_rows = std::int64_t{c.num_attention_heads} * (c.qk_nope_head_dim + c.qk_rope_head_dim);
  const std::int64_t latent = std::int64_t{c.kv_lora_rank} + c.qk_rope_head_dim;
  if (c.q_lora_rank > 0) {
    w.q_a = attn.matrix("q_a_proj", c.q_lora_rank, c.hidden_size);
    w.q_a_norm = attn.norm("q_a_layernorm", c.q_lora_rank);
    w.q_b = attn.matrix("q_b_proj", q_rows, c.q_lora_rank);
    if (c.attention_bias)
      w.q_a_bias = attn.bias("q_a_proj", c.q_lora_rank);
  } else {
    w.q_b = attn.matrix("q_proj", q_rows, c.hidden_size);
  }
  w.kv_a = attn.matrix("kv_a_proj_with_mqa", latent, c.hidden_size);
  w.kv_a_norm = attn.norm("kv_a_layernorm", c.kv_lora_rank);
  if (c.attention_bias)
    w.kv_a_bias = attn.bias("kv_a_proj_with_mqa", latent);
  w.kv_b = attn.take({.use = ABK_USE_MLA_KV_B,
                      .names = {attn.prefix() + "kv_b_proj.weight"},
                      .n = std::int64_t{c.num_attention_heads} * (c.qk_nope_head_dim + c.v_head_dim),
                      .k = c.kv_lora_rank,
                      .heads = c.num_attention_heads,
                      .qk_nope = c.qk_nope_head_dim,
                      .v_dim = c.v_head_dim});
  if (attn.halves()) {
    w.k_b = visit_heads(c, attn, "k_b_proj", c.kv_lora_rank, c.qk_nope_head_dim);
    w.v_b = visit_heads(c, attn, "v_b_proj", c.v_head_dim, c.kv_lora_rank);
  }
  return w;
}

GqaWeights visit_gqa(const ModelConfig &c, const Scope &attn) {
  GqaWeights w;
  const std::int64_t q_rows = std::int64_t{c.num_attention_heads} * c.head_dim;
  const std::int64_t kv_rows = std::int64_t{c.num_key_value_heads} * c.head_dim;
  w.q = attn.matrix("q_proj", q_rows, c.hidden_size);
  w.k = attn.matrix("k_proj", kv_rows, c.hidden_size);
  w.v = attn.matrix("v_proj", kv_rows, c.hidden_size);
  if (c.attention_bias) {
    w.q_bias = attn.bias("q_proj", q_rows);
    w.k_bias = attn.bias("k_proj", kv_rows);
    w.v_bias = attn.bias("v_proj", kv_rows);
  }
  return w;
}

MlpWeights visit_mlp(const Scope &mlp, std::int64_t hidden, std::int64_t inter) {
  return {mlp.matrix("gate_proj", inter, hidden), mlp.matrix("up_proj", inter, hidden),
          mlp.matrix("down_proj", hidden, inter)};
}

WeightPtr visit_stacked(const ModelConfig &c, const Scope &mlp, const char *name, std::int64_t n, std::int64_t k) {
  WeightSpec spec{.use = ABK_USE_MATRIX, .names = {}, .n = n, .k = k};
  for (std::int32_t e = 0; e < c.n_routed_experts; ++e)
    spec.names.push_back(mlp.prefix() + "experts." + std::to_string(e) + "." + name + ".weight");
  return mlp.take(spec);
}

MoeWeights visit_moe(const ModelConfig &c, const Scope &mlp) {
  MoeWeights w;
  w.router = mlp.router("gate", c.n_routed_experts, c.hidden_size);
  if (c.topk_method == ABK_TOPK_NOAUX_TC)
    w.router_bias = mlp.vector("gate.e_score_correction_bias", c.n_routed_experts);
  w.experts = {visit_stacked(c, mlp, "gate_proj", c.moe_intermediate_size, c.hidden_size),
               visit_stacked(c, mlp, "up_proj", c.moe_intermediate_size, c.hidden_size),
               visit_stacked(c, mlp, "down_proj", c.hidden_size, c.moe_intermediate_size)};
  if (c.n_shared_experts > 0)
    w.shared = visit_mlp(mlp.below("shared_experts."), c.hidden_size,
                         std::int64_t{c.n_shared_experts} * c.moe_intermediate_size);
  return w;
}

// The MTP layer is always a MoE layer in MoE models: its index is past first_k_dense_replace.
LayerWeights visit_layer(const ModelConfig &c, std::int32_t index, const Scope &layer) {
  LayerWeights w;
  w.input_norm = layer.norm("input_layernorm", c.hidden_size);
  w.post_attention_norm = layer.norm("post_attention_layernorm", c.hidden_size);
  const Scope attn = layer.below("self_attn.");
  std::int64_t attended;
  if (c.attention == Attention::kMla) {
    w.mla = visit_mla(c, attn);
    attended = std::int64_t{c.num_attention_heads} * c.v_head_dim;
  } else {
    w.gqa = visit_gqa(c, attn);
    attended = std::int64_t{c.num_attention_heads} * c.head_dim;
  }
  w.o = attn.matrix("o_proj", c.hidden_size, attended);
  if (c.attention_o_bias)
    w.o_bias = attn.bias("o_proj", c.hidden_size);
  if (c.is_moe_layer(index))
    w.moe = visit_moe(c, layer.below("mlp."));
  else
    w.mlp = visit_mlp(layer.below("mlp."), c.hidden_size, c.intermediate_size);
  return w;
}

MtpWeights visit_mtp(const ModelConfig &c, const Scope &layer, const ModelWeights &main) {
  MtpWeights w;
  // Published checkpoints repeat the embedding and the head; one that does not shares the main model's.
  w.embed =
      layer.has("embed_tokens.weight") ? layer.embedding("embed_tokens", c.vocab_size, c.hidden_size) : main.embed;
  w.enorm = layer.norm("enorm", c.hidden_size);
  w.hnorm = layer.norm("hnorm", c.hidden_size);
  w.eh_proj = layer.matrix("eh_proj", c.hidden_size, 2 * std::int64_t{c.hidden_size});
  w.layer = visit_layer(c, c.num_hidden_layers, layer);
  w.head_norm = layer.norm("shared_head.norm", c.hidden_size);
  w.head =
      layer.has("shared_head.head.weight") ? layer.head("shared_head.head", c.vocab_size, c.hidden_size) : main.head;
  return w;
}

// The embedding's table serves as the head where it is kept as it is stored. Where products want it in another layout,
// that is a weight of its own: a row of the table is looked up in the first, and all of it multiplied with the second.
WeightPtr visit_tied_head(const ModelConfig &c, WeightVisitor &visitor, const WeightPtr &embed) {
  WeightSpec spec{.use = ABK_USE_MATRIX,
                  .names = {"model.embed_tokens.weight"},
                  .n = c.vocab_size,
                  .k = c.hidden_size,
                  .outer = true,
                  .repeated = true,
                  .alias = "lm_head.weight"};
  return visitor.repacks(spec) ? visitor.take(spec) : embed;
}

} // namespace

ModelWeights visit_weights(const ModelConfig &c, bool mtp, WeightVisitor &visitor) {
  const Scope root(visitor, "");
  const Scope body(visitor, "model.");
  ModelWeights w;
  w.embed = body.embedding("embed_tokens", c.vocab_size, c.hidden_size);
  w.layers.reserve(static_cast<std::size_t>(c.num_hidden_layers));
  for (std::int32_t i = 0; i < c.num_hidden_layers; ++i)
    w.layers.push_back(visit_layer(c, i, body.below("layers." + std::to_string(i) + ".")));
  w.norm = body.norm("norm", c.hidden_size);
  w.head =
      c.tie_word_embeddings ? visit_tied_head(c, visitor, w.embed) : root.head("lm_head", c.vocab_size, c.hidden_size);
  if (mtp) {
    if (c.num_nextn_predict_layers < 1)
      fail(ABY_ERROR_UNSUPPORTED, "this checkpoint has no MTP layer (num_nextn_predict_layers is 0)");
    w.mtp = visit_mtp(c, body.below("layers." + std::to_string(c.num_hidden_layers) + "."), w);
  }
  return w;
}

} // namespace abyssal
