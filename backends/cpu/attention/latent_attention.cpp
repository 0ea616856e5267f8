#include "backends/cpu/attention/latent_attention.h"

#include "backends/cpu/attention/rows.h"
#include "backends/cpu/dense/product.h"

#include <algorithm>
#include <numbers>

namespace abyssal::cpu {

namespace {

constexpr std::int64_t kChunk = 512; // tokens

// Room of a state: top, total, mixed.
std::int64_t floats_of_state(std::int64_t lora) noexcept { return kHeadLanes * (lora + 2); }

} // namespace

bool LatentAttention::takes(const CpuDevice &device, const MlaAttendCall &call, const abk_mla_attend_args &args) {
  return device.has_bf16() && call.cache.layout.dtype != ABY_DTYPE_F32 && call.kv_b.compute != ABY_DTYPE_F32 &&
         latent_kernels_take(args.kv_lora, args.rope_dim);
}

LatentAttention::LatentAttention(CpuDevice &device, const HostBatch &batch, const MlaAttendCall &call,
                                 const abk_mla_attend_args &args, std::vector<LatentRow> rows)
    : device_(device), batch_(batch), call_(call), rows_(std::move(rows)), heads_(args.heads),
      groups_((args.heads + kHeadLanes - 1) / kHeadLanes), nope_(args.qk_nope), rope_(args.rope_dim),
      lora_(args.kv_lora), v_(args.v_dim), scale_(args.scale * std::numbers::log2e_v<float>),
      halves_(call.k_b != nullptr && CpuWeight::of(*call.k_b).packed() && CpuWeight::of(*call.v_b).packed()),
      state_floats_(floats_of_state(lora_)) {
  const std::int64_t count = static_cast<std::int64_t>(rows_.size()) * groups_;
  const std::int64_t query_words = count * (lora_ + rope_) / 2 * kHeadLanes;
  auto *memory = device_.op_scratch().take<float>(query_words + count * state_floats_);
  queries_ = reinterpret_cast<std::uint32_t *>(memory);
  states_ = memory + query_words;
}

void LatentAttention::run() {
  device_.run(heads_, [&](std::int64_t head, Worker &worker) { take_in(worker, head); });
  const auto units = static_cast<std::int64_t>(rows_.size()) * groups_;
  if (units < 2 * static_cast<std::int64_t>(device_.threads()))
    attend_chunks();
  else
    device_.run(units, [&](std::int64_t i, Worker &worker) { attend_all(worker, i / groups_, i % groups_); });
  device_.run(heads_, [&](std::int64_t head, Worker &worker) { take_out(worker, head); });
}

std::int64_t LatentAttention::seen(const LatentRow &row) const {
  return position_of(batch_, row.sequence, row.row) + 1;
}

LatentState LatentAttention::state(float *memory) const {
  return {memory, memory + kHeadLanes, memory + 2 * kHeadLanes};
}

// Memory of a worker for all rows as operands of w.
QuantRows LatentAttention::quantised(Worker &worker, const CpuWeight &w) const {
  const auto rows = static_cast<std::int64_t>(rows_.size());
  const PackedKernels &kernels = device_.packed_kernels();
  const int places = w.activation_places();
  return {kernels, rows, places, w.packed_matrix(),
          worker.middle.take<std::byte>(QuantRows::bytes(kernels, rows, places, w.packed_matrix()))};
}

// The queries of one head: [W_uk^T q_nope | q_rope] * scale, as pairs of bfloat16 in the head's lane.
void LatentAttention::take_in(Worker &worker, std::int64_t head) {
  const Kernels &kernels = device_.kernels();
  const auto rows = static_cast<std::int64_t>(rows_.size());
  const std::int64_t qk = nope_ + rope_, width = lora_ + rope_;
  float *latent = worker.sums.take<float>(rows * (width + qk) + lora_); // [rows, width]
  float *q = latent + rows * width;                                     // [rows, qk]
  for (std::int64_t i = 0; i < rows; ++i) {
    load_floats(kernels, call_.q.row(rows_[static_cast<std::size_t>(i)].row), call_.q.dtype, head * qk, qk, q + i * qk);
    std::copy_n(q + i * qk + nope_, rope_, latent + i * width + lora_);
  }
  if (halves_) {
    const QuantRows quant = quantised(worker, CpuWeight::of(*call_.k_b));
    for (std::int64_t i = 0; i < rows; ++i)
      quant.quantise(i, q + i * qk, nope_);
    packed_product(device_.packed_kernels(), CpuWeight::of(*call_.k_b).packed_matrix(head), 0, lora_, quant, 0, rows,
                   worker.tile.take<float>(tile_scratch(device_.packed_kernels(), quant, rows)), latent, width);
  } else {
    for (std::int64_t i = 0; i < rows; ++i)
      std::fill_n(latent + i * width, lora_, 0.0f);
    float *weight_row = q + rows * qk;
    for (std::int64_t j = 0; j < nope_; ++j) { // a weight row serves all rows
      kernels.widen_row(CpuWeight::of(call_.kv_b).matrix(), head * (nope_ + v_) + j, weight_row);
      for (std::int64_t i = 0; i < rows; ++i)
        kernels.axpy(latent + i * width, q[i * qk + j], weight_row, lora_);
    }
  }
  kernels.scale(latent, scale_, rows * width);
  const std::int64_t pair_count = width / 2, group = head / kHeadLanes, lane = head % kHeadLanes;
  for (std::int64_t i = 0; i < rows; ++i) {
    std::uint32_t *query = queries_ + (i * groups_ + group) * pair_count * kHeadLanes + lane;
    const float *from = latent + i * width;
    for (std::int64_t j = 0; j < pair_count; ++j)
      query[j * kHeadLanes] = std::uint32_t{float_to_bf16(from[2 * j])} | std::uint32_t{float_to_bf16(from[2 * j + 1])}
                                                                              << 16;
  }
}

// The rows of a block in bfloat16: where they lie, or widened.
const std::uint16_t *LatentAttention::block(Worker &worker, const std::byte *rows, std::int64_t count) const {
  const CachedRow &layout = call_.cache.layout;
  if (layout.dtype == ABY_DTYPE_BF16)
    return reinterpret_cast<const std::uint16_t *>(rows);
  auto *wide = worker.tile.take<std::uint16_t>(ABK_BLOCK_TOKENS * layout.width);
  latent_widen_i8(layout, rows, count, wide);
  return wide;
}

// One chunk of a row's context, for sixteen heads, into a new state.
void LatentAttention::attend(Worker &worker, std::int64_t index, std::int64_t group, std::int64_t chunk,
                             float *memory) {
  const LatentRow &row = rows_[static_cast<std::size_t>(index)];
  const std::uint32_t *query = queries_ + (index * groups_ + group) * (lora_ + rope_) / 2 * kHeadLanes;
  const std::int64_t first = chunk * kChunk, end = std::min(seen(row), first + kChunk);
  const auto cached = [&](std::int64_t at) { return at < end ? call_.cache.row(batch_, row.sequence, at) : nullptr; };
  const auto block_bytes = static_cast<std::int64_t>(ABK_BLOCK_TOKENS * call_.cache.row_bytes);
  for (std::int64_t at = first; at < end; at += ABK_BLOCK_TOKENS) {
    const std::int64_t count = std::min<std::int64_t>(ABK_BLOCK_TOKENS, end - at);
    latent_block_bf16(block(worker, cached(at), count), count, lora_, rope_, query, at == first, state(memory),
                      cached(at + ABK_BLOCK_TOKENS), block_bytes);
  }
}

void LatentAttention::attend_all(Worker &worker, std::int64_t index, std::int64_t group) {
  float *to = states_ + (index * groups_ + group) * state_floats_;
  const std::int64_t chunks = (seen(rows_[static_cast<std::size_t>(index)]) + kChunk - 1) / kChunk;
  attend(worker, index, group, 0, to);
  float *part = worker.middle.take<float>(state_floats_);
  for (std::int64_t chunk = 1; chunk < chunks; ++chunk) {
    attend(worker, index, group, chunk, part);
    latent_merge(state(to), state(part), lora_);
  }
}

// For few rows: a chunk to a task, merged afterwards in the same order.
void LatentAttention::attend_chunks() {
  struct Task {
    std::int64_t index, group, chunk;
    float *memory;
  };
  std::vector<Task> tasks;
  std::int64_t parts = 0;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(rows_.size()); ++i) {
    const std::int64_t chunks = (seen(rows_[static_cast<std::size_t>(i)]) + kChunk - 1) / kChunk;
    for (std::int64_t group = 0; group < groups_; ++group) {
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
        tasks.push_back({i, group, chunk, nullptr});
      parts += chunks - 1;
    }
  }
  float *part = device_.second_scratch().take<float>(parts * state_floats_);
  for (Task &task : tasks) {
    task.memory = states_ + (task.index * groups_ + task.group) * state_floats_;
    if (task.chunk > 0) {
      task.memory = part;
      part += state_floats_;
    }
  }
  device_.run(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t i, Worker &worker) {
    const Task &t = tasks[static_cast<std::size_t>(i)];
    attend(worker, t.index, t.group, t.chunk, t.memory);
  });
  for (const Task &task : tasks) {
    if (task.chunk > 0)
      latent_merge(state(states_ + (task.index * groups_ + task.group) * state_floats_), state(task.memory), lora_);
  }
}

