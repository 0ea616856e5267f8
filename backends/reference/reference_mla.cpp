// mla_project, mla_attend
#include "backends/host/attention_checks.h"
#include "backends/reference/reference_attention.h"
#include "backends/reference/reference_ops.h"

#include <algorithm>

namespace abyssal::reference {

namespace {

// Turns the pairs (2i, 2i + 1). rope: [rope_dim / 2, 2]
void rope_interleaved(double *values, const float *rope, std::int64_t rope_dim) {
  for (std::int64_t i = 0; i < rope_dim; i += 2) {
    const double cosine = rope[i];
    const double sine = rope[i + 1];
    const double even = values[i];
    const double odd = values[i + 1];
    values[i] = even * cosine - odd * sine;
    values[i + 1] = even * sine + odd * cosine;
  }
}

Matrix project_q(const MlaProjectCall &call, const Matrix &x, float epsilon) {
  if (call.q_a == nullptr)
    return product(x, call.q_b);
  Matrix low = product(x, *call.q_a, 0, call.q_a_bias);
  const std::vector<double> norm = optional_vector(call.q_a_norm);
  for (std::int64_t r = 0; r < low.rows; ++r)
    rms_norm({low.row(r), static_cast<std::size_t>(low.cols)}, norm, epsilon);
  return product(std::move(low), call.q_b);
}

} // namespace

void mla_project(const HostBatch &batch, const abk_mla_project_args &args) {
  const MlaProjectCall call = check_mla_project(batch, args);
  const Matrix x = load_rows(call.x);
  Matrix q = project_q(call, x, args.norm_epsilon);
  const std::int64_t width = std::int64_t{args.qk_nope} + args.rope_dim;
  for (std::int64_t r = 0; r < q.rows; ++r) {
    for (std::int64_t h = 0; h < args.heads; ++h)
      rope_interleaved(q.row(r) + h * width + args.qk_nope, batch.rope_row(r), args.rope_dim);
  }
  store_rows(call.q, q);

  Matrix latent = product(x, call.kv_a, 0, call.kv_a_bias); // [t, kv_lora + rope]
  const std::vector<double> norm = optional_vector(&call.kv_a_norm);
  for (std::int32_t i = 0; i < batch.sequences; ++i) {
    const std::int64_t begin = batch.row_begin[static_cast<std::size_t>(i)];
    for (std::int64_t t = 0; t < batch.new_tokens(i); ++t) {
      double *row = latent.row(begin + t);
      rms_norm({row, static_cast<std::size_t>(args.kv_lora)}, norm, args.norm_epsilon);
      rope_interleaved(row + args.kv_lora, batch.rope_row(begin + t), args.rope_dim);
      const std::int64_t position = batch.context[static_cast<std::size_t>(i)] + t;
      store_cache(call.cache, batch, i, position, row);
    }
  }
}

namespace {

// One head of one sequence. All widened: latent [total, kv_lora + rope], w_uk [nope, kv_lora], w_uv [v, kv_lora].
struct MlaHead {
  const abk_mla_attend_args &args;
  bool bf16; // products with kv_b round their activation operand
  const Matrix &latent;
  Matrix w_uk, w_uv;

