// Rows rounded to integers of 16 bits, with one float scale: value = scale * integer. Included only by files compiled
// for AVX2 and FMA, or more.
//
// Integers are within 5790, so that 64 products of two of them, and any part of them, fit in 32 bits. A row that has a
// value that is not finite gets a scale that is not a number.
#pragma once

#include "backends/host/cached_row.h"
#include "device/backend.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <immintrin.h>
#include <limits>

namespace abyssal::cpu {
namespace { // each instruction set's file has its own

constexpr float kMostInteger = 5790;
constexpr float kLeastValue = 1e-30f; // rows whose values are all below become zeros

inline float factor_of(float most) { return most >= kLeastValue ? kMostInteger / most : 0.0f; }
inline float scale_of(float most) {
  if (!(most < std::numeric_limits<float>::infinity()))
    return std::numeric_limits<float>::quiet_NaN();
  return most >= kLeastValue ? most / kMostInteger : 0.0f;
}

// The largest of eight magnitudes given as their bits, which are in the same order, with what is not a number last.
inline float largest(__m256i bits) {
  __m128i most = _mm_max_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4e));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0xb1));
  return _mm_cvtss_f32(_mm_castsi128_ps(most));
}

// Sixteen values: in the order of memory, but for which half of a register an eighth of a row goes to.
struct Sixteen {
  __m256 low, high;
  static Sixteen of_bf16(__m256i x) {
    const __m256i zero = _mm256_setzero_si256();
    return {_mm256_castsi256_ps(_mm256_unpacklo_epi16(zero, x)), _mm256_castsi256_ps(_mm256_unpackhi_epi16(zero, x))};
  }
  static Sixteen load(const float *p) {
    const __m256 a = _mm256_loadu_ps(p), b = _mm256_loadu_ps(p + 8);
    return {_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31)};
  }
  // Packing works by halves of a register: it undoes how `low` and `high` were taken apart.
  void store_rounded(float factor, std::int16_t *to) const {
    const __m256 f = _mm256_set1_ps(factor);
    const __m256i integers =
        _mm256_packs_epi32(_mm256_cvtps_epi32(_mm256_mul_ps(low, f)), _mm256_cvtps_epi32(_mm256_mul_ps(high, f)));
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), integers);
  }
};

// Calls body(vector, place) for sixteen elements at a time; those after the last one are zeros.
template <typename Element, typename Body> void for_sixteens(const Element *from, std::int64_t count, Body &&body) {
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    body(from + i, i);
  if (i < count) {
    Element last[16] = {};
    std::copy_n(from + i, count - i, last);
    body(last, i);
  }
}

// Writes `count` integers, and zeros up to whole vectors; returns the scale.
inline float round_bf16(const std::uint16_t *from, std::int64_t count, std::int16_t *to) {
  const __m256i magnitude = _mm256_set1_epi16(0x7fff);
  __m256i most = _mm256_setzero_si256();
  for_sixteens(from, count, [&](const std::uint16_t *at, std::int64_t) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(at));
    most = _mm256_max_epu16(most, _mm256_and_si256(x, magnitude));
  });
  const __m256i low = _mm256_slli_epi32(most, 16), high = _mm256_andnot_si256(_mm256_set1_epi32(0xffff), most);
  const float top = largest(_mm256_max_epi32(low, high)), factor = factor_of(top);
  for_sixteens(from, count, [&](const std::uint16_t *at, std::int64_t i) {
    Sixteen::of_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(at))).store_rounded(factor, to + i);
  });
  return scale_of(top);
}

// The largest magnitude; not a number or infinite if one of the values is.
inline float largest(const float *from, std::int64_t count) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i most = _mm256_setzero_si256();
  for_sixteens(from, count, [&](const float *at, std::int64_t) {
    for (int half = 0; half < 16; half += 8) {
      const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(at + half));
      most = _mm256_max_epi32(most, _mm256_and_si256(x, magnitude));
    }
  });
  return largest(most);
}

inline float round_floats(const float *from, std::int64_t count, std::int16_t *to) {
  const float top = largest(from, count), factor = factor_of(top);
  for_sixteens(from, count, [&](const float *at, std::int64_t i) { Sixteen::load(at).store_rounded(factor, to + i); });
  return scale_of(top);
}

// One head's quants of a row, which are whole sixteens, times their scales.
inline void widen_quants(const float *scales, const std::int8_t *quants, std::int64_t count, float *out) {
  for (std::int64_t d = 0; d < count; d += 8) {
    const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(quants + d));
    const __m256 wide = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight));
    _mm256_storeu_ps(out + d, _mm256_mul_ps(wide, _mm256_set1_ps(scales[d / kCacheGroup])));
  }
}

// Rows of integers, two by two, in columns of sixteen: [columns / 16][32][16][2]. What would be a row after the last
// one of an odd number has to be there, and finite.
inline void pair_rows(const std::int16_t *rows, std::int64_t stride, std::int64_t count, std::int64_t columns,
                      std::int16_t *out) {
  for (std::int64_t d = 0; d < columns; d += 16, out += ABK_BLOCK_TOKENS * 16) {
    std::int16_t *to = out;
    for (std::int64_t t = 0; t < count; t += 2, to += 32) {
      const std::int16_t *at = rows + t * stride + d;
      const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(at));
      const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(at + stride));
      const __m256i low = _mm256_unpacklo_epi16(a, b), high = _mm256_unpackhi_epi16(a, b);
      _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), _mm256_permute2x128_si256(low, high, 0x20));
      _mm256_storeu_si256(reinterpret_cast<__m256i *>(to + 16), _mm256_permute2x128_si256(low, high, 0x31));
    }
  }
}

} // namespace
} // namespace abyssal::cpu
