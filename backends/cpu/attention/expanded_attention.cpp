#include "backends/cpu/attention/expanded_attention.h"

#include "backends/cpu/attention/rows.h"
#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/device/cpu_weight.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numbers>

namespace abyssal::cpu {

namespace {

std::int64_t strips_of(std::int64_t rows) noexcept { return (rows + kStripRows - 1) / kStripRows; }

// From strip to strip of packed columns, which are packed 32 at a time.
std::int64_t strip_step(std::int64_t columns) noexcept { return (columns + 31) / 32 * 16 * kStripRows; }

} // namespace

// One head's weights and the state of its queries, while its task goes through the chunks.
struct ExpandedAttention::Head {
  std::int64_t index = 0;
  std::uint16_t *w_k = nullptr;           // [nope, kLatentStride]
  std::uint32_t *w_v = nullptr;           // [v_strips] strips of lora columns
  std::uint16_t *q = nullptr;             // [queries, kQueryStride]
  float *sum = nullptr;                   // [queries, v_strips * kStripRows]
  float *top = nullptr, *total = nullptr; // [queries]
};

// What a task works in.
struct ExpandedAttention::Memory {
  Memory(Carve carve, const ExpandedAttention &op, std::int64_t head_count, std::int64_t queries)
      : rows(carve.take<std::uint16_t>(kFlashKeys * kLatentStride)),
        latent(carve.take<std::uint32_t>(kFlashStrips * strip_step(op.lora_))),
        rope_keys(carve.take<std::uint32_t>(kFlashStrips * strip_step(op.rope_))),
        keys(carve.take<std::uint32_t>(kFlashKeys * op.nope_ / 2)),
        values(carve.take<std::uint32_t>(kFlashKeys / 2 * op.v_strips_ * kStripRows)),
        panel(carve.take<FlashMemory>(1)) {
    for (std::int64_t i = 0; i < head_count; ++i) {
      Head &head = heads[i];
      head.w_k = carve.take<std::uint16_t>(op.nope_ * kLatentStride);
      head.w_v = carve.take<std::uint32_t>(op.v_strips_ * strip_step(op.lora_));
      head.q = carve.take<std::uint16_t>(queries * kQueryStride);
      head.sum = carve.take<float>(queries * op.v_strips_ * kStripRows);
      head.top = carve.take<float>(queries);
      head.total = carve.take<float>(queries);
    }
    bytes = static_cast<std::int64_t>(carve.used());
  }
  std::uint16_t *rows;      // [kFlashKeys, kLatentStride]: c_kv | k_pe
  std::uint32_t *latent;    // [kFlashStrips] strips of lora columns
  std::uint32_t *rope_keys; // [kFlashStrips] strips of rope columns
  std::uint32_t *keys;      // [kFlashStrips, nope / 2, kStripRows]
  std::uint32_t *values;    // [v_strips, kFlashKeys / 2, kStripRows]
  FlashMemory *panel;
  Head heads[kMostExpandedHeads];
  std::int64_t bytes;
};

bool ExpandedAttention::takes(const CpuDevice &device, const MlaAttendCall &call, const abk_mla_attend_args &args) {
  return device.has_bf16() && call.kv_b.compute != ABY_DTYPE_F32 && has_tiles() && args.qk_nope % 2 == 0 &&
         args.rope_dim % 2 == 0 && args.kv_lora % 2 == 0 && args.qk_nope + args.rope_dim <= kQueryStride &&
         args.kv_lora + args.rope_dim <= kLatentStride;
}

ExpandedAttention::ExpandedAttention(CpuDevice &device, const HostBatch &batch, const MlaAttendCall &call,
                                     const abk_mla_attend_args &args)
    : device_(device), batch_(batch), call_(call), nope_(args.qk_nope), rope_(args.rope_dim), lora_(args.kv_lora),
      v_(args.v_dim), v_strips_(strips_of(args.v_dim)), scale_(args.scale * std::numbers::log2e_v<float>) {}

void ExpandedAttention::run(Worker &worker, std::int32_t sequence, std::int64_t head, std::int64_t count) const {
  const std::int64_t queries = batch_.new_tokens(sequence),
                     context = batch_.context[static_cast<std::size_t>(sequence)];
  const std::int64_t row0 = batch_.row_begin[static_cast<std::size_t>(sequence)];
  const std::int64_t bytes = Memory(Carve(), *this, count, queries).bytes;
  Memory memory(Carve(worker.attention.take<std::byte>(bytes)), *this, count, queries);
  for (std::int64_t i = 0; i < count; ++i) {
    memory.heads[i].index = head + i;
    make_head(worker, memory, memory.heads[i], row0, queries);
  }
  for (std::int64_t first = 0; first < context + queries; first += kFlashKeys) {
    const std::int64_t tokens = std::min(kFlashKeys, context + queries - first);
    load_rows(worker, memory, sequence, first, tokens);
    for (std::int64_t i = 0; i < count; ++i) {
      expand(memory, memory.heads[i], tokens);
      attend(memory, memory.heads[i], first, context, queries);
    }
  }
  for (std::int64_t i = 0; i < count; ++i)
    store(memory.heads[i], row0, queries);
}

// `count` rows of kv_b in bfloat16, to rows of kLatentStride.
void ExpandedAttention::weight_rows(Worker &worker, std::int64_t first, std::int64_t count, std::uint16_t *to) const {
  const MatrixView &w = CpuWeight::of(call_.kv_b).matrix();
  float *wide = worker.sums.take<float>(lora_);
  for (std::int64_t i = 0; i < count; ++i, to += kLatentStride) {
    if (w.dtype == ABY_DTYPE_BF16) {
      std::copy_n(static_cast<const std::uint16_t *>(w.data) + (first + i) * lora_, lora_, to);
    } else {
      device_.kernels().widen_row(w, first + i, wide);
      device_.kernels().f32_to_bf16(wide, to, lora_);
    }
  }
}

// A head's rows of W_uk and W_uv in the order of the kernels, its queries, and an empty state.
void ExpandedAttention::make_head(Worker &worker, const Memory &memory, const Head &at, std::int64_t row0,
                                  std::int64_t queries) const {
  const Kernels &kernels = device_.kernels();
  const std::int64_t first = at.index * (nope_ + v_);
  weight_rows(worker, first, nope_, at.w_k);
  for (std::int64_t row = 0; row < v_; row += kStripRows) {
    const std::int64_t rows = std::min(kStripRows, v_ - row);
    weight_rows(worker, first + nope_ + row, rows, memory.rows); // free until the first chunk
    pack_strip_bf16(memory.rows, kLatentStride, rows, lora_, at.w_v + row / kStripRows * strip_step(lora_));
  }
  const std::int64_t qk = nope_ + rope_;
  float *q = worker.sums.take<float>(qk);
  for (std::int64_t t = 0; t < queries; ++t) {
    load_floats(kernels, call_.q.row(row0 + t), call_.q.dtype, at.index * qk, qk, q);
    kernels.scale(q, scale_, qk);
    kernels.f32_to_bf16(q, at.q + t * kQueryStride, qk);
  }
  std::fill_n(at.sum, queries * v_strips_ * kStripRows, 0.0f);
  std::fill_n(at.top, queries, -std::numeric_limits<float>::infinity());
  std::fill_n(at.total, queries, 0.0f);
}

// A chunk of cached rows, and what all heads take of it. Rows that are missing from the last strip become zeros.
void ExpandedAttention::load_rows(Worker &worker, const Memory &memory, std::int32_t sequence, std::int64_t first,
                                  std::int64_t tokens) const {
  const Kernels &kernels = device_.kernels();
  const CachedRow &layout = call_.cache.layout;
  const std::int64_t width = lora_ + rope_, strips = strips_of(tokens);
  float *wide = worker.sums.take<float>(width);
  for (std::int64_t j = 0; j < tokens; ++j) {
    const std::byte *row = call_.cache.row(batch_, sequence, first + j);
    std::uint16_t *to = memory.rows + j * kLatentStride;
    if (layout.dtype == ABY_DTYPE_BF16) {
      std::memcpy(to, row, static_cast<std::size_t>(width) * sizeof *to);
    } else {
      load_cached(kernels, layout, row, 0, width, wide);
      kernels.f32_to_bf16(wide, to, width);
    }
  }
  for (std::int64_t j = tokens; j < strips * kStripRows; ++j)
    std::fill_n(memory.rows + j * kLatentStride, width, std::uint16_t{0});
  for (std::int64_t strip = 0; strip < strips; ++strip) {
    const std::uint16_t *rows = memory.rows + strip * kStripRows * kLatentStride;
    pack_strip_bf16(rows, kLatentStride, kStripRows, lora_, memory.latent + strip * strip_step(lora_));
    pack_strip_bf16(rows + lora_, kLatentStride, kStripRows, rope_, memory.rope_keys + strip * strip_step(rope_));
  }
}

// Keys and values of a head.
void ExpandedAttention::expand(const Memory &memory, const Head &at, std::int64_t tokens) const {
  const std::int64_t strips = strips_of(tokens);
  for (std::int64_t strip = 0; strip < strips; ++strip)
    expand_strip(memory.latent + strip * strip_step(lora_), lora_ / 2, at.w_k, nope_,
                 memory.keys + strip * kStripRows * nope_ / 2);
  for (std::int64_t strip = 0; strip < v_strips_; ++strip)
    expand_strip(at.w_v + strip * strip_step(lora_), lora_ / 2, memory.rows, strips * kStripRows,
                 memory.values + strip * kStripRows * kFlashKeys / 2);
}

void ExpandedAttention::attend(const Memory &memory, const Head &at, std::int64_t first, std::int64_t context,
                               std::int64_t queries) const {
  const FlashChunk chunk{memory.keys, memory.rope_keys,  memory.values, nope_ / 2,
                         rope_ / 2,   strip_step(rope_), v_strips_};
  for (std::int64_t begin = 0; begin < queries; begin += kFlashQueries) {
    const std::int64_t rows = std::min(kFlashQueries, queries - begin), seen = context + begin + 1 - first;
    if (seen + rows > 1) // by the last one: at least one
      flash_panel(chunk,
                  {at.q + begin * kQueryStride, rows, seen, at.top + begin, at.total + begin,
                   at.sum + begin * v_strips_ * kStripRows},
                  *memory.panel);
  }
}

void ExpandedAttention::store(const Head &at, std::int64_t row0, std::int64_t queries) const {
  for (std::int64_t t = 0; t < queries; ++t) {
    float *sum = at.sum + t * v_strips_ * kStripRows;
    device_.kernels().scale(sum, 1.0f / at.total[t], v_);
    store_floats(device_.kernels(), sum, call_.out.row(row0 + t), call_.out.dtype, at.index * v_, v_);
  }
}

} // namespace abyssal::cpu
