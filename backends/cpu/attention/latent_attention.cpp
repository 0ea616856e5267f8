#include "backends/cpu/attention/latent_attention.h"

#include "backends/cpu/attention/rows.h"
#include "backends/cpu/dense/product.h"

#include <algorithm>
#include <numbers>

namespace abyssal::cpu {

bool LatentAttention::takes(const MlaAttendCall &call, const abk_mla_attend_args &args) {
  return call.cache.layout.dtype != ABY_DTYPE_F32 && call.kv_b.compute != ABY_DTYPE_F32 && args.kv_lora % 16 == 0 &&
         args.rope_dim % 2 == 0;
}

LatentAttention::LatentAttention(CpuDevice &device, const HostBatch &batch, const MlaAttendCall &call,
                                 const abk_mla_attend_args &args, std::vector<LatentRow> rows)
    : device_(device), lanes_(device.lane_kernels()), batch_(batch), call_(call), rows_(std::move(rows)),
      heads_(args.heads), groups_((args.heads + kLanes - 1) / kLanes), nope_(args.qk_nope), rope_(args.rope_dim),
      lora_(args.kv_lora), v_(args.v_dim), scale_(args.scale * std::numbers::log2e_v<float>),
      halves_(call.k_b != nullptr && CpuWeight::of(*call.k_b).packed() && CpuWeight::of(*call.v_b).packed()),
      query_words_(lane_query_words(lora_ + rope_)), state_floats_(lane_state_floats(lora_)) {
  const std::int64_t count = static_cast<std::int64_t>(rows_.size()) * groups_;
  const std::int64_t query_words = count * query_words_;
  auto *memory = device_.op_scratch().take<float>(query_words + count * state_floats_);
  queries_ = reinterpret_cast<std::uint32_t *>(memory);
  states_ = memory + query_words;
}

void LatentAttention::run() {
  device_.run(heads_, [&](std::int64_t head, Worker &worker) { take_in(worker, head); });
  const auto rows = static_cast<std::int64_t>(rows_.size());
  if (rows * groups_ < 2 * static_cast<std::int64_t>(device_.threads())) {
    attend_chunks();
  } else {
    const std::vector<Part> tasks = parts(groups_of_task(rows));
    device_.run(static_cast<std::int64_t>(tasks.size()),
                [&](std::int64_t i, Worker &worker) { attend_all(worker, tasks[static_cast<std::size_t>(i)]); });
  }
  device_.run(heads_, [&](std::int64_t head, Worker &worker) { take_out(worker, head); });
}

std::int64_t LatentAttention::chunks(std::int64_t index) const {
  const LatentRow &row = rows_[static_cast<std::size_t>(index)];
  return position_of(batch_, row.sequence, row.row) / kLaneChunk + 1;
}

// Groups of heads for one of `tasks` tasks that would take all: so many that two are left to each thread.
std::int64_t LatentAttention::groups_of_task(std::int64_t tasks) const {
  const std::int64_t wanted = 2 * static_cast<std::int64_t>(device_.threads());
  const std::int64_t cuts = std::clamp<std::int64_t>((wanted + tasks - 1) / tasks, 1, groups_);
  return (groups_ + cuts - 1) / cuts;
}

std::vector<LatentAttention::Part> LatentAttention::parts(std::int64_t groups) const {
  std::vector<Part> parts;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(rows_.size()); ++i) {
    for (std::int64_t group = 0; group < groups_; group += groups)
      parts.push_back({i, group, std::min(groups, groups_ - group)});
  }
  return parts;
}

// All rows as operands of w, in memory of the worker. x: [rows, w.k], every `stride`
QuantRows LatentAttention::quantised(Worker &worker, const CpuWeight &w, const float *x, std::int64_t stride) const {
  const auto rows = static_cast<std::int64_t>(rows_.size());
  const PackedKernelSets &kernels = device_.packed_kernels();
  const PackedMatrix &form = w.packed_matrix();
  const QuantRows quant(kernels, rows, form, worker.middle.take<std::byte>(QuantRows::bytes(kernels, rows, form)));
  auto *memory = worker.tile.take<std::byte>(quant.rounded_bytes());
  for (std::int64_t panel = 0; panel < quant.panels(); ++panel)
    quant.quantise(panel, w.wide_groups(), form.k, memory, [&](std::int64_t r) { return x + r * stride; });
  return quant;
}

// The queries of one head: [W_uk^T q_nope | q_rope] * scale, in the head's lane.
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
    const QuantRows quant = quantised(worker, CpuWeight::of(*call_.k_b), q, qk);
    packed_product(CpuWeight::of(*call_.k_b).packed_matrix(head), 0, lora_, quant,
                   worker.tile.take<float>(tile_scratch(quant)), latent, width);
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
  const std::int64_t group = head / kLanes, lane = head % kLanes;
  for (std::int64_t i = 0; i < rows; ++i)
    lanes_.put_query(latent + i * width, width, lora_, lane, queries_ + (i * groups_ + group) * query_words_);
}

