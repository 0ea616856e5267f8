// Rows of bf16 times a strip of 32 (see bf16_tiles.h), in registers. Included only by files that are compiled for
// AVX-512 F and BF16.
#pragma once

#include "backends/cpu/dense/bf16_tiles.h"

#include <cstdint>
#include <cstring>
#include <immintrin.h>

namespace abyssal::cpu {
namespace { // each instruction set's file has its own

// M rows by a strip: 24 sums for M = 12, so that no dot product waits for another.
template <int M> using StripSums = __m512[M][2];

template <int M> inline __attribute__((always_inline)) void clear(StripSums<M> &sum) {
#pragma GCC unroll 12
  for (int m = 0; m < M; ++m)
    sum[m][0] = sum[m][1] = _mm512_setzero_ps();
}

// sum[m] += x[m] . strip over `pairs` pairs. x: [M, Stride]
template <int M, std::int64_t Stride>
inline __attribute__((always_inline)) void accumulate(const std::uint32_t *strip, std::int64_t pairs,
                                                      const std::uint16_t *x, StripSums<M> &sum) {
  for (std::int64_t p = 0; p < pairs; ++p, x += 2, strip += kStripRows) {
    const auto a = reinterpret_cast<__m512bh>(_mm512_load_si512(strip)),
               b = reinterpret_cast<__m512bh>(_mm512_load_si512(strip + 16));
#pragma GCC unroll 12
    for (int m = 0; m < M; ++m) {
      std::int32_t two;
      std::memcpy(&two, x + m * Stride, sizeof two);
      const auto both = reinterpret_cast<__m512bh>(_mm512_set1_epi32(two));
      sum[m][0] = _mm512_dpbf16_ps(sum[m][0], a, both);
      sum[m][1] = _mm512_dpbf16_ps(sum[m][1], b, both);
    }
  }
}

} // namespace
} // namespace abyssal::cpu
