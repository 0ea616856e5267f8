// mla_project: the products, then per row the latent's norm, RoPE and the write into the cache, fused.
#include "backends/cpu/attention/rows.h"
#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/dense/product.h"
#include "backends/host/attention_checks.h"

namespace abyssal::cpu {

namespace {

struct ProjectScratch {
  ProjectScratch(Carve &carve, std::int64_t rows, std::int64_t q_lora, std::int64_t q_width, std::int64_t latent_width)
      : low(carve.take<float>(rows * q_lora)), q(carve.take<float>(rows * q_width)),
        latent(carve.take<float>(rows * latent_width)) {}
  float *low;    // [rows, q_lora]
  float *q;      // [rows, heads * (nope + rope)]
  float *latent; // [rows, kv_lora + rope]
};

HostRows dense(float *data, std::int64_t rows, std::int64_t cols) {
  return {reinterpret_cast<std::byte *>(data), ABY_DTYPE_F32, rows, cols, cols};
}

// q and the latent. The two products that read x are made together.
void project(CpuDevice &device, const MlaProjectCall &call, const ProjectScratch &scratch, float epsilon) {
  const std::int64_t rows = call.q.rows;
  const HostRows q = dense(scratch.q, rows, call.q.cols);
  const LinearLayer latent{CpuWeight::of(call.kv_a), vector_or_null(call.kv_a_bias),
                           dense(scratch.latent, rows, CpuWeight::of(call.kv_a).n)};
  if (call.q_a == nullptr) {
    linear_both(device, call.x, {CpuWeight::of(call.q_b), nullptr, q}, latent);
    return;
  }
  const HostRows low = dense(scratch.low, rows, call.q_a->n);
  linear_both(device, call.x, {CpuWeight::of(*call.q_a), vector_or_null(call.q_a_bias), low}, latent);
  const float *norm = vector_or_null(call.q_a_norm);
  device.run(low.rows, [&](std::int64_t r, Worker &) {
    auto *row = reinterpret_cast<float *>(low.row(r));
    device.kernels().rms_norm(row, norm, epsilon, low.cols, row);
  });
  linear(device, low, CpuWeight::of(call.q_b), nullptr, q);
}

} // namespace

std::uint64_t mla_project_scratch(const abk_op_desc &desc) {
  Carve measure;
  ProjectScratch(measure, desc.rows, desc.q_lora, std::int64_t{desc.heads} * (desc.qk_nope + desc.rope_dim),
                 std::int64_t{desc.kv_lora} + desc.rope_dim);
  return measure.used();
}

void mla_project(CpuDevice &device, const HostBatch &batch, const abk_mla_project_args &args) {
  const MlaProjectCall call = check_mla_project(batch, args);
  if (batch.tokens == 0)
    return;
  abk_op_desc desc{};
  desc.rows = batch.tokens;
  desc.heads = args.heads;
  desc.q_lora = call.q_a != nullptr ? static_cast<std::int32_t>(call.q_a->n) : 0;
  desc.qk_nope = args.qk_nope;
  desc.rope_dim = args.rope_dim;
  desc.kv_lora = args.kv_lora;
  const std::int64_t width = std::int64_t{args.kv_lora} + args.rope_dim;
  Carve carve(check_span(args.scratch, mla_project_scratch(desc), 64, "mla_project: scratch"));
  const ProjectScratch scratch(carve, batch.tokens, desc.q_lora, call.q.cols, width);

  project(device, call, scratch, args.norm_epsilon);

  const Kernels &kernels = device.kernels();
  const float *norm = vector_or_null(&call.kv_a_norm);
  const std::vector<std::int32_t> sequence = sequence_of_rows(batch);
  device.run(batch.tokens, [&](std::int64_t r, Worker &) {
    const float *rope = batch.rope_row(r);
    float *q = scratch.q + r * call.q.cols;
    for (std::int64_t h = 0; h < args.heads; ++h)
      rope_interleaved(q + h * (args.qk_nope + args.rope_dim) + args.qk_nope, rope, args.rope_dim);
    store_floats(kernels, q, call.q.row(r), call.q.dtype, 0, call.q.cols);
    float *latent = scratch.latent + r * width;
    kernels.rms_norm(latent, norm, args.norm_epsilon, args.kv_lora, latent);
    rope_interleaved(latent + args.kv_lora, rope, args.rope_dim);
    const std::int32_t s = sequence[static_cast<std::size_t>(r)];
    store_cached(kernels, call.cache.layout, latent, call.cache.row(batch, s, position_of(batch, s, r)));
  });
}

} // namespace abyssal::cpu
