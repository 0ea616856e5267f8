// embed, norm_add, linear, mlp, logits
#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/dense/product.h"
#include "backends/host/op_checks.h"

#include <algorithm>

namespace abyssal::cpu {

namespace {

void store_row(const Kernels &kernels, const HostRows &to, std::int64_t r, const float *values) {
  if (to.dtype == ABY_DTYPE_BF16)
    kernels.f32_to_bf16(values, reinterpret_cast<std::uint16_t *>(to.row(r)), to.cols);
  else
    std::memcpy(to.row(r), values, static_cast<std::size_t>(to.cols) * sizeof(float));
}

// A row as floats: in place, or widened into memory.
const float *load_row(const Kernels &kernels, const HostRows &from, std::int64_t r, float *memory) {
  if (from.dtype == ABY_DTYPE_F32)
    return reinterpret_cast<const float *>(from.row(r));
  kernels.bf16_to_f32(reinterpret_cast<const std::uint16_t *>(from.row(r)), memory, from.cols);
  return memory;
}

// Rows of one task of row-wise work.
constexpr std::int64_t kRowsPerTask = 8;

template <typename Body> void for_rows(CpuDevice &device, std::int64_t rows, Body &&body) {
  device.run((rows + kRowsPerTask - 1) / kRowsPerTask, [&](std::int64_t task, Worker &worker) {
    for (std::int64_t r = task * kRowsPerTask; r < std::min(rows, (task + 1) * kRowsPerTask); ++r)
      body(r, worker);
  });
}

} // namespace

void embed(CpuDevice &device, const HostBatch &batch, const abk_embed_args &args) {
  const EmbedCall call = check_embed(batch, args);
  const MatrixView &table = CpuWeight::of(call.table).matrix();
  for_rows(device, call.out.rows, [&](std::int64_t r, Worker &worker) {
    float *row = worker.sums.take<float>(table.k);
    device.kernels().widen_row(table, call.ids[r], row);
    store_row(device.kernels(), call.out, r, row);
  });
}

void norm_add(CpuDevice &device, const abk_norm_add_args &args) {
  const NormAddCall call = check_norm_add(args);
  const float *weight = vector_or_null(call.weight);
  const std::int64_t n = call.residual.cols;
  for_rows(device, args.rows, [&](std::int64_t r, Worker &worker) {
    float *memory = worker.sums.take<float>(n);
    auto *residual = reinterpret_cast<float *>(call.residual.row(r));
    if (call.delta.data != nullptr)
      device.kernels().add(residual, load_row(device.kernels(), call.delta, r, memory), n);
    if (call.out.data == nullptr)
      return;
    device.kernels().rms_norm(residual, weight, args.epsilon, n, memory);
    store_row(device.kernels(), call.out, r, memory);
  });
}

void linear(CpuDevice &device, const abk_linear_args &args) {
  const LinearCall call = check_linear(args);
  linear(device, call.x, CpuWeight::of(call.w), vector_or_null(call.bias), call.out);
}

namespace {

// [rows, inter] twice: gate and up; the result takes gate's place.
struct MlpScratch {
  MlpScratch(Carve &carve, std::int64_t rows, std::int64_t inter)
      : gate(carve.take<float>(rows * inter)), up(carve.take<float>(rows * inter)) {}
  float *gate, *up;
};

HostRows dense(float *data, std::int64_t rows, std::int64_t cols) {
  return {reinterpret_cast<std::byte *>(data), ABY_DTYPE_F32, rows, cols, cols};
}

} // namespace

std::uint64_t mlp_scratch(const abk_op_desc &desc) {
  Carve measure;
  MlpScratch(measure, desc.rows, desc.inter);
  return measure.used();
}

void mlp(CpuDevice &device, const abk_mlp_args &args) {
  const MlpCall call = check_mlp(args);
  if (args.rows == 0)
    return;
  const CpuWeight &gate = CpuWeight::of(*call.w.gate), &up = CpuWeight::of(*call.w.up),
                  &down = CpuWeight::of(*call.w.down);
  const std::int64_t rows = args.rows, inter = gate.n;
  abk_op_desc desc{};
  desc.rows = args.rows;
  desc.inter = static_cast<std::int32_t>(inter);
  Carve carve(check_span(args.scratch, mlp_scratch(desc), 64, "mlp: scratch"));
  const MlpScratch scratch(carve, rows, inter);
  const std::int64_t bytes = operand_bytes(device, rows, gate);
  auto *memory = device.op_scratch().take<std::byte>(bytes + operand_bytes(device, rows, up));
  const Operand x = make_operand(device, call.x, gate, memory);
  const Operand x_up = share_operand(gate, up) ? x : make_operand(device, call.x, up, memory + bytes);

  const std::int64_t step = std::min(block_rows(gate, rows), block_rows(up, rows));
  device.run((inter + step - 1) / step, [&](std::int64_t task, Worker &worker) {
    const std::int64_t row0 = task * step, count = std::min(step, inter - row0);
    const std::int64_t next = row0 + static_cast<std::int64_t>(device.threads()) * step;
    product(device, worker, gate, 0, row0, count, x, scratch.gate + row0, inter, packed_rows(up, 0, row0));
    product(device, worker, up, 0, row0, count, x_up, scratch.up + row0, inter,
            next < inter ? packed_rows(gate, 0, next) : nullptr);
    for (std::int64_t r = 0; r < rows; ++r) {
      float *at = scratch.gate + r * inter + row0;
      device.kernels().swiglu(at, scratch.up + r * inter + row0, at, count);
    }
  });
  linear(device, dense(scratch.gate, rows, inter), down, nullptr, call.out);
}

std::uint64_t logits_scratch(const abk_op_desc &desc) {
  Carve measure;
  measure.take<float>(std::int64_t{desc.rows} * desc.hidden);
  return measure.used();
}

void logits(CpuDevice &device, const HostBatch &batch, const abk_logits_args &args) {
  const LogitsCall call = check_logits(batch, args);
  if (args.rows == 0)
    return;
  const std::int64_t hidden = call.x.cols;
  const std::uint64_t bytes =
      static_cast<std::uint64_t>(args.rows) * static_cast<std::uint64_t>(hidden) * sizeof(float);
  auto *rows = reinterpret_cast<float *>(check_span(args.scratch, bytes, 64, "logits: scratch"));
  for_rows(device, args.rows, [&](std::int64_t r, Worker &worker) {
    const float *x = load_row(device.kernels(), call.x, args.row_ids[r], worker.sums.take<float>(hidden));
    if (call.norm != nullptr)
      device.kernels().rms_norm(x, vector_or_null(call.norm), args.epsilon, hidden, rows + r * hidden);
    else
      std::copy_n(x, hidden, rows + r * hidden);
  });
  linear(device, dense(rows, args.rows, hidden), CpuWeight::of(call.head), nullptr, call.out);
}

} // namespace abyssal::cpu
