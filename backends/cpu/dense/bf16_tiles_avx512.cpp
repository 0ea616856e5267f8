#include "backends/cpu/dense/bf16_tiles.h"
#include "backends/cpu/dense/strip_avx512.h"
#include "backends/cpu/kernels/f8_avx512_vbmi.h"

#include <algorithm>

namespace abyssal::cpu {

namespace {

// Lane r of vector c becomes lane c of vector r.
inline __attribute__((always_inline)) void transpose(__m512i (&v)[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  // Quarter q of v[4 i + j] is then column 4 q + j of rows 4 i to 4 i + 3.
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512i a = _mm512_shuffle_i32x4(v[j], v[4 + j], 0x44), b = _mm512_shuffle_i32x4(v[j], v[4 + j], 0xee);
    const __m512i c = _mm512_shuffle_i32x4(v[8 + j], v[12 + j], 0x44),
                  d = _mm512_shuffle_i32x4(v[8 + j], v[12 + j], 0xee);
    t[j] = _mm512_shuffle_i32x4(a, c, 0x88);
    t[4 + j] = _mm512_shuffle_i32x4(a, c, 0xdd);
    t[8 + j] = _mm512_shuffle_i32x4(b, d, 0x88);
    t[12 + j] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i)
    v[i] = t[i];
}

// Calls row(r) for the rows of a half strip of which `rows` are there; the others are zero.
template <typename Row> inline __attribute__((always_inline)) void load_rows(std::int64_t rows, Row &&row) {
  if (rows >= 16) {
#pragma GCC unroll 16
    for (std::int64_t r = 0; r < 16; ++r)
      row(r, true);
  } else {
#pragma GCC unroll 16
    for (std::int64_t r = 0; r < 16; ++r)
      row(r, r < rows);
  }
}

} // namespace

void pack_strip_bf16(const std::uint16_t *w, std::int64_t ldw, std::int64_t rows, std::int64_t columns,
                     std::uint32_t *out) {
  for (std::int64_t first = 0; first < kStripRows; first += 16) {
    for (std::int64_t c = 0; c < columns; c += 32) {
      const __mmask32 mask = columns - c >= 32 ? ~0u : (1u << (columns - c)) - 1;
      __m512i v[16];
      load_rows(rows - first, [&](std::int64_t r, bool there) {
        v[r] = there ? _mm512_maskz_loadu_epi16(mask, w + (first + r) * ldw + c) : _mm512_setzero_si512();
      });
      transpose(v);
#pragma GCC unroll 16
      for (std::int64_t i = 0; i < 16; ++i)
        _mm512_store_si512(out + (c / 2 + i) * kStripRows + first, v[i]);
    }
  }
}

void pack_strip_f8(const std::uint8_t *w, std::int64_t ldw, std::int64_t rows, std::int64_t columns,
                   std::uint32_t *out) {
  for (std::int64_t first = 0; first < kStripRows; first += 16) {
    for (std::int64_t c = 0; c < columns; c += 64) {
      const __mmask64 mask = columns - c >= 64 ? ~__mmask64{0} : (__mmask64{1} << (columns - c)) - 1;
      __m512i v[16];
      load_rows(rows - first, [&](std::int64_t r, bool there) {
        v[r] = there ? _mm512_maskz_loadu_epi8(mask, w + (first + r) * ldw + c) : _mm512_setzero_si512();
      });
      transpose(v); // four columns of sixteen rows each: as bytes that takes half as long
      std::uint32_t *to = out + c / 2 * kStripRows + first;
#pragma GCC unroll 16
      for (std::int64_t i = 0; i < 16; ++i) {
        __m512i pair, next;
        widen_f8_pairs(v[i], pair, next);
        _mm512_store_si512(to + 2 * i * kStripRows, pair);
        _mm512_store_si512(to + (2 * i + 1) * kStripRows, next);
      }
    }
  }
}

void copy_panel(const std::uint16_t *x, std::int64_t ldx, std::int64_t rows, std::int64_t columns, std::uint16_t *out) {
  for (std::int64_t c = 0; c < columns; c += 32) {
    const __mmask32 mask = columns - c >= 32 ? ~0u : (1u << (columns - c)) - 1;
    for (std::int64_t r = 0; r < rows; ++r)
      _mm512_store_si512(out + r * kPanelStride + c, _mm512_maskz_loadu_epi16(mask, x + r * ldx + c));
    if (rows % 2 != 0)
      _mm512_store_si512(out + rows * kPanelStride + c, _mm512_setzero_si512());
  }
}

namespace {

inline void fetch(const Ahead &next, std::int64_t part) {
  for (std::int64_t r = 0; r < next.rows; ++r)
    __builtin_prefetch(next.at + r * next.row_bytes + part * next.part_bytes, 0, 3);
}

template <int M>
void multiply_rows(const std::uint32_t *strip, const std::uint16_t *x, std::int64_t pairs, const float *scale,
                   float *sums, const Ahead &next_w, const Ahead &next_x) {
  constexpr std::int64_t kStep = 16; // pairs between two lots of fetching
  StripSums<M> sum;
  clear<M>(sum);
  for (std::int64_t begin = 0; begin < pairs; begin += kStep) {
    fetch(next_w, begin / kStep);
    fetch(next_x, begin / kStep);
    accumulate<M, kPanelStride>(strip + begin * kStripRows, std::min(kStep, pairs - begin), x + 2 * begin, sum);
  }
  const __m512 scale_a = _mm512_loadu_ps(scale), scale_b = _mm512_loadu_ps(scale + 16);
#pragma GCC unroll 12
  for (int m = 0; m < M; ++m) {
    float *to = sums + m * kSumStride;
    _mm512_storeu_ps(to, _mm512_fmadd_ps(sum[m][0], scale_a, _mm512_loadu_ps(to)));
    _mm512_storeu_ps(to + 16, _mm512_fmadd_ps(sum[m][1], scale_b, _mm512_loadu_ps(to + 16)));
  }
}

} // namespace

void multiply_strip(const std::uint32_t *strip, const std::uint16_t *x, std::int64_t rows, std::int64_t pairs,
                    const float *scale, float *sums, const Ahead &next_w, const Ahead &next_x) {
  static constexpr decltype(&multiply_rows<2>) kRows[] = {multiply_rows<2>, multiply_rows<4>,  multiply_rows<6>,
                                                          multiply_rows<8>, multiply_rows<10>, multiply_rows<12>};
  kRows[rows / 2 - 1](strip, x, pairs, scale, sums, next_w, next_x);
}

} // namespace abyssal::cpu
