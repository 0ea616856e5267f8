#include "model/decoder.h"

namespace abyssal {

namespace {

// The inner norms of MLA use this epsilon whatever rms_norm_eps says, in every published checkpoint's own code.
constexpr float kMlaNormEpsilon = 1e-6f;

void linear(const PassContext &pass, abk_rows x, const WeightPtr &w, const WeightPtr &bias, abk_rows out) {
  abk_linear_args args{};
  args.rows = pass.rows;
  args.x = x;
  args.w = raw(w);
  args.bias = raw(bias);
  args.out = out;
  pass.device.check(pass.api.linear(pass.device.stream(), &args), "linear");
}

void mla(const PassContext &pass, const MlaWeights &w, const LayerCache &cache, abk_rows attended) {
  const ModelConfig &c = pass.config;
  const Workspace::Buffers &at = pass.workspace.at();
  abk_mla_project_args project{};
  project.heads = c.num_attention_heads;
  project.qk_nope = c.qk_nope_head_dim;
  project.rope_dim = c.qk_rope_head_dim;
  project.kv_lora = c.kv_lora_rank;
  project.x = pass.normed();
  project.q_a = raw(w.q_a);
  project.q_a_norm = raw(w.q_a_norm);
  project.q_b = raw(w.q_b);
  project.kv_a = raw(w.kv_a);
  project.kv_a_norm = raw(w.kv_a_norm);
  project.q_a_bias = raw(w.q_a_bias);
  project.kv_a_bias = raw(w.kv_a_bias);
  project.norm_epsilon = kMlaNormEpsilon;
  project.q = pass.act(at.q, std::int64_t{c.num_attention_heads} * (c.qk_nope_head_dim + c.qk_rope_head_dim));
  project.cache = cache.first;
  project.cache_dtype = pass.model.cache_dtype;
  project.scratch = at.scratch.at(0);
  pass.device.check(pass.api.mla_project(pass.device.stream(), pass.batch, &project), "mla_project");

  abk_mla_attend_args attend{};
  attend.heads = project.heads;
  attend.qk_nope = project.qk_nope;
  attend.rope_dim = project.rope_dim;
  attend.kv_lora = project.kv_lora;
  attend.v_dim = c.v_head_dim;
  attend.q = project.q;
  attend.kv_b = raw(w.kv_b);
  attend.k_b = raw(w.k_b);
  attend.v_b = raw(w.v_b);
  attend.cache = cache.first;
  attend.cache_dtype = pass.model.cache_dtype;
  attend.scale = pass.model.rope->score_scale();
  attend.absorb_below = pass.model.absorb_below;
  attend.out = attended;
  attend.scratch = at.scratch.at(0);
  pass.device.check(pass.api.mla_attend(pass.device.stream(), pass.batch, &attend), "mla_attend");
}

void gqa(const PassContext &pass, const GqaWeights &w, const LayerCache &cache, abk_rows attended) {
  const ModelConfig &c = pass.config;
  const Workspace::Buffers &at = pass.workspace.at();
  abk_gqa_attend_args attend{};
  attend.heads = c.num_attention_heads;
  attend.kv_heads = c.num_key_value_heads;
  attend.head_dim = c.head_dim;
  attend.q = pass.act(at.q, std::int64_t{c.num_attention_heads} * c.head_dim);
  attend.k = pass.act(at.k, std::int64_t{c.num_key_value_heads} * c.head_dim);
  attend.v = pass.act(at.v, std::int64_t{c.num_key_value_heads} * c.head_dim);
  linear(pass, pass.normed(), w.q, w.q_bias, attend.q);
  linear(pass, pass.normed(), w.k, w.k_bias, attend.k);
  linear(pass, pass.normed(), w.v, w.v_bias, attend.v);
  attend.k_cache = cache.first;
  attend.v_cache = cache.second;
  attend.cache_dtype = pass.model.cache_dtype;
  attend.scale = pass.model.rope->score_scale();
  attend.out = attended;
  attend.scratch = at.scratch.at(0);
  pass.device.check(pass.api.gqa_attend(pass.device.stream(), pass.batch, &attend), "gqa_attend");
}

void moe(const PassContext &pass, const MoeWeights &w) {
  const ModelConfig &c = pass.config;
  const Workspace::Buffers &at = pass.workspace.at();
  const abk_rows logits = pass.f32(at.router, c.n_routed_experts);
  linear(pass, pass.normed(), w.router, nullptr, logits);

  abk_moe_route_args route{};
  route.rows = pass.rows;
  route.experts = c.n_routed_experts;
  route.top_k = c.num_experts_per_tok;
  route.n_group = c.n_group;
  route.topk_group = c.topk_group;
  route.scoring = c.scoring;
  route.method = c.topk_method;
  route.norm_topk_prob = c.norm_topk_prob ? 1 : 0;
  route.routed_scaling_factor = c.routed_scaling_factor;
  route.logits = logits;
  route.bias = raw(w.router_bias);
  route.index = at.index.at(0);
  route.weight = at.weight.at(0);
  pass.device.check(pass.api.moe_route(pass.device.stream(), &route), "moe_route");

  abk_moe_experts_args experts{};
  experts.rows = pass.rows;
  experts.top_k = c.num_experts_per_tok;
  experts.x = pass.normed();
  experts.index = route.index;
  experts.weight = route.weight;
  experts.gate = raw(w.experts.gate);
  experts.up = raw(w.experts.up);
  experts.down = raw(w.experts.down);
  experts.shared_gate = raw(w.shared.gate);
  experts.shared_up = raw(w.shared.up);
  experts.shared_down = raw(w.shared.down);
  experts.out = pass.delta();
  experts.scratch = at.scratch.at(0);
  pass.device.check(pass.api.moe_experts(pass.device.stream(), &experts), "moe_experts");
}

} // namespace

void norm_add(const PassContext &pass, bool add, const WeightPtr &weight, abk_rows out) {
  abk_norm_add_args args{};
  args.rows = pass.rows;
  args.residual = pass.residual();
  if (add)
    args.delta = pass.delta();
  args.weight = raw(weight);
  args.epsilon = pass.config.rms_norm_eps;
  args.out = out;
  pass.device.check(pass.api.norm_add(pass.device.stream(), &args), "norm_add");
}

void attention(const PassContext &pass, const LayerWeights &layer, const LayerCache &cache) {
  const ModelConfig &c = pass.config;
  const std::int64_t v_dim = layer.mla ? c.v_head_dim : c.head_dim;
  const abk_rows attended = pass.act(pass.workspace.at().attended, c.num_attention_heads * v_dim);
  if (layer.mla)
    mla(pass, *layer.mla, cache, attended);
  else
    gqa(pass, *layer.gqa, cache, attended);
  linear(pass, attended, layer.o, layer.o_bias, pass.delta());
}

void feed_forward(const PassContext &pass, const LayerWeights &layer) {
  if (layer.moe) {
    moe(pass, *layer.moe);
    return;
  }
  abk_mlp_args args{};
  args.rows = pass.rows;
  args.x = pass.normed();
  args.gate = raw(layer.mlp->gate);
  args.up = raw(layer.mlp->up);
  args.down = raw(layer.mlp->down);
  args.out = pass.delta();
  args.scratch = pass.workspace.at().scratch.at(0);
  pass.device.check(pass.api.mlp(pass.device.stream(), &args), "mlp");
}

} // namespace abyssal
