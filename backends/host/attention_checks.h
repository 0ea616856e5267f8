// Checks of the attention ops' arguments for host backends; see op_checks.h.
#pragma once

#include "backends/host/op_checks.h"

namespace abyssal {

struct MlaProjectCall {
  HostRows x;
  const HostWeight *q_a; // nullptr: q_b takes x
  const HostWeight *q_a_norm;
  const HostWeight *q_a_bias;
  const HostWeight &q_b;
  const HostWeight &kv_a;
  const HostWeight &kv_a_norm;
  const HostWeight *kv_a_bias;
  HostRows q;
  HostCache cache;
};

inline void check_rope(const HostBatch &batch, std::int64_t rope_dim, const char *op) {
  if (batch.rope_dim != rope_dim)
    fail(ABY_ERROR_INVALID_ARGUMENT, op, ": rope_dim is ", rope_dim, ", the batch's is ", batch.rope_dim);
}

inline MlaProjectCall check_mla_project(const HostBatch &batch, const abk_mla_project_args &args) {
  const std::int64_t heads = check_size(args.heads, 1, "mla_project: heads");
  const std::int64_t nope = check_size(args.qk_nope, 1, "mla_project: qk_nope");
  const std::int64_t rope = check_size(args.rope_dim, 0, "mla_project: rope_dim");
  const std::int64_t kv_lora = check_size(args.kv_lora, 1, "mla_project: kv_lora");
  const std::int64_t hidden = check_size(args.x.cols, 1, "mla_project: hidden");
  check_rope(batch, rope, "mla_project");
  const std::int64_t tokens = batch.tokens;
  const HostWeight *q_a = nullptr;
  if (args.q_a != nullptr)
    q_a = &check_matrix(args.q_a, -1, hidden, 1, "mla_project: q_a");
  if (q_a == nullptr && (args.q_a_norm != nullptr || args.q_a_bias != nullptr))
    fail(ABY_ERROR_INVALID_ARGUMENT, "mla_project: q_a_norm or q_a_bias without q_a");
  const std::int64_t q_k = q_a != nullptr ? q_a->n : hidden;
  return {check_rows(args.x, tokens, hidden, "mla_project: x"),
          q_a,
          check_vector(args.q_a_norm, q_k, q_a == nullptr, "mla_project: q_a_norm"),
          check_vector(args.q_a_bias, q_k, true, "mla_project: q_a_bias"),
          check_matrix(args.q_b, heads * (nope + rope), q_k, 1, "mla_project: q_b"),
          check_matrix(args.kv_a, kv_lora + rope, hidden, 1, "mla_project: kv_a"),
          *check_vector(args.kv_a_norm, kv_lora, false, "mla_project: kv_a_norm"),
          check_vector(args.kv_a_bias, kv_lora + rope, true, "mla_project: kv_a_bias"),
          check_rows(args.q, tokens, heads * (nope + rope), "mla_project: q"),
          check_cache(args.cache, latent_row(args.cache_dtype, kv_lora, rope), batch, "mla_project: cache")};
}

struct MlaAttendCall {
  HostRows q;
  const HostWeight &kv_b;
  const HostWeight *k_b, *v_b; // both or neither
  HostCache cache;
  HostRows out;
};

inline MlaAttendCall check_mla_attend(const HostBatch &batch, const abk_mla_attend_args &args) {
  const std::int64_t heads = check_size(args.heads, 1, "mla_attend: heads");
  const std::int64_t nope = check_size(args.qk_nope, 1, "mla_attend: qk_nope");
  const std::int64_t rope = check_size(args.rope_dim, 0, "mla_attend: rope_dim");
  const std::int64_t kv_lora = check_size(args.kv_lora, 1, "mla_attend: kv_lora");
  const std::int64_t v_dim = check_size(args.v_dim, 1, "mla_attend: v_dim");
  const HostWeight *kv_b = HostWeight::from(args.kv_b);
  if (kv_b == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, "mla_attend: kv_b is NULL");
  if (kv_b->use != ABK_USE_MLA_KV_B || kv_b->heads != heads || kv_b->qk_nope != nope || kv_b->v_dim != v_dim ||
      kv_b->k != kv_lora)
    fail(ABY_ERROR_INVALID_ARGUMENT, "mla_attend: kv_b is a ", weight_use_name(kv_b->use), " of ", kv_b->heads,
         " heads of ", kv_b->qk_nope, " + ", kv_b->v_dim, " from ", kv_b->k, ", expected mla kv_b of ", heads,
         " heads of ", nope, " + ", v_dim, " from ", kv_lora);
  if ((args.k_b == nullptr) != (args.v_b == nullptr))
    fail(ABY_ERROR_INVALID_ARGUMENT, "mla_attend: k_b and v_b come together, and one of them is NULL");
  const bool halves = args.k_b != nullptr;
  return {check_rows(args.q, batch.tokens, heads * (nope + rope), "mla_attend: q"),
          *kv_b,
          halves ? &check_matrix(args.k_b, kv_lora, nope, heads, "mla_attend: k_b") : nullptr,
          halves ? &check_matrix(args.v_b, v_dim, kv_lora, heads, "mla_attend: v_b") : nullptr,
          check_cache(args.cache, latent_row(args.cache_dtype, kv_lora, rope), batch, "mla_attend: cache"),
          check_rows(args.out, batch.tokens, heads * v_dim, "mla_attend: out")};
}

struct GqaAttendCall {
  HostRows q, k, v;
  HostCache k_cache, v_cache;
  HostRows out;
};

inline GqaAttendCall check_gqa_attend(const HostBatch &batch, const abk_gqa_attend_args &args) {
  const std::int64_t heads = check_size(args.heads, 1, "gqa_attend: heads");
  const std::int64_t kv_heads = check_size(args.kv_heads, 1, "gqa_attend: kv_heads");
  const std::int64_t d = check_size(args.head_dim, 2, "gqa_attend: head_dim");
  if (heads % kv_heads != 0 || d % 2 != 0)
    fail(ABY_ERROR_INVALID_ARGUMENT, "gqa_attend: ", heads, " heads for ", kv_heads, " kv heads of size ", d,
         "; they must divide, and the size be even");
  check_rope(batch, d, "gqa_attend");
  const std::int64_t tokens = batch.tokens;
  return {check_rows(args.q, tokens, heads * d, "gqa_attend: q"),
          check_rows(args.k, tokens, kv_heads * d, "gqa_attend: k"),
          check_rows(args.v, tokens, kv_heads * d, "gqa_attend: v"),
          check_cache(args.k_cache, heads_row(args.cache_dtype, kv_heads, d), batch, "gqa_attend: k_cache"),
          check_cache(args.v_cache, heads_row(args.cache_dtype, kv_heads, d), batch, "gqa_attend: v_cache"),
          check_rows(args.out, tokens, heads * d, "gqa_attend: out")};
}

} // namespace abyssal
