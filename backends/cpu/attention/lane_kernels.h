// Attention over cached rows, sixteen queries at a time, one set of kernels per instruction set.
//
// Sixteen queries are the lanes of a register: heads of a token, or heads and tokens that attend to the same head of
// keys. Scores multiply pairs of query values, packed once for many rows, with pairs of a key; values are summed in
// pairs of neighbouring rows. What a lane comes to depends on its query and on the rows it sees, and on nothing in the
// other lanes.
//
// Processors that multiply bfloat16 take rows as they lie in a bfloat16 cache; rows that are cached as int8 are widened
// to it, a block at a time. Others take a block as integers of 16 bits (see lane_i16_bodies.h).
#pragma once

#include "backends/cpu/device/isa.h"
#include "backends/host/cached_row.h"

#include <cstddef>
#include <cstdint>

namespace abyssal::cpu {

constexpr std::int64_t kLanes = 16;

constexpr std::int64_t whole_lanes(std::int64_t count) noexcept { return (count + kLanes - 1) / kLanes * kLanes; }

// A context is cut into chunks of this many tokens by position, each with a softmax of its own, merged in order.
constexpr std::int64_t kLaneChunk = 512;

// Running softmax of sixteen queries, in powers of two: scores are multiplied by log2 e beforehand.
struct LaneState {
  float *top;   // [16] largest score so far
  float *total; // [16] sum of 2^(score - top)
  float *mixed; // [16, d_v] sum of 2^(score - top) * value
};

inline std::int64_t lane_state_floats(std::int64_t d_v) noexcept { return kLanes * (d_v + 2); }
inline LaneState lane_state(float *memory) noexcept { return {memory, memory + kLanes, memory + 2 * kLanes}; }

// Words of sixteen queries: pairs of 16 bits [d_qk / 2][16 lanes][2], then float scales [2][16 lanes] of the columns
// before and from `split` on, which bfloat16 has no use for.
inline std::int64_t lane_query_words(std::int64_t d_qk) noexcept { return (d_qk / 2 + 2) * kLanes; }

// Parts of 64 rows as they are cached, that come afterwards: fetched into the second-level cache meanwhile.
struct LaneAhead {
  const std::byte *rows = nullptr; // null: nothing
  std::int64_t stride = 0, bytes = 0;
};

struct LaneBlock {
  std::int64_t count = 0;           // rows, 1 to 64
  std::int64_t d_qk = 0, split = 0; // columns of keys, even; of those, the ones before k_pe: a multiple of 16, or all
  std::int64_t d_v = 0;             // a multiple of 16
  // What the kernels multiply, set by latent_rows and head_rows. bf16: rows of keys and of values. Integers: rows of
  // keys; values [d_v / 16][32][16][2], pairs of rows; and scales of rows.
  const std::uint16_t *keys = nullptr, *values = nullptr;
  std::int64_t stride = 0;
  const float *key_scales = nullptr;   // [2][64] of the columns before and from `split` on
  const float *value_scales = nullptr; // [64]
  const std::int32_t *seen = nullptr;  // [16] rows that a lane sees, the first ones; null: all
  LaneAhead next_keys, next_values;
};

struct LaneKernels {
  // Bytes that latent_rows and head_rows take of a block like this one.
  std::int64_t (*row_bytes)(const LaneBlock &block);
  // Makes ready `block.count` cached rows, contiguous. latent_rows: rows [c_kv | k_pe], keys, and values by their first
  // d_v columns. head_rows: one head of rows of keys and of rows of values, of one layout.
  // memory: row_bytes, 64-byte aligned
  void (*latent_rows)(LaneBlock &block, const CachedRow &layout, const std::byte *rows, std::byte *memory);
  void (*head_rows)(LaneBlock &block, const CachedRow &layout, const std::byte *keys, const std::byte *values,
                    std::int64_t head, std::byte *memory);
  // A query of d_qk values into its lane.
  void (*put_query)(const float *values, std::int64_t d_qk, std::int64_t split, std::int64_t lane,
                    std::uint32_t *query);
  // Adds a block to a state. lanes: how many are in use, the first ones; of the others nothing is kept. first: the
  // state is new, and what it holds is not looked at.
  void (*add)(const LaneBlock &block, const std::uint32_t *query, std::int64_t lanes, bool first,
              const LaneState &state);
  // Adds the state `part` to `state`; both of the same queries.
  void (*merge)(const LaneState &state, const LaneState &part, std::int64_t lanes, std::int64_t d_v);

  // Keys and values made of latent rows, on the way of scores: null for bfloat16, which has tiles for it.
  // out[t][lane] = key t of the block . query of the lane. out: [64], every `step`
  void (*products)(const LaneBlock &block, const std::uint32_t *query, float *out, std::int64_t step);
  // Makes ready rows that are made: keys [64, made.split] and values [64, made.d_v], with k_pe of `latent`.
  // memory: as for head_rows
  void (*made_rows)(LaneBlock &made, const LaneBlock &latent, const float *keys, const float *values,
                    std::byte *memory);
};

const LaneKernels &avx2_lane_kernels();
const LaneKernels &avx_vnni_lane_kernels();
const LaneKernels &avx512_lane_kernels();
const LaneKernels &avx512_vnni_lane_kernels();
const LaneKernels &avx512_bf16_lane_kernels();

// The kernels of integers give the same bits on every instruction set.
const LaneKernels &lane_kernels_for(Isa isa);

} // namespace abyssal::cpu
