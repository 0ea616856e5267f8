// The kernels, written once over Vector; each instruction set's file includes its Vector and then this.
// Sums run in a fixed order, so that a row's result depends on nothing but its values.
#include "backends/cpu/kernels/kernels.h"
#include "base/block_format.h"
#include "base/dtype.h"

#include <algorithm>
#include <cmath>

namespace abyssal::cpu {
namespace {

constexpr std::int64_t kWidth = Vector::kWidth;

// How a stored type is loaded: a vector at a time, and one by one at the end of a row.
struct LoadF32 {
  using Stored = float;
  static Vector vector(const float *p) { return Vector::load(p); }
  static float one(const float *p) { return *p; }
};
struct LoadBf16 {
  using Stored = std::uint16_t;
  static Vector vector(const std::uint16_t *p) { return Vector::load_bf16(p); }
  static float one(const std::uint16_t *p) { return bf16_to_float(*p); }
};
struct LoadF16 {
  using Stored = std::uint16_t;
  static Vector vector(const std::uint16_t *p) { return Vector::load_f16(p); }
  static float one(const std::uint16_t *p) { return f16_to_float(*p); }
};
struct LoadF8 { // times 2^-8, which the block's scale makes up for
  using Stored = std::uint8_t;
  static Vector vector(const std::uint8_t *p) { return Vector::load_f8(p); }
  static float one(const std::uint8_t *p) { return f8_e4m3_to_float(*p) * 0x1p-8f; }
};
constexpr float kF8Factor = 0x1p8f;
struct LoadI8 {
  using Stored = std::int8_t;
  static Vector vector(const std::int8_t *p) { return Vector::load_i8(p); }
  static float one(const std::int8_t *p) { return *p; }
};

// sum[r] += w[0..n) . x[r][0..n) for M rows of x; two accumulators a row hide the latency of the multiply-add.
template <typename Load, int M>
void dot_rows(const typename Load::Stored *w, const float *x, std::int64_t ldx, std::int64_t n, float factor,
              float *sum) {
  Vector a[M], b[M];
  for (int r = 0; r < M; ++r)
    a[r] = b[r] = Vector::zero();
  std::int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
    const Vector w0 = Load::vector(w + i), w1 = Load::vector(w + i + kWidth);
    for (int r = 0; r < M; ++r) {
      a[r] = Vector::fma(w0, Vector::load(x + r * ldx + i), a[r]);
      b[r] = Vector::fma(w1, Vector::load(x + r * ldx + i + kWidth), b[r]);
    }
  }
  for (; i + kWidth <= n; i += kWidth) {
    const Vector w0 = Load::vector(w + i);
    for (int r = 0; r < M; ++r)
      a[r] = Vector::fma(w0, Vector::load(x + r * ldx + i), a[r]);
  }
  for (int r = 0; r < M; ++r) {
    float total = (a[r] + b[r]).sum();
    for (std::int64_t j = i; j < n; ++j)
      total += Load::one(w + j) * x[r * ldx + j];
    sum[r] += total * factor;
  }
}

template <typename Load, int M>
void gemv_rows(const MatrixView &w, std::int64_t row0, std::int64_t rows, const float *x, std::int64_t ldx, float *out,
               std::int64_t ldo) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const auto *row = static_cast<const typename Load::Stored *>(w.data) + (row0 + i) * w.k;
    float sum[M] = {};
    if (w.scales == nullptr) {
      dot_rows<Load, M>(row, x, ldx, w.k, 1.0f, sum);
    } else {
      const float *scales = w.scales + (row0 + i) / w.block_n * w.scale_cols;
      for (std::int64_t k = 0; k < w.k; k += w.block_k)
        dot_rows<Load, M>(row + k, x + k, ldx, std::min(w.block_k, w.k - k), scales[k / w.block_k] * kF8Factor, sum);
    }
    for (int r = 0; r < M; ++r)
      out[r * ldo + i] = sum[r];
  }
}

