// Rows of activations, rounded and laid out for the kernels, in registers of 256 bits. Included only by files compiled
// for AVX2, FMA and F16C.
#pragma once

#include "backends/cpu/packed/packed_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <immintrin.h>

namespace abyssal::cpu {
namespace { // each instruction set's file has its own

// What the values of a group are multiplied with to become quants, and back.
struct GroupScale {
  explicit GroupScale(float most) : finite(std::isfinite(most)) {
    const float inverse = finite && most > 0 ? kQuantSteps / most : 0.0f;
    // Tiny groups: the inverse overflows, and their values do not matter beside any other.
    factor = std::isfinite(inverse) ? inverse : 0.0f;
    scale = finite ? most / kQuantSteps : most - most; // NaN
  }
  bool finite;
  float factor, scale;
};

// The largest magnitude of 32 values; NaN or infinite if one of them is.
inline float largest(const __m256 (&v)[4]) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  __m256 most = _mm256_setzero_ps(), probe = _mm256_setzero_ps();
  for (const __m256 eight : v) {
    most = _mm256_max_ps(most, _mm256_andnot_ps(sign, eight));
    probe = _mm256_add_ps(probe, _mm256_mul_ps(eight, _mm256_setzero_ps()));
  }
  most = _mm256_max_ps(most, _mm256_permute2f128_ps(most, most, 1));
  most = _mm256_max_ps(most, _mm256_permute_ps(most, 0x4e));
  most = _mm256_max_ps(most, _mm256_permute_ps(most, 0xb1));
  probe = _mm256_add_ps(probe, _mm256_permute2f128_ps(probe, probe, 1));
  probe = _mm256_hadd_ps(probe, probe);
  probe = _mm256_hadd_ps(probe, probe);
  return _mm256_cvtss_f32(most) + _mm256_cvtss_f32(probe);
}

// Rounds 32 values to the nearest even, and returns their scale.
inline float round_group(const float *x, std::int16_t *quants) {
  __m256 v[4];
  for (int i = 0; i < 4; ++i)
    v[i] = _mm256_loadu_ps(x + 8 * i);
  const GroupScale group(largest(v));
  const __m256 factor = _mm256_set1_ps(group.factor);
  for (int half = 0; half < 2; ++half) {
    const __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(v[2 * half], factor));
    const __m256i b = _mm256_cvtps_epi32(_mm256_mul_ps(v[2 * half + 1], factor));
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(quants + 16 * half),
                        group.finite ? packed : _mm256_setzero_si256());
  }
  return group.scale;
}

void round_row(const float *x, std::int64_t count, std::int64_t unit0, const RoundedRow &to) {
  const std::int64_t groups = (count + kPackedUnit - 1) / kPackedUnit * kUnitScales;
  std::int16_t *quants = to.quants + unit0 * kPackedUnit;
  float *scale = to.scale + unit0 * kUnitScales;
  for (std::int64_t g = 0; g < groups; ++g) {
    const std::int64_t left = count - g * kScaleGroup;
    const float *from = x + g * kScaleGroup;
    alignas(32) float padded[kScaleGroup];
    if (left < kScaleGroup) {
      std::fill_n(padded, kScaleGroup, 0.0f);
      std::copy_n(from, std::max<std::int64_t>(left, 0), padded);
      from = padded;
    }
    scale[g] = round_group(from, quants + g * kScaleGroup);
  }
}