  double rope_score(const double *q, std::int64_t position) const {
    return dot(q + args.qk_nope, latent.row(position) + args.kv_lora, args.rope_dim);
  }
  void round(std::span<double> values) const {
    if (bf16)
      round_to_bf16(values);
  }
};

// The query is taken into the latent space, and so is what is attended to: no key or value is ever made.
void attend_absorbed(const MlaHead &head, double *q, std::int64_t visible, double *out) {
  const std::int64_t kv_lora = head.args.kv_lora;
  head.round({q, static_cast<std::size_t>(head.args.qk_nope)});
  std::vector<double> query(static_cast<std::size_t>(kv_lora)); // W_uk^T q_nope
  add_weighted(query.data(), {q, static_cast<std::size_t>(head.args.qk_nope)}, head.w_uk.row(0), kv_lora, kv_lora);
  std::vector<double> scores(static_cast<std::size_t>(visible));
  for (std::int64_t j = 0; j < visible; ++j)
    scores[static_cast<std::size_t>(j)] =
        (dot(query.data(), head.latent.row(j), kv_lora) + head.rope_score(q, j)) * head.args.scale;
  softmax(scores);
  std::vector<double> mixed(static_cast<std::size_t>(kv_lora)); // sum of p c
  add_weighted(mixed.data(), scores, head.latent.row(0), head.latent.cols, kv_lora);
  head.round(mixed);
  for (std::int64_t i = 0; i < head.args.v_dim; ++i)
    out[i] = dot(head.w_uv.row(i), mixed.data(), kv_lora);
}

// The keys [total, nope] and values [total, v] of all cached tokens, made from the latent rows.
struct KeysValues {
  Matrix keys, values;
};

KeysValues expand(const MlaHead &head) {
  const std::int64_t kv_lora = head.args.kv_lora;
  KeysValues made{Matrix(head.latent.rows, head.args.qk_nope), Matrix(head.latent.rows, head.args.v_dim)};
  std::vector<double> c(static_cast<std::size_t>(kv_lora));
  for (std::int64_t j = 0; j < head.latent.rows; ++j) {
    std::copy_n(head.latent.row(j), kv_lora, c.data());
    head.round(c);
    for (std::int64_t i = 0; i < head.args.qk_nope; ++i)
      made.keys.row(j)[i] = dot(head.w_uk.row(i), c.data(), kv_lora);
    for (std::int64_t i = 0; i < head.args.v_dim; ++i)
      made.values.row(j)[i] = dot(head.w_uv.row(i), c.data(), kv_lora);
  }
  return made;
}

void attend_expanded(const MlaHead &head, const KeysValues &made, const double *q, std::int64_t visible, double *out) {
  std::vector<double> scores(static_cast<std::size_t>(visible));
  for (std::int64_t j = 0; j < visible; ++j)
    scores[static_cast<std::size_t>(j)] =
        (dot(q, made.keys.row(j), head.args.qk_nope) + head.rope_score(q, j)) * head.args.scale;
  softmax(scores);
  add_weighted(out, scores, made.values.row(0), made.values.cols, head.args.v_dim);
}

void attend_sequence(const HostBatch &batch, std::int32_t sequence, const abk_mla_attend_args &args,
                     const MlaAttendCall &call, Matrix &q, Matrix &out) {
  const std::int64_t begin = batch.row_begin[static_cast<std::size_t>(sequence)];
  const std::int64_t fresh = batch.new_tokens(sequence);
  const std::int64_t context = batch.context[static_cast<std::size_t>(sequence)];
  const bool absorbed = static_cast<std::uint64_t>(fresh) < args.absorb_below;
  const std::int64_t width = std::int64_t{args.qk_nope} + args.rope_dim;
  const Matrix latent = load_cache(call.cache, batch, sequence);
  const ReferenceWeight &kv_b = ReferenceWeight::of(call.kv_b);
  MlaHead head{args, call.kv_b.compute == ABY_DTYPE_BF16, latent, Matrix(args.qk_nope, args.kv_lora),
               Matrix(args.v_dim, args.kv_lora)};
  for (std::int64_t h = 0; h < args.heads; ++h) {
    const std::int64_t first = h * (std::int64_t{args.qk_nope} + args.v_dim);
    for (std::int64_t i = 0; i < args.qk_nope; ++i)
      kv_b.widen_row(0, first + i, head.w_uk.row(i));
    for (std::int64_t i = 0; i < args.v_dim; ++i)
      kv_b.widen_row(0, first + args.qk_nope + i, head.w_uv.row(i));
    const KeysValues made = absorbed ? KeysValues() : expand(head);
    for (std::int64_t t = 0; t < fresh; ++t) {
      double *query = q.row(begin + t) + h * width;
      double *result = out.row(begin + t) + h * args.v_dim;
      if (absorbed)
        attend_absorbed(head, query, context + t + 1, result);
      else
        attend_expanded(head, made, query, context + t + 1, result);
    }
  }
}

} // namespace

void mla_attend(const HostBatch &batch, const abk_mla_attend_args &args) {
  const MlaAttendCall call = check_mla_attend(batch, args);
  Matrix q = load_rows(call.q);
  Matrix out(call.out.rows, call.out.cols);
  for (std::int32_t i = 0; i < batch.sequences; ++i) {
    if (batch.new_tokens(i) > 0)
      attend_sequence(batch, i, args, call, q, out);
  }
  store_rows(call.out, out);
}

} // namespace abyssal::reference