// Rows in a block format are widened a piece at a time: right for every format, and without memory of its own.
template <int M>
void gemv_block_rows(const MatrixView &w, std::int64_t row0, std::int64_t rows, const float *x, std::int64_t ldx,
                     float *out, std::int64_t ldo) {
  float part[kMostBlockElements];
  for (std::int64_t i = 0; i < rows; ++i) {
    float sum[M] = {};
    for (std::int64_t k = 0; k < w.k; k += kMostBlockElements) {
      const std::int64_t n = std::min(kMostBlockElements, w.k - k);
      dequantise(w.dtype, w.data, (row0 + i) * w.k + k, n, part);
      dot_rows<LoadF32, M>(part, x + k, ldx, n, 1.0f, sum);
    }
    for (int r = 0; r < M; ++r)
      out[r * ldo + i] = sum[r];
  }
}

void gemv_blocks(const MatrixView &w, std::int64_t row0, std::int64_t rows, const float *x, std::int64_t ldx, int m,
                 float *out, std::int64_t ldo) {
  switch (m) {
  case 1:
    return gemv_block_rows<1>(w, row0, rows, x, ldx, out, ldo);
  case 2:
    return gemv_block_rows<2>(w, row0, rows, x, ldx, out, ldo);
  case 3:
    return gemv_block_rows<3>(w, row0, rows, x, ldx, out, ldo);
  default:
    return gemv_block_rows<4>(w, row0, rows, x, ldx, out, ldo);
  }
}

template <typename Load>
void gemv_typed(const MatrixView &w, std::int64_t row0, std::int64_t rows, const float *x, std::int64_t ldx, int m,
                float *out, std::int64_t ldo) {
  switch (m) {
  case 1:
    return gemv_rows<Load, 1>(w, row0, rows, x, ldx, out, ldo);
  case 2:
    return gemv_rows<Load, 2>(w, row0, rows, x, ldx, out, ldo);
  case 3:
    return gemv_rows<Load, 3>(w, row0, rows, x, ldx, out, ldo);
  default:
    return gemv_rows<Load, 4>(w, row0, rows, x, ldx, out, ldo);
  }
}

void gemv(const MatrixView &w, std::int64_t row0, std::int64_t rows, const float *x, std::int64_t ldx, int m,
          float *out, std::int64_t ldo) {
  switch (w.dtype) {
  case ABY_DTYPE_BF16:
    return gemv_typed<LoadBf16>(w, row0, rows, x, ldx, m, out, ldo);
  case ABY_DTYPE_F16:
    return gemv_typed<LoadF16>(w, row0, rows, x, ldx, m, out, ldo);
  case ABY_DTYPE_F8_E4M3:
    return gemv_typed<LoadF8>(w, row0, rows, x, ldx, m, out, ldo);
  case ABY_DTYPE_F32:
    return gemv_typed<LoadF32>(w, row0, rows, x, ldx, m, out, ldo);
  default:
    return gemv_blocks(w, row0, rows, x, ldx, m, out, ldo);
  }
}

template <typename Load> void widen_span(const typename Load::Stored *from, float factor, std::int64_t n, float *out) {
  const Vector f = Vector::all(factor);
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth)
    (Load::vector(from + i) * f).store(out + i);
  for (; i < n; ++i)
    out[i] = Load::one(from + i) * factor;
}

void widen_row(const MatrixView &w, std::int64_t row, float *out) {
  const auto first = row * w.k;
  switch (w.dtype) {
  case ABY_DTYPE_BF16:
    return widen_span<LoadBf16>(static_cast<const std::uint16_t *>(w.data) + first, 1.0f, w.k, out);
  case ABY_DTYPE_F16:
    return widen_span<LoadF16>(static_cast<const std::uint16_t *>(w.data) + first, 1.0f, w.k, out);
  case ABY_DTYPE_F32:
    return widen_span<LoadF32>(static_cast<const float *>(w.data) + first, 1.0f, w.k, out);
  case ABY_DTYPE_F8_E4M3:
    break;
  default:
    return dequantise(w.dtype, w.data, first, w.k, out);
  }
  const auto *from = static_cast<const std::uint8_t *>(w.data) + first;
  const float *scales = w.scales + row / w.block_n * w.scale_cols;
  for (std::int64_t k = 0; k < w.k; k += w.block_k)
    widen_span<LoadF8>(from + k, scales[k / w.block_k] * kF8Factor, std::min(w.block_k, w.k - k), out + k);
}

