#include "backends/cpu/attention/flash_tiles.h"

#include "backends/cpu/dense/strip_avx512.h"
#include "backends/cpu/kernels/exp2_avx512.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace abyssal::cpu {

namespace {

// Lane j of two rows as a pair of bf16.
__m512i paired(__m512 low, __m512 high) {
  const auto narrow = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
  alignas(64) static constexpr std::uint16_t kTurns[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                           21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                           11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(kTurns), narrow);
}

template <int M>
void expand_rows(const std::uint32_t *strip, std::int64_t pairs, const std::uint16_t *x, std::uint32_t *out) {
  StripSums<M> sum;
  clear<M>(sum);
  accumulate<M, kLatentStride>(strip, pairs, x, sum);
#pragma GCC unroll 6
  for (int m = 0; m < M; m += 2) {
    _mm512_store_si512(out + m / 2 * kStripRows, paired(sum[m][0], sum[m + 1][0]));
    _mm512_store_si512(out + m / 2 * kStripRows + 16, paired(sum[m][1], sum[m + 1][1]));
  }
}

template <int M> void score_rows(const FlashChunk &chunk, const std::uint16_t *q, std::int64_t strips, float *scores) {
  for (std::int64_t strip = 0; strip < strips; ++strip) {
    StripSums<M> sum;
    clear<M>(sum);
    accumulate<M, kQueryStride>(chunk.keys + strip * chunk.key_pairs * kStripRows, chunk.key_pairs, q, sum);
    accumulate<M, kQueryStride>(chunk.rope_keys + strip * chunk.rope_step, chunk.rope_pairs, q + 2 * chunk.key_pairs,
                                sum);
#pragma GCC unroll 12
    for (int m = 0; m < M; ++m) {
      _mm512_storeu_ps(scores + m * kFlashKeys + strip * kStripRows, sum[m][0]);
      _mm512_storeu_ps(scores + m * kFlashKeys + strip * kStripRows + 16, sum[m][1]);
    }
  }
}

__mmask16 first_lanes(std::int64_t count) {
  return count >= 16 ? __mmask16{0xffff} : static_cast<__mmask16>((1u << std::max<std::int64_t>(count, 0)) - 1);
}

// The weights of a query whose scores are given; returns what its state so far is to be multiplied with.
float weigh(const float *scores, std::int64_t seen, std::int64_t width, float &top, float &total,
            std::uint16_t *weights) {
  const __m512 never = _mm512_set1_ps(-INFINITY);
  __m512 most = never;
  for (std::int64_t j = 0; j < seen; j += 16)
    most = _mm512_max_ps(most, _mm512_mask_loadu_ps(never, first_lanes(seen - j), scores + j));
  const float before = top;
  top = std::max(before, _mm512_reduce_max_ps(most));
  const __m512 now = _mm512_set1_ps(top);
  const auto ones = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3f803f80));
  __m512 sum = _mm512_setzero_ps();
  for (std::int64_t j = 0; j < width; j += 32) {
    const auto half = [&](std::int64_t at) {
      const __m512 score = _mm512_mask_loadu_ps(never, first_lanes(seen - at), scores + at);
      return exp2_of(_mm512_sub_ps(score, now));
    };
    const __m512bh narrow = _mm512_cvtne2ps_pbh(half(j + 16), half(j));
    _mm512_storeu_si512(weights + j, reinterpret_cast<__m512i>(narrow));
    sum = _mm512_dpbf16_ps(sum, narrow, ones);
  }
  const float keep = _mm512_cvtss_f32(exp2_of(_mm512_set1_ps(before - top)));
  total = total * keep + _mm512_reduce_add_ps(sum);
  return keep;
}

template <int M>
void add_values(const FlashChunk &chunk, const std::uint16_t *weights, std::int64_t pairs, const float *keep,
                float *sums) {
  const std::int64_t width = chunk.value_strips * kStripRows;
  for (std::int64_t strip = 0; strip < chunk.value_strips; ++strip) {
    float *at = sums + strip * kStripRows;
    StripSums<M> sum;
#pragma GCC unroll 12
    for (int m = 0; m < M; ++m) {
      sum[m][0] = _mm512_mul_ps(_mm512_loadu_ps(at + m * width), _mm512_set1_ps(keep[m]));
      sum[m][1] = _mm512_mul_ps(_mm512_loadu_ps(at + m * width + 16), _mm512_set1_ps(keep[m]));
    }
    accumulate<M, kQueryStride>(chunk.values + strip * kFlashKeys / 2 * kStripRows, pairs, weights, sum);
#pragma GCC unroll 12
    for (int m = 0; m < M; ++m) {
      _mm512_storeu_ps(at + m * width, sum[m][0]);
      _mm512_storeu_ps(at + m * width + 16, sum[m][1]);
    }
  }
}

template <int M> void panel_rows(const FlashChunk &chunk, const FlashPanel &panel, FlashMemory &memory) {
  const std::int64_t most = std::min(panel.seen + M - 1, kFlashKeys); // seen by the last query
  const std::int64_t strips = (most + kStripRows - 1) / kStripRows, width = strips * kStripRows;
  score_rows<M>(chunk, panel.q, strips, memory.scores);
  float keep[M];
  for (int m = 0; m < M; ++m) {
    std::uint16_t *weights = memory.weights + m * kQueryStride;
    const std::int64_t seen = std::min(panel.seen + m, kFlashKeys);
    if (seen > 0) {
      keep[m] = weigh(memory.scores + m * kFlashKeys, seen, width, panel.top[m], panel.total[m], weights);
    } else {
      std::fill_n(weights, width, std::uint16_t{0});
      keep[m] = 1.0f;
    }
  }
  add_values<M>(chunk, memory.weights, width / 2, keep, panel.sum);
}

template <int... M>
constexpr std::array<decltype(&panel_rows<1>), sizeof...(M)> panels_of(std::integer_sequence<int, M...>) {
  return {panel_rows<M + 1>...};
}

} // namespace

void expand_strip(const std::uint32_t *strip, std::int64_t pairs, const std::uint16_t *x, std::int64_t rows,
                  std::uint32_t *out) {
  static constexpr decltype(&expand_rows<2>) kRows[] = {expand_rows<2>, expand_rows<4>,  expand_rows<6>,
                                                        expand_rows<8>, expand_rows<10>, expand_rows<12>};
  for (std::int64_t r = 0; r < rows; r += 12)
    kRows[std::min<std::int64_t>(12, rows - r) / 2 - 1](strip, pairs, x + r * kLatentStride, out + r / 2 * kStripRows);
}

void flash_panel(const FlashChunk &chunk, const FlashPanel &panel, FlashMemory &memory) {
  static constexpr auto kRows = panels_of(std::make_integer_sequence<int, kFlashQueries>());
  kRows[static_cast<std::size_t>(panel.rows - 1)](chunk, panel, memory);
}

} // namespace abyssal::cpu
