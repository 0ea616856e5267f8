// Calls visit(name, handle) for every buffer and weight in an op's arguments: abk_span & or const abk_weight *&.
#pragma once

#include "device/backend.h"

namespace abyssal::deferred {

void visit_handles(abk_embed_args &a, auto &&visit) {
  visit("table", a.table);
  visit("out", a.out.span);
}

void visit_handles(abk_norm_add_args &a, auto &&visit) {
  visit("residual", a.residual.span);
  visit("delta", a.delta.span);
  visit("weight", a.weight);
  visit("out", a.out.span);
}

void visit_handles(abk_linear_args &a, auto &&visit) {
  visit("x", a.x.span);
  visit("w", a.w);
  visit("bias", a.bias);
  visit("out", a.out.span);
}

void visit_handles(abk_mlp_args &a, auto &&visit) {
  visit("x", a.x.span);
  visit("gate", a.gate);
  visit("up", a.up);
  visit("down", a.down);
  visit("out", a.out.span);
  visit("scratch", a.scratch);
}

void visit_handles(abk_mla_project_args &a, auto &&visit) {
  visit("x", a.x.span);
  visit("q_a", a.q_a);
  visit("q_a_norm", a.q_a_norm);
  visit("q_b", a.q_b);
  visit("kv_a", a.kv_a);
  visit("kv_a_norm", a.kv_a_norm);
  visit("q_a_bias", a.q_a_bias);
  visit("kv_a_bias", a.kv_a_bias);
  visit("q", a.q.span);
  visit("cache", a.cache);
  visit("scratch", a.scratch);
}

void visit_handles(abk_mla_attend_args &a, auto &&visit) {
  visit("q", a.q.span);
  visit("kv_b", a.kv_b);
  visit("k_b", a.k_b);
  visit("v_b", a.v_b);
  visit("cache", a.cache);
  visit("out", a.out.span);
  visit("scratch", a.scratch);
}

void visit_handles(abk_gqa_attend_args &a, auto &&visit) {
  visit("q", a.q.span);
  visit("k", a.k.span);
  visit("v", a.v.span);
  visit("k_cache", a.k_cache);
  visit("v_cache", a.v_cache);
  visit("out", a.out.span);
  visit("scratch", a.scratch);
}

void visit_handles(abk_moe_route_args &a, auto &&visit) {
  visit("logits", a.logits.span);
  visit("bias", a.bias);
  visit("index", a.index);
  visit("weight", a.weight);
}

void visit_handles(abk_moe_experts_args &a, auto &&visit) {
  visit("x", a.x.span);
  visit("index", a.index);
  visit("weight", a.weight);
  visit("gate", a.gate);
  visit("up", a.up);
  visit("down", a.down);
  visit("shared_gate", a.shared_gate);
  visit("shared_up", a.shared_up);
  visit("shared_down", a.shared_down);
  visit("out", a.out.span);
  visit("scratch", a.scratch);
}

void visit_handles(abk_logits_args &a, auto &&visit) {
  visit("x", a.x.span);
  visit("norm", a.norm);
  visit("head", a.head);
  visit("out", a.out.span);
  visit("scratch", a.scratch);
}

} // namespace abyssal::deferred