// One head's results: W_uv mixed / total.
void LatentAttention::take_out(Worker &worker, std::int64_t head) {
  const Kernels &kernels = device_.kernels();
  const auto rows = static_cast<std::int64_t>(rows_.size());
  const std::int64_t group = head / kHeadLanes, lane = head % kHeadLanes;
  float *out = worker.sums.take<float>(rows * v_ + rows * lora_); // [rows, v]
  float *mixed = out + rows * v_;                                 // [rows, lora]
  QuantRows quant;
  if (halves_)
    quant = quantised(worker, CpuWeight::of(*call_.v_b));
  for (std::int64_t i = 0; i < rows; ++i) {
    const LatentState from = state(states_ + (i * groups_ + group) * state_floats_);
    std::copy_n(from.mixed + lane * lora_, lora_, mixed + i * lora_);
    kernels.scale(mixed + i * lora_, 1.0f / from.total[lane], lora_);
    if (halves_)
      quant.quantise(i, mixed + i * lora_, lora_);
    else
      kernels.gemv(CpuWeight::of(call_.kv_b).matrix(), head * (nope_ + v_) + nope_, v_, mixed + i * lora_, lora_, 1,
                   out + i * v_, v_);
  }
  if (halves_)
    packed_product(device_.packed_kernels(), CpuWeight::of(*call_.v_b).packed_matrix(head), 0, v_, quant, 0, rows,
                   worker.tile.take<float>(tile_scratch(device_.packed_kernels(), quant, rows)), out, v_);
  for (std::int64_t i = 0; i < rows; ++i)
    store_floats(kernels, out + i * v_, call_.out.row(rows_[static_cast<std::size_t>(i)].row), call_.out.dtype,
                 head * v_, v_);
}

} // namespace abyssal::cpu
