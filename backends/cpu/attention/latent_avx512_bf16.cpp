#include "backends/cpu/attention/latent_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <immintrin.h>

namespace abyssal::cpu {

namespace {

constexpr std::int64_t kRows = 64;   // of a block
constexpr std::int64_t kTokens = 16; // whose scores are summed at a time

__m512bh pairs(std::uint32_t two) { return reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(two))); }

__m512 max_of(__m512 a, __m512 b) { return _mm512_max_ps(a, b); }

// 2^x for x <= 0; 0 below -126. A polynomial on [-1/2, 1/2], relative error about 2e-7.
__m512 exp2_of(__m512 x) {
  const __mmask16 normal = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-126.0f), _CMP_GE_OQ);
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = _mm512_sub_ps(x, n);
  __m512 p = _mm512_set1_ps(1.54035304e-4f);
  for (const float c : {1.33335581e-3f, 9.61812911e-3f, 5.55041087e-2f, 2.40226507e-1f, 6.93147181e-1f, 1.0f})
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
  return _mm512_maskz_scalef_ps(normal, p, n);
}

// Rounds to bfloat16, to nearest, ties to even; the bits stay in the upper half of each lane.
__m512i rounded(__m512 x) {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  return _mm512_and_si512(up, _mm512_set1_epi32(static_cast<int>(0xffff0000u)));
}

// Scores of sixteen tokens for sixteen heads. stride: from a token's row to the next; 0: the same token sixteen times.
void score_tokens(const std::uint16_t *rows, std::int64_t stride, std::int64_t width, const std::uint32_t *query,
                  __m512 *scores) {
  __m512 sum[kTokens];
#pragma GCC unroll 16
  for (std::int64_t t = 0; t < kTokens; ++t)
    sum[t] = _mm512_setzero_ps();
  for (std::int64_t i = 0; i < width / 2; ++i) {
    const auto q = reinterpret_cast<__m512bh>(_mm512_loadu_si512(query + i * kHeadLanes));
#pragma GCC unroll 16
    for (std::int64_t t = 0; t < kTokens; ++t) {
      std::uint32_t two;
      std::memcpy(&two, rows + t * stride + 2 * i, sizeof two);
      sum[t] = _mm512_dpbf16_ps(sum[t], q, pairs(two));
    }
  }
#pragma GCC unroll 16
  for (std::int64_t t = 0; t < kTokens; ++t)
    scores[t] = sum[t];
}

// Column block d of two rows, interleaved: lane j holds (a[d + j], b[d + j]).
__m512bh interleaved(const std::uint16_t *a, const std::uint16_t *b) {
  const __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(a)));
  const __m512i high = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(b)));
  return reinterpret_cast<__m512bh>(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}

// mixed = mixed * keep + weights rows. weights: bf16 pairs [32][16 heads][2]
void add_values(const std::uint16_t *rows, std::int64_t count, std::int64_t width, std::int64_t lora,
                const std::uint32_t *weights, const float *keep, bool first, float *mixed, const std::byte *next,
                std::int64_t next_bytes) {
  const std::int64_t steps = lora / 16, lines = next_bytes / 64; // cache lines of the next block
  for (std::int64_t d = 0; d < lora; d += 16) {
    for (std::int64_t line = lines * d / 16 / steps; next != nullptr && line < lines * (d / 16 + 1) / steps; ++line)
      _mm_prefetch(reinterpret_cast<const char *>(next + line * 64), _MM_HINT_T1);
    __m512 sum[kHeadLanes];
#pragma GCC unroll 16
    for (std::int64_t h = 0; h < kHeadLanes; ++h)
      sum[h] =
          first ? _mm512_setzero_ps() : _mm512_mul_ps(_mm512_loadu_ps(mixed + h * lora + d), _mm512_set1_ps(keep[h]));
    const std::uint16_t *at = rows + d;
    for (std::int64_t t = 0; t < count; t += 2, at += 2 * width) {
      const __m512bh v = interleaved(at, t + 1 < count ? at + width : at);
      const std::uint32_t *w = weights + t / 2 * kHeadLanes;
#pragma GCC unroll 16
      for (std::int64_t h = 0; h < kHeadLanes; ++h)
        sum[h] = _mm512_dpbf16_ps(sum[h], v, pairs(w[h]));
    }
#pragma GCC unroll 16
    for (std::int64_t h = 0; h < kHeadLanes; ++h)
      _mm512_storeu_ps(mixed + h * lora + d, sum[h]);
  }
}

} // namespace

