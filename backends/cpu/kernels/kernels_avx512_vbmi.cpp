// Products of few rows of x with a bf16 or fp8 matrix that is streamed once.
//
// A step widens a register full of weights in the order of columns that takes the fewest instructions: four for 32
// bf16, nine for 64 fp8. The columns of x are brought into that order once per call, with the scales of fp8 blocks
// multiplied in, so that the inner loop only widens and multiplies. Several rows of W share the loads of x.
//
// An output is the sum over pieces of kPieceColumns columns, in order, of the lanes of a + b, where a has added up the
// even vectors of the piece's steps and b the odd: an order that depends on the columns alone, not on the rows beside.
#include "backends/cpu/kernels/kernels_avx512_vbmi.h"
#include "backends/cpu/kernels/f8_avx512_vbmi.h"

#include <algorithm>
#include <cstring>

namespace abyssal::cpu {

namespace {

constexpr std::int64_t kWidth = 16;
constexpr std::int64_t kPieceColumns = 4096; // of one row of x: half of a small first-level cache
constexpr std::int64_t kAheadBytes = 4096;   // of all rows: what is asked for until memory has answered

// Even columns and odd ones.
struct StepBf16 {
  using Stored = std::uint16_t;
  static constexpr int kVectors = 2;

  static void widen(const std::uint16_t *p, __m512 *w) {
    const __m512i both = _mm512_loadu_si512(p);
    w[0] = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
    w[1] = _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32(-65536)));
  }
  static void arrange(__m512 *x) {
    const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512 evens = _mm512_permutex2var_ps(x[0], even, x[1]);
    x[1] = _mm512_permutex2var_ps(x[0], _mm512_add_epi32(even, _mm512_set1_epi32(1)), x[1]);
    x[0] = evens;
  }
};

// Of each sixteen columns: 0 2 4 6, 1 3 5 7, 8 10 12 14, and 9 11 13 15.
struct StepF8 {
  using Stored = std::uint8_t;
  static constexpr int kVectors = 4;

  static void widen(const std::uint8_t *p, __m512 *w) {
    __m512i first, second;
    widen_f8(_mm512_loadu_si512(p), first, second);
    const __m512i odd = _mm512_set1_epi32(-65536);
    w[0] = _mm512_castsi512_ps(_mm512_slli_epi32(first, 16));
    w[1] = _mm512_castsi512_ps(_mm512_and_si512(first, odd));
    w[2] = _mm512_castsi512_ps(_mm512_slli_epi32(second, 16));
    w[3] = _mm512_castsi512_ps(_mm512_and_si512(second, odd));
  }
  static void arrange(__m512 *x) {
    const __m512i order = _mm512_set_epi32(15, 13, 11, 9, 14, 12, 10, 8, 7, 5, 3, 1, 6, 4, 2, 0);
    for (int i = 0; i < 4; ++i)
      x[i] = _mm512_permutexvar_ps(order, x[i]);
    // Quarter j of vector i goes to quarter i of vector j.
    const __m512 a = _mm512_shuffle_f32x4(x[0], x[1], 0x44), b = _mm512_shuffle_f32x4(x[0], x[1], 0xee);
    const __m512 c = _mm512_shuffle_f32x4(x[2], x[3], 0x44), d = _mm512_shuffle_f32x4(x[2], x[3], 0xee);
    x[0] = _mm512_shuffle_f32x4(a, c, 0x88);
    x[1] = _mm512_shuffle_f32x4(a, c, 0xdd);
    x[2] = _mm512_shuffle_f32x4(b, d, 0x88);
    x[3] = _mm512_shuffle_f32x4(b, d, 0xdd);
  }
};

template <typename Step> constexpr std::int64_t kStepColumns = Step::kVectors * kWidth;

// Columns [0, n) of R rows of W times M rows of x. x: arranged, [steps][M][step's columns], zero past n.
// set: whether out[m][r] is set or added to.
template <typename Step, int M, int R>
void dot_group(const typename Step::Stored *w, std::int64_t ldw, const float *x, std::int64_t n, bool set, float *out,
               std::int64_t ldo) {
  using Stored = typename Step::Stored;
  constexpr std::int64_t kColumns = kStepColumns<Step>;
  constexpr std::int64_t kAhead = kAheadBytes / R / static_cast<std::int64_t>(sizeof(Stored));
  __m512 sum[R][M][2];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m)
      sum[r][m][0] = sum[r][m][1] = _mm512_setzero_ps();
  }
  const auto step = [&](const Stored *from, std::int64_t ld) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      __m512 wide[Step::kVectors];
      Step::widen(from + r * ld, wide);
#pragma GCC unroll 4
      for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
        for (int v = 0; v < Step::kVectors; ++v)
          sum[r][m][v % 2] =
              _mm512_fmadd_ps(wide[v], _mm512_loadu_ps(x + (m * Step::kVectors + v) * kWidth), sum[r][m][v % 2]);
      }
    }
    x += M * kColumns;
  };
  std::int64_t i = 0;
  for (; i + kColumns <= n; i += kColumns) {
    // Near their end the rows go on in the next group of rows.
    const std::int64_t ahead = i + kAhead < n ? kAhead : kAhead - n + R * ldw;
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
      __builtin_prefetch(w + r * ldw + i + ahead);
    step(w + i, ldw);
  }
  if (i < n) {
    alignas(64) Stored last[R * kColumns] = {};
    for (int r = 0; r < R; ++r)
      std::copy_n(w + r * ldw + i, n - i, last + r * kColumns);
    step(last, kColumns);
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m) {
      const float total = _mm512_reduce_add_ps(_mm512_add_ps(sum[r][m][0], sum[r][m][1]));
      out[m * ldo + r] = set ? total : out[m * ldo + r] + total;
    }
  }
}

