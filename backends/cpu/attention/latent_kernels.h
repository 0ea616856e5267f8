// Absorbed attention over cached latent rows in bfloat16, for processors that multiply it.
//
// Sixteen heads are the lanes of a register. Scores multiply pairs of query values, packed once per token for all
// heads, with pairs of a cached row as it lies in memory; values multiply pairs of neighbouring rows. So no row is
// transposed, and each is read twice: as key, and its first kv_lora columns as value.
#pragma once

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
// [(lora + rope) / 2][16 heads][2]. first: the state is new, and what it holds is not looked at. next: rows that come
// afterwards, fetched into the cache meanwhile; or null.
void latent_block_bf16(const std::uint16_t *rows, std::int64_t count, std::int64_t lora, std::int64_t rope,
                       const std::uint32_t *query, bool first, const LatentState &state, const std::uint16_t *next);

// Adds the state `part` to `state`; both over the same sixteen heads.
void latent_merge(const LatentState &state, const LatentState &part, std::int64_t lora);

} // namespace abyssal::cpu
