#include "backends/cpu/attention/expanded_lanes.h"

#include "backends/cpu/attention/expanded_attention.h"
#include "backends/cpu/attention/rows.h"
#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/device/cpu_weight.h"

#include <algorithm>
#include <array>
#include <numbers>

namespace abyssal::cpu {

namespace {

LaneBlock block_of(std::int64_t d_qk, std::int64_t split, std::int64_t d_v) {
  LaneBlock block;
  block.d_qk = d_qk;
  block.split = split;
  block.d_v = d_v;
  return block;
}

} // namespace

// One head's weights and the state of its queries, while its task goes through the blocks.
struct ExpandedLanes::Head {
  std::int64_t index = 0;
  std::uint32_t *w_k = nullptr, *w_v = nullptr; // [key / 16] and [value / 16] of sixteen rows
  std::uint32_t *queries = nullptr;             // [queries / 16] of sixteen
  float *states = nullptr;                      // [queries / 16] states
};

// What a task works in.
struct ExpandedLanes::Memory {
  Memory(Carve carve, const ExpandedLanes &op, std::int64_t head_count, std::int64_t queries)
      : latent(block_of(op.lora_ + op.rope_, op.lora_, 0)), made(block_of(op.key_ + op.rope_, op.key_, op.value_)),
        latent_memory(carve.take<std::byte>(op.lanes_.row_bytes(latent))),
        made_memory(carve.take<std::byte>(op.lanes_.row_bytes(made))),
        keys(carve.take<float>(ABK_BLOCK_TOKENS * op.key_)), values(carve.take<float>(ABK_BLOCK_TOKENS * op.value_)) {
    const std::int64_t tiles = whole_lanes(queries) / kLanes;
    for (std::int64_t i = 0; i < head_count; ++i) {
      Head &head = heads[static_cast<std::size_t>(i)];
      head.w_k = carve.take<std::uint32_t>(op.key_ / kLanes * op.weight_words_);
      head.w_v = carve.take<std::uint32_t>(op.value_ / kLanes * op.weight_words_);
      head.queries = carve.take<std::uint32_t>(tiles * op.query_words_);
      head.states = carve.take<float>(tiles * op.state_floats_);
    }
    bytes = static_cast<std::int64_t>(carve.used());
  }
  LaneBlock latent, made; // as they are before they are made ready
  std::byte *latent_memory, *made_memory;
  float *keys, *values; // [64, key] and [64, value]
  std::array<Head, kMostExpandedHeads> heads;
  std::int64_t bytes;
};

bool ExpandedLanes::takes(const CpuDevice &device, const MlaAttendCall &call, const abk_mla_attend_args &args) {
  return device.lane_kernels().products != nullptr && call.cache.layout.dtype != ABY_DTYPE_F32 &&
         call.kv_b.compute != ABY_DTYPE_F32 && args.kv_lora % 16 == 0 && args.rope_dim % 2 == 0;
}

ExpandedLanes::ExpandedLanes(CpuDevice &device, const HostBatch &batch, const MlaAttendCall &call,
                             const abk_mla_attend_args &args)
    : device_(device), lanes_(device.lane_kernels()), batch_(batch), call_(call), nope_(args.qk_nope),
      rope_(args.rope_dim), lora_(args.kv_lora), v_(args.v_dim), key_(whole_lanes(nope_)), value_(whole_lanes(v_)),
      scale_(args.scale * std::numbers::log2e_v<float>), weight_words_(lane_query_words(lora_)),
      query_words_(lane_query_words(key_ + rope_)), state_floats_(lane_state_floats(value_)) {}

void ExpandedLanes::run(Worker &worker, std::int32_t sequence, std::int64_t head, std::int64_t count) const {
  const std::int64_t queries = batch_.new_tokens(sequence),
                     context = batch_.context[static_cast<std::size_t>(sequence)];
  const std::int64_t row0 = batch_.row_begin[static_cast<std::size_t>(sequence)];
  const std::int64_t bytes = Memory(Carve(), *this, count, queries).bytes;
  Memory memory(Carve(worker.attention.take<std::byte>(bytes)), *this, count, queries);
  for (std::int64_t i = 0; i < count; ++i) {
    Head &at = memory.heads[static_cast<std::size_t>(i)];
    at.index = head + i;
    make_head(worker, at, row0, queries);
  }
  const std::int64_t total = context + queries;
  for (std::int64_t first = 0; first < total; first += ABK_BLOCK_TOKENS) {
    LaneBlock latent = memory.latent;
    latent.count = std::min<std::int64_t>(ABK_BLOCK_TOKENS, total - first);
    lanes_.latent_rows(latent, call_.cache.layout, call_.cache.row(batch_, sequence, first), memory.latent_memory);
    for (std::int64_t i = 0; i < count; ++i) {
      const Head &at = memory.heads[static_cast<std::size_t>(i)];
      LaneBlock made = expand(memory, at, latent);
      attend(at, made, first, context, queries);
    }
  }
  for (std::int64_t i = 0; i < count; ++i)
    store(worker, memory.heads[static_cast<std::size_t>(i)], row0, queries);
}

// `count` rows of kv_b, sixteen to a tile.
void ExpandedLanes::pack_weights(Worker &worker, std::int64_t first, std::int64_t count, std::uint32_t *tiles) const {
  const MatrixView &w = CpuWeight::of(call_.kv_b).matrix();
  float *wide = worker.sums.take<float>(lora_);
  std::fill_n(tiles, whole_lanes(count) / kLanes * weight_words_, 0u); // missing rows are zeros
  for (std::int64_t i = 0; i < count; ++i) {
    device_.kernels().widen_row(w, first + i, wide);
    lanes_.put_query(wide, lora_, lora_, i % kLanes, tiles + i / kLanes * weight_words_);
  }
}

void ExpandedLanes::make_head(Worker &worker, const Head &at, std::int64_t row0, std::int64_t queries) const {
  const Kernels &kernels = device_.kernels();
  const std::int64_t first = at.index * (nope_ + v_), qk = nope_ + rope_;
  pack_weights(worker, first, nope_, at.w_k);
  pack_weights(worker, first + nope_, v_, at.w_v);
  float *given = worker.sums.take<float>(qk + key_ + rope_);
  float *q = given + qk; // with zeros between its parts, as keys are
  std::fill_n(q, key_, 0.0f);
  std::fill_n(at.queries, whole_lanes(queries) / kLanes * query_words_, 0u);
  for (std::int64_t t = 0; t < queries; ++t) {
    load_floats(kernels, call_.q.row(row0 + t), call_.q.dtype, at.index * qk, qk, given);
    kernels.scale(given, scale_, qk);
    std::copy_n(given, nope_, q);
    std::copy_n(given + nope_, rope_, q + key_);
    lanes_.put_query(q, key_ + rope_, key_, t % kLanes, at.queries + t / kLanes * query_words_);
  }
}

// Keys and values of a head.
LaneBlock ExpandedLanes::expand(const Memory &memory, const Head &at, const LaneBlock &latent) const {
  LaneBlock rows = latent; // without k_pe
  rows.d_qk = lora_;
  for (std::int64_t i = 0; i < key_; i += kLanes)
    lanes_.products(rows, at.w_k + i / kLanes * weight_words_, memory.keys + i, key_);
  for (std::int64_t i = 0; i < value_; i += kLanes)
    lanes_.products(rows, at.w_v + i / kLanes * weight_words_, memory.values + i, value_);
  LaneBlock made = memory.made;
  made.count = latent.count;
  lanes_.made_rows(made, latent, memory.keys, memory.values, memory.made_memory);
  return made;
}

// A block from position `first` on, of which later queries may see more than earlier ones.
void ExpandedLanes::attend(const Head &at, LaneBlock &block, std::int64_t first, std::int64_t context,
                           std::int64_t queries) const {
  const std::int64_t all = block.count;
  for (std::int64_t begin = 0; begin < queries; begin += kLanes) {
    const std::int64_t lanes = std::min(kLanes, queries - begin), least = context + begin + 1 - first;
    if (least + lanes <= 1) // seen by the last one
      continue;
    block.count = std::min(all, least + lanes - 1);
    std::array<std::int32_t, kLanes> seen{};
    for (std::int64_t lane = 0; lane < lanes; ++lane)
      seen[static_cast<std::size_t>(lane)] =
          static_cast<std::int32_t>(std::clamp<std::int64_t>(least + lane, 0, block.count));
    block.seen = least >= block.count ? nullptr : seen.data();
    lanes_.add(block, at.queries + begin / kLanes * query_words_, lanes, first == 0,
               lane_state(at.states + begin / kLanes * state_floats_));
  }
}

void ExpandedLanes::store(Worker &worker, const Head &at, std::int64_t row0, std::int64_t queries) const {
  float *row = worker.sums.take<float>(v_);
  for (std::int64_t t = 0; t < queries; ++t) {
    const LaneState from = lane_state(at.states + t / kLanes * state_floats_);
    std::copy_n(from.mixed + t % kLanes * value_, v_, row);
    device_.kernels().scale(row, 1.0f / from.total[t % kLanes], v_);
    store_floats(device_.kernels(), row, call_.out.row(row0 + t), call_.out.dtype, at.index * v_, v_);
  }
}

} // namespace abyssal::cpu
