// Attention over cached rows in bfloat16, for processors that multiply it. Rows that are cached as int8 are widened to
// it first, a block at a time.
//
// Sixteen queries are the lanes of a register: heads of a token, or heads and tokens that attend to the same head of
// keys. Scores multiply pairs of query values, packed once for many rows, with pairs of a key as it lies in memory;
// values are summed in pairs of neighbouring rows. So no row is transposed. What a lane comes to depends on its query
// and on the rows it sees, and on nothing in the other lanes.
#pragma once

#include "base/cached_row.h"

#include <cstdint>

namespace abyssal::cpu {

constexpr std::int64_t kLanes = 16;

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

// Parts of 64 rows as they are cached, that come afterwards: fetched into the second-level cache meanwhile.
struct LaneAhead {
  const std::byte *rows = nullptr; // null: nothing
  std::int64_t stride = 0, bytes = 0;
};

struct LaneBlock {
  const std::uint16_t *keys = nullptr, *values = nullptr; // bf16 [count, d_qk] and [count, d_v], every `stride`
  std::int64_t stride = 0, count = 0;                     // 1 <= count <= 64
  std::int64_t d_qk = 0, d_v = 0;                         // multiples of 2 and of 16
  const std::int32_t *seen = nullptr;                     // [16] rows that a lane sees, the first ones; null: all
  LaneAhead next_keys, next_values;
};

// Adds a block to a state. query: bf16 pairs [d_qk / 2][16 lanes][2]; lanes: how many are in use, the first ones; of
// the others nothing is kept. first: the state is new, and what it holds is not looked at.
void lane_block_bf16(const LaneBlock &block, const std::uint32_t *query, std::int64_t lanes, bool first,
                     const LaneState &state);

// One head of `count` rows cached as int8, contiguous, and the plain values at the rows' ends, to bfloat16
// [count, layout.head + layout.plain]. layout.head: a multiple of 16
void lane_widen_i8(const CachedRow &layout, const std::byte *rows, std::int64_t count, std::int64_t head,
                   std::uint16_t *out);

// Adds the state `part` to `state`; both of the same queries.
void lane_merge(const LaneState &state, const LaneState &part, std::int64_t lanes, std::int64_t d_v);

} // namespace abyssal::cpu