// A group's quants as what its panel takes of them.
struct Halves {
  explicit Halves(const std::int16_t *quants, bool wide) {
    const auto *at = reinterpret_cast<const __m256i *>(quants);
    const __m256i q[2] = {_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
    __m256i above[2], below[2];
    for (int i = 0; i < 2; ++i) {
      above[i] = _mm256_srai_epi16(_mm256_add_epi16(q[i], _mm256_set1_epi16(128)), 8);
      whole[i] = wide ? q[i] : _mm256_slli_epi16(above[i], 8);
      below[i] = _mm256_sub_epi16(whole[i], _mm256_slli_epi16(above[i], 8));
    }
    high = _mm256_permute4x64_epi64(_mm256_packs_epi16(above[0], above[1]), 0xd8);
    low = _mm256_permute4x64_epi64(_mm256_packs_epi16(below[0], below[1]), 0xd8);
  }
  __m256i high, low; // bytes
  __m256i whole[2];  // 16 bits
};

// Sums of 32 bytes, of each 16: of those in places 0 and 1 of every four, and of those in places 2 and 3, 16 bits each.
struct PairSums {
  explicit PairSums(__m256i bytes) {
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
    const __m256i twice = _mm256_add_epi16(pairs, _mm256_shuffle_epi32(pairs, 0x4e));
    const __m256i all = _mm256_add_epi16(twice, _mm256_shuffle_epi32(twice, 0xb1));
    part[0] = _mm_cvtsi128_si32(_mm256_castsi256_si128(all));
    part[1] = _mm_cvtsi128_si32(_mm256_extracti128_si256(all, 1));
  }
  static std::int32_t add(std::int32_t a, std::int32_t b) {
    return _mm_cvtsi128_si32(_mm_add_epi16(_mm_cvtsi32_si128(a), _mm_cvtsi32_si128(b)));
  }
  static std::int32_t times(std::int32_t pair, std::int32_t factor) {
    return _mm_cvtsi128_si32(_mm_mullo_epi16(_mm_cvtsi32_si128(pair), _mm_set1_epi16(static_cast<short>(factor))));
  }
  static std::int32_t total(std::int32_t pair) {
    return static_cast<std::int16_t>(pair & 0xffff) + (pair >> 16); // the upper half keeps its sign
  }
  std::int32_t part[2];
};

// 32 bytes as eight fours, each `stride` bytes after the one before.
inline void scatter_fours(__m256i bytes, std::int8_t *to, std::int64_t stride) {
  alignas(32) std::int8_t memory[32];
  _mm256_store_si256(reinterpret_cast<__m256i *>(memory), bytes);
#pragma GCC unroll 8
  for (int v = 0; v < 8; ++v)
    std::memcpy(to + v * stride, memory + 4 * v, 4);
}

// Sixteen words as fours of which columns 0 and 2 come first, 1 and 3 a row of the panel later.
inline void scatter_words(__m256i words, std::int16_t *to, std::int64_t rows) {
  const __m256i order = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 0, 1, 4, 5, 2, 3, 6, 7,
                                         8, 9, 12, 13, 10, 11, 14, 15);
  alignas(32) std::int16_t memory[16];
  _mm256_store_si256(reinterpret_cast<__m256i *>(memory), _mm256_shuffle_epi8(words, order));
#pragma GCC unroll 8
  for (int pair = 0; pair < 8; ++pair)
    std::memcpy(to + pair * 2 * rows, memory + 2 * pair, 4);
}

// One group of 32 columns of one row into a panel. InPairs: what sums start from is two sums of 16 bits; RowPanels:
// rows stand one after the other.
template <bool InPairs, bool RowPanels>
void put_group(const RoundedRow &row, std::int64_t g, std::int64_t place, const Panel &panel) {
  const std::int64_t rows = panel.rows, unit = g / kUnitScales, within = g % kUnitScales;
  const Halves halves(row.quants + g * kScaleGroup, row.wide[g] != 0);
  const bool bytes = panel.form == PanelForm::kBytes, both = bytes && panel.wide[g] != 0;
  panel.scale[g * rows + place] = row.scale[g] * (bytes && !both ? 256.0f : 1.0f);
  const PairSums high(halves.high), low(halves.low);
  const int parts = panel.group == 16 ? 2 : 1;
  for (int p = 0; p < parts; ++p) {
    const std::int64_t at = (g * parts + p) * rows + place;
    const std::int32_t a = parts == 2 ? high.part[p] : PairSums::add(high.part[0], high.part[1]);
    const std::int32_t b = parts == 2 ? low.part[p] : PairSums::add(low.part[0], low.part[1]);
    if (panel.sums != nullptr)
      panel.sums[at] = static_cast<float>(256 * PairSums::total(a) + PairSums::total(b)) * row.scale[g];
    if (bytes && !RowPanels) {
      panel.init_high[at] = InPairs ? PairSums::times(a, -panel.zero) : -panel.zero * PairSums::total(a);
      panel.init_low[at] = InPairs ? PairSums::times(b, -panel.zero) : -panel.zero * PairSums::total(b);
    }
  }
  if (!bytes) {
    std::int16_t *to = panel.words + ((unit * kUnitVectors + within * 8) * 2 * rows + place) * 2;
    scatter_words(halves.whole[0], to, rows);
    scatter_words(halves.whole[1], to + 16 * rows, rows);
    return;
  }
  const auto put = [&](__m256i half, std::int8_t *to) {
    if constexpr (RowPanels)
      _mm256_storeu_si256(reinterpret_cast<__m256i *>(to + (unit * rows + place) * kPackedUnit + within * 32), half);
    else
      scatter_fours(half, to + ((unit * kUnitVectors + within * 8) * rows + place) * 4, rows * 4);
  };
  put(halves.high, panel.high);
  if (both)
    put(halves.low, panel.low);
}

template <bool InPairs, bool RowPanels> void fill_panel(const RoundedRow *rows, const Panel &panel) {
  const std::int64_t groups = panel.units * kUnitScales;
  if (panel.form == PanelForm::kBytes) {
    std::copy_n(rows[0].wide, groups, panel.wide);
    for (int r = 1; r < panel.rows; ++r) {
      for (std::int64_t g = 0; g < groups; ++g)
        panel.wide[g] = static_cast<std::uint8_t>(panel.wide[g] | rows[r].wide[g]);
    }
  }
  for (int r = 0; r < panel.rows; ++r) {
    for (std::int64_t g = 0; g < groups; ++g)
      put_group<InPairs, RowPanels>(rows[r], g, r, panel);
  }
}

} // namespace
} // namespace abyssal::cpu