// One chunk of a row's context into new states of a part's groups.
void LatentAttention::attend(Worker &worker, const Part &part, std::int64_t chunk, float *states) {
  const LatentRow &row = rows_[static_cast<std::size_t>(part.index)];
  const std::int64_t first = chunk * kLaneChunk;
  const std::int64_t end = std::min(position_of(batch_, row.sequence, row.row) + 1, first + kLaneChunk);
  const auto cached = [&](std::int64_t at) { return at < end ? call_.cache.row(batch_, row.sequence, at) : nullptr; };
  const auto row_bytes = static_cast<std::int64_t>(call_.cache.row_bytes);
  LaneBlock rows;
  rows.d_qk = lora_ + rope_;
  rows.split = rows.d_v = lora_;
  auto *memory = worker.tile.take<std::byte>(lanes_.row_bytes(rows));
  for (std::int64_t at = first; at < end; at += ABK_BLOCK_TOKENS) {
    rows.count = std::min<std::int64_t>(ABK_BLOCK_TOKENS, end - at);
    lanes_.latent_rows(rows, call_.cache.layout, cached(at), memory);
    rows.next_keys = {};
    for (std::int64_t i = 0; i < part.groups; ++i) {
      if (i == part.groups - 1)
        rows.next_keys = {cached(at + ABK_BLOCK_TOKENS), row_bytes, row_bytes};
      const std::uint32_t *query = queries_ + (part.index * groups_ + part.group + i) * query_words_;
      lanes_.add(rows, query, lanes(part.group + i), at == first, lane_state(states + i * state_floats_));
    }
  }
}

void LatentAttention::attend_all(Worker &worker, const Part &part) {
  attend(worker, part, 0, state(part.index, part.group));
  float *states = worker.middle.take<float>(part.groups * state_floats_);
  for (std::int64_t chunk = 1; chunk < chunks(part.index); ++chunk) {
    attend(worker, part, chunk, states);
    for (std::int64_t i = 0; i < part.groups; ++i)
      lanes_.merge(lane_state(state(part.index, part.group + i)), lane_state(states + i * state_floats_),
                   lanes(part.group + i), lora_);
  }
}

// For few rows: a chunk to a task, merged afterwards in the same order.
void LatentAttention::attend_chunks() {
  struct Task {
    Part part;
    std::int64_t chunk;
  };
  const auto rows = static_cast<std::int64_t>(rows_.size());
  std::vector<std::int64_t> before = {0}; // a row: chunks after the first of the rows before it
  std::int64_t all = 0;
  for (std::int64_t i = 0; i < rows; ++i) {
    before.push_back(before.back() + chunks(i) - 1);
    all += chunks(i);
  }
  std::vector<Task> tasks;
  for (const Part &part : parts(groups_of_task(all))) {
    for (std::int64_t chunk = 0; chunk < chunks(part.index); ++chunk)
      tasks.push_back({part, chunk});
  }
  float *memory = device_.second_scratch().take<float>(before.back() * groups_ * state_floats_);
  const auto state_of = [&](std::int64_t index, std::int64_t group, std::int64_t chunk) {
    const std::int64_t place = before[static_cast<std::size_t>(index)] + chunk - 1;
    return chunk == 0 ? state(index, group) : memory + (place * groups_ + group) * state_floats_;
  };
  device_.run(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t i, Worker &worker) {
    const auto &[part, chunk] = tasks[static_cast<std::size_t>(i)];
    attend(worker, part, chunk, state_of(part.index, part.group, chunk));
  });
  if (before.back() == 0)
    return;
  device_.run(rows * groups_, [&](std::int64_t i, Worker &) {
    const std::int64_t index = i / groups_, group = i % groups_;
    for (std::int64_t chunk = 1; chunk < chunks(index); ++chunk)
      lanes_.merge(lane_state(state(index, group)), lane_state(state_of(index, group, chunk)), lanes(group), lora_);
  });
}

// One head's results: W_uv mixed / total.
void LatentAttention::take_out(Worker &worker, std::int64_t head) {
  const Kernels &kernels = device_.kernels();
  const auto rows = static_cast<std::int64_t>(rows_.size());
  const std::int64_t group = head / kLanes, lane = head % kLanes;
  float *out = worker.sums.take<float>(rows * v_ + rows * lora_); // [rows, v]
  float *mixed = out + rows * v_;                                 // [rows, lora]
  for (std::int64_t i = 0; i < rows; ++i) {
    const LaneState from = lane_state(state(i, group));
    std::copy_n(from.mixed + lane * lora_, lora_, mixed + i * lora_);
    kernels.scale(mixed + i * lora_, 1.0f / from.total[lane], lora_);
    if (!halves_)
      kernels.gemv(CpuWeight::of(call_.kv_b).matrix(), head * (nope_ + v_) + nope_, v_, mixed + i * lora_, lora_, 1,
                   out + i * v_, v_);
  }
  if (halves_) {
    const QuantRows quant = quantised(worker, CpuWeight::of(*call_.v_b), mixed, lora_);
    packed_product(CpuWeight::of(*call_.v_b).packed_matrix(head), 0, v_, quant,
                   worker.tile.take<float>(tile_scratch(quant)), out, v_);
  }
  for (std::int64_t i = 0; i < rows; ++i)
    store_floats(kernels, out + i * v_, call_.out.row(rows_[static_cast<std::size_t>(i)].row), call_.out.dtype,
                 head * v_, v_);
}

} // namespace abyssal::cpu