// Columns [k, k + n) of x as dot_group takes them, times the scales of row `row` of W.
template <typename Step>
void arrange(const MatrixView &w, std::int64_t row, std::int64_t k, std::int64_t n, const float *x, std::int64_t ldx,
             int rows, float *out) {
  constexpr std::int64_t kColumns = kStepColumns<Step>;
  const float *scales = w.scales != nullptr ? w.scales + row / w.block_n * w.scale_cols : nullptr;
  const bool by_steps = scales != nullptr && k % w.block_k == 0 && w.block_k % kColumns == 0;
  const float *block = by_steps ? scales + k / w.block_k : nullptr;
  std::int64_t block_end = by_steps ? 0 : n;
  __m512 factor = _mm512_set1_ps(1.0f);
  for (std::int64_t i = 0; i < n; i += kColumns) {
    if (i == block_end) {
      factor = _mm512_set1_ps(*block++);
      block_end += w.block_k;
    }
    for (int m = 0; m < rows; ++m, out += kColumns) {
      const float *from = x + m * ldx + k + i;
      alignas(64) float copy[kColumns];
      if (n - i < kColumns || (scales != nullptr && !by_steps)) {
        for (std::int64_t j = 0; j < kColumns; ++j)
          copy[j] = i + j >= n                       ? 0.0f
                    : scales != nullptr && !by_steps ? from[j] * scales[(k + i + j) / w.block_k]
                                                     : from[j];
        from = copy;
      }
      __m512 v[Step::kVectors];
      for (int j = 0; j < Step::kVectors; ++j)
        v[j] = _mm512_mul_ps(_mm512_loadu_ps(from + j * kWidth), factor);
      Step::arrange(v);
      for (int j = 0; j < Step::kVectors; ++j)
        _mm512_store_ps(out + j * kWidth, v[j]);
    }
  }
}

template <typename Step, int M>
void gemv_rows(const MatrixView &w, std::int64_t row0, std::int64_t rows, const float *x, std::int64_t ldx, float *out,
               std::int64_t ldo) {
  constexpr int kTogether = M <= 2 ? 4 : 2; // at most sixteen sums
  alignas(64) float arranged[M * kPieceColumns];
  std::int64_t run = rows; // with the same scales
  for (std::int64_t i = 0; i < rows; i += run) {
    const std::int64_t row = row0 + i;
    run = w.scales == nullptr ? rows : std::min(rows - i, w.block_n - row % w.block_n);
    for (std::int64_t k = 0; k < w.k; k += kPieceColumns) {
      const std::int64_t n = std::min(kPieceColumns, w.k - k);
      arrange<Step>(w, row, k, n, x, ldx, M, arranged);
      const auto *at = static_cast<const typename Step::Stored *>(w.data) + row * w.k + k;
      std::int64_t j = 0;
      for (; j + kTogether <= run; j += kTogether)
        dot_group<Step, M, kTogether>(at + j * w.k, w.k, arranged, n, k == 0, out + i + j, ldo);
      for (; j < run; ++j)
        dot_group<Step, M, 1>(at + j * w.k, w.k, arranged, n, k == 0, out + i + j, ldo);
    }
  }
}

template <typename Step>
void gemv_typed(const MatrixView &w, std::int64_t row0, std::int64_t rows, const float *x, std::int64_t ldx, int m,
                float *out, std::int64_t ldo) {
  switch (m) {
  case 1:
    return gemv_rows<Step, 1>(w, row0, rows, x, ldx, out, ldo);
  case 2:
    return gemv_rows<Step, 2>(w, row0, rows, x, ldx, out, ldo);
  case 3:
    return gemv_rows<Step, 3>(w, row0, rows, x, ldx, out, ldo);
  default:
    return gemv_rows<Step, 4>(w, row0, rows, x, ldx, out, ldo);
  }
}

void gemv(const MatrixView &w, std::int64_t row0, std::int64_t rows, const float *x, std::int64_t ldx, int m,
          float *out, std::int64_t ldo) {
  if (w.dtype == ABY_DTYPE_BF16)
    return gemv_typed<StepBf16>(w, row0, rows, x, ldx, m, out, ldo);
  if (w.dtype == ABY_DTYPE_F8_E4M3)
    return gemv_typed<StepF8>(w, row0, rows, x, ldx, m, out, ldo);
  return avx512_kernels().gemv(w, row0, rows, x, ldx, m, out, ldo);
}

Kernels with_gemv(Kernels kernels) {
  kernels.gemv = gemv;
  return kernels;
}

} // namespace

const Kernels &avx512_vbmi_kernels() {
  static const Kernels kernels = with_gemv(avx512_kernels());
  return kernels;
}

} // namespace abyssal::cpu