void rms_norm(const float *x, const float *weight, float epsilon, std::int64_t n, float *out) {
  Vector squares = Vector::zero();
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    const Vector v = Vector::load(x + i);
    squares = Vector::fma(v, v, squares);
  }
  double total = squares.sum();
  for (; i < n; ++i)
    total += double{x[i]} * x[i];
  const auto factor = static_cast<float>(1.0 / std::sqrt(total / static_cast<double>(n) + epsilon));
  const Vector f = Vector::all(factor);
  for (i = 0; i + kWidth <= n; i += kWidth) {
    const Vector v = Vector::load(x + i) * f;
    (weight != nullptr ? v * Vector::load(weight + i) : v).store(out + i);
  }
  for (; i < n; ++i)
    out[i] = x[i] * factor * (weight != nullptr ? weight[i] : 1.0f);
}

void axpy(float *x, float a, const float *y, std::int64_t n) {
  const Vector f = Vector::all(a);
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth)
    Vector::fma(f, Vector::load(y + i), Vector::load(x + i)).store(x + i);
  for (; i < n; ++i)
    x[i] = std::fma(a, y[i], x[i]);
}

void add(float *x, const float *y, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth)
    (Vector::load(x + i) + Vector::load(y + i)).store(x + i);
  for (; i < n; ++i)
    x[i] += y[i];
}

void scale(float *x, float a, std::int64_t n) {
  const Vector f = Vector::all(a);
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth)
    (Vector::load(x + i) * f).store(x + i);
  for (; i < n; ++i)
    x[i] *= a;
}

// e^x: x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor polynomial of degree 7 (relative error below 1e-8), the
// rest by the exponent. Below -87.3 the result is 0 to within float32's smallest normal; above 88 it is clamped.
Vector exp_vector(Vector x) {
  const Vector clamped = Vector::min(Vector::max(x, Vector::all(-87.3f)), Vector::all(88.0f));
  const Vector n = Vector::round(clamped * Vector::all(1.44269504f));
  Vector r = Vector::fma(n, Vector::all(-0.693359375f), clamped); // ln 2 in two parts, the first exact
  r = Vector::fma(n, Vector::all(2.12194440e-4f), r);
  Vector p = Vector::all(1.0f / 5040);
  for (const float c : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    p = Vector::fma(p, r, Vector::all(c));
  return Vector::times_power(p, n);
}

void swiglu(const float *gate, const float *up, float *out, std::int64_t n) {
  const Vector one = Vector::all(1.0f);
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    const Vector g = Vector::load(gate + i);
    (g / (one + exp_vector(Vector::zero() - g)) * Vector::load(up + i)).store(out + i);
  }
  for (; i < n; ++i)
    out[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

float max(const float *x, std::int64_t n) {
  float best = x[0];
  std::int64_t i = 0;
  if (n >= kWidth) {
    Vector most = Vector::load(x);
    for (i = kWidth; i + kWidth <= n; i += kWidth)
      most = Vector::max(most, Vector::load(x + i));
    best = most.largest();
  }
  for (; i < n; ++i)
    best = std::max(best, x[i]);
  return best;
}

float exp_sum(float *x, float shift, std::int64_t n) {
  const Vector s = Vector::all(shift);
  Vector total = Vector::zero();
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    const Vector e = exp_vector(Vector::load(x + i) - s);
    e.store(x + i);
    total = total + e;
  }
  float sum = total.sum();
  for (; i < n; ++i) {
    x[i] = std::exp(x[i] - shift);
    sum += x[i];
  }
  return sum;
}

void bf16_to_f32(const std::uint16_t *x, float *out, std::int64_t n) { widen_span<LoadBf16>(x, 1.0f, n, out); }

void i8_to_f32(const std::int8_t *x, float scale, float *out, std::int64_t n) { widen_span<LoadI8>(x, scale, n, out); }

void f32_to_bf16(const float *x, std::uint16_t *out, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth)
    Vector::load(x + i).store_bf16(out + i);
  for (; i < n; ++i)
    out[i] = float_to_bf16(x[i]);
}

constexpr Kernels kKernels = {gemv,   widen_row, rms_norm, add,         axpy,      scale,
                              swiglu, max,       exp_sum,  bf16_to_f32, i8_to_f32, f32_to_bf16};

} // namespace
} // namespace abyssal::cpu