void latent_block_bf16(const std::uint16_t *rows, std::int64_t count, std::int64_t lora, std::int64_t rope,
                       const std::uint32_t *query, bool first, const LatentState &state, const std::byte *next,
                       std::int64_t next_bytes) {
  const std::int64_t width = lora + rope;
  const __m512 never = _mm512_set1_ps(-INFINITY);
  __m512 scores[kRows];
  __m512 top = first ? never : _mm512_loadu_ps(state.top);
  const __m512 old_top = top;
  const std::int64_t groups = (count + kTokens - 1) / kTokens;
  for (std::int64_t g = 0; g < groups; ++g) {
    // A last group of fewer tokens ends with them: some scores are made twice, none from rows that do not exist.
    const std::int64_t begin = std::max<std::int64_t>(std::min(g * kTokens, count - kTokens), 0);
    if (count >= kTokens) {
      score_tokens(rows + begin * width, width, width, query, scores + begin);
      continue;
    }
    __m512 copies[kTokens];
    for (std::int64_t t = 0; t < count; ++t) {
      score_tokens(rows + t * width, 0, width, query, copies);
      scores[t] = copies[0];
    }
  }
  for (std::int64_t t = 0; t < count; ++t)
    top = max_of(top, scores[t]);

  __m512 total = _mm512_setzero_ps();
  alignas(64) std::uint32_t weights[kRows / 2 * kHeadLanes];
  for (std::int64_t t = 0; t < count; t += 2) {
    const __m512i even = rounded(exp2_of(_mm512_sub_ps(scores[t], top)));
    const __m512i odd = t + 1 < count ? rounded(exp2_of(_mm512_sub_ps(scores[t + 1], top))) : _mm512_setzero_si512();
    total = _mm512_add_ps(total, _mm512_castsi512_ps(even));
    total = _mm512_add_ps(total, _mm512_castsi512_ps(odd));
    _mm512_store_si512(weights + t / 2 * kHeadLanes, _mm512_or_si512(_mm512_srli_epi32(even, 16), odd));
  }
  alignas(64) float keep[kHeadLanes] = {};
  if (!first) {
    const __m512 factor = exp2_of(_mm512_sub_ps(old_top, top));
    _mm512_store_ps(keep, factor);
    total = _mm512_fmadd_ps(_mm512_loadu_ps(state.total), factor, total);
  }
  _mm512_storeu_ps(state.top, top);
  _mm512_storeu_ps(state.total, total);
  add_values(rows, count, width, lora, weights, keep, first, state.mixed, next, next_bytes);
}

void latent_widen_i8(const CachedRow &layout, const std::byte *rows, std::int64_t count, std::uint16_t *out) {
  const std::size_t row_bytes = layout.bytes();
  const std::int64_t lora = layout.quants();
  for (std::int64_t r = 0; r < count; ++r, rows += row_bytes, out += layout.width) {
    const auto *scales = reinterpret_cast<const float *>(rows);
    const std::byte *quants = rows + layout.quants_at();
    for (std::int64_t d = 0; d < lora; d += 16) { // a group is a multiple of 16 values
      const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i *>(quants + d));
      const __m512 wide = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(sixteen));
      const __m256bh narrow = _mm512_cvtneps_pbh(_mm512_mul_ps(wide, _mm512_set1_ps(scales[d / kCacheGroup])));
      _mm256_storeu_si256(reinterpret_cast<__m256i *>(out + d), reinterpret_cast<__m256i>(narrow));
    }
    std::memcpy(out + lora, rows + layout.plain_at(), static_cast<std::size_t>(layout.plain) * sizeof *out);
  }
}

void latent_merge(const LatentState &state, const LatentState &part, std::int64_t lora) {
  const __m512 a = _mm512_loadu_ps(state.top), b = _mm512_loadu_ps(part.top), top = max_of(a, b);
  alignas(64) float keep[kHeadLanes], take[kHeadLanes];
  _mm512_store_ps(keep, exp2_of(_mm512_sub_ps(a, top)));
  _mm512_store_ps(take, exp2_of(_mm512_sub_ps(b, top)));
  _mm512_storeu_ps(state.top, top);
  _mm512_storeu_ps(state.total, _mm512_fmadd_ps(_mm512_loadu_ps(state.total), _mm512_load_ps(keep),
                                                _mm512_mul_ps(_mm512_loadu_ps(part.total), _mm512_load_ps(take))));
  for (std::int64_t h = 0; h < kHeadLanes; ++h) {
    for (std::int64_t d = h * lora; d < (h + 1) * lora; d += 16)
      _mm512_storeu_ps(state.mixed + d,
                       _mm512_fmadd_ps(_mm512_loadu_ps(state.mixed + d), _mm512_set1_ps(keep[h]),
                                       _mm512_mul_ps(_mm512_loadu_ps(part.mixed + d), _mm512_set1_ps(take[h]))));
  }
}

} // namespace abyssal::cpu
