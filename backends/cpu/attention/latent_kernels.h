// Absorbed attention over cached latent rows in bfloat16, for processors that multiply it. Rows that are cached as int8
// are widened to it first, a block at a time.
//
// Sixteen heads are the lanes of a register. Scores multiply pairs of query values, packed once per token for all
// heads, with pairs of a cached row as it lies in memory; values multiply pairs of neighbouring rows. So no row is
// transposed, and each is read twice: as key, and its first kv_lora columns as value.
#pragma once

#include "base/cached_row.h"

#include <cstdint>

namespace abyssal::cpu {

constexpr std::int64_t kHeadLanes = 16;

// Running softmax of sixteen heads, in powers of two: scores are multiplied by log2 e beforehand.
struct LatentState {
  float *top;   // [16] largest score so far
  float *total; // [16] sum of 2^(score - top)
  float *mixed; // [16, lora] sum of 2^(score - top) * row
};

// The size that the kernels take.
inline bool latent_kernels_take(std::int64_t lora, std::int64_t rope) noexcept {
  return lora % 16 == 0 && rope % 2 == 0;
}

// Adds `count` <= 64 rows, contiguous, to a state. rows: bf16 [count, lora + rope]; query: bf16 pairs
// [(lora + rope) / 2][16 heads][2]. first: the state is new, and what it holds is not looked at. next: a block that
// comes afterwards, of next_bytes as it is cached, fetched into the second-level cache meanwhile; or null.
void latent_block_bf16(const std::uint16_t *rows, std::int64_t count, std::int64_t lora, std::int64_t rope,
                       const std::uint32_t *query, bool first, const LatentState &state, const std::byte *next,
                       std::int64_t next_bytes);

// `count` rows cached as int8, contiguous, to bfloat16 rows [count, layout.width].
void latent_widen_i8(const CachedRow &layout, const std::byte *rows, std::int64_t count, std::uint16_t *out);

// Adds the state `part` to `state`; both over the same sixteen heads.
void latent_merge(const LatentState &state, const LatentState &part, std::int64_t lora);

} // namespace abyssal::cpu
