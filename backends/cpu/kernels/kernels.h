// The vector kernels, one set per instruction set, chosen when a device is opened.
#pragma once

#include "backends/cpu/device/isa.h"

#include <abyssal/abyssal.h>

#include <cstdint>

namespace abyssal::cpu {

// One stored matrix [n, k], row-major, where the weight keeps it.
struct MatrixView {
  const void *data = nullptr;
  aby_dtype dtype = ABY_DTYPE_F32; // F32, F16, BF16, F8_E4M3 or a block format
  std::int64_t n = 0, k = 0;
  const float *scales = nullptr; // F8_E4M3: [ceil(n / block_n), scale_cols]
  std::int64_t block_n = 1, block_k = 1, scale_cols = 1;
};

// Most rows of x in one call of gemv.
constexpr int kGemvRows = 4;

struct Kernels {
  // out[r][i] = x[r] . w[row0 + i], r < m <= kGemvRows, i < rows. The weights are streamed once, in order.
  // x: float [m, ldx], out: float [m, ldo]
  void (*gemv)(const MatrixView &w, std::int64_t row0, std::int64_t rows, const float *x, std::int64_t ldx, int m,
               float *out, std::int64_t ldo);
  // out[k] = w[row] as float32, scales applied.
  void (*widen_row)(const MatrixView &w, std::int64_t row, float *out);
  // out = x / rms(x) * weight; weight may be null.
  void (*rms_norm)(const float *x, const float *weight, float epsilon, std::int64_t n, float *out);
  void (*add)(float *x, const float *y, std::int64_t n);                          // x += y
  void (*axpy)(float *x, float a, const float *y, std::int64_t n);                // x += a y
  void (*scale)(float *x, float a, std::int64_t n);                               // x *= a
  void (*swiglu)(const float *gate, const float *up, float *out, std::int64_t n); // out = silu(gate) * up
  float (*max)(const float *x, std::int64_t n);                                   // n >= 1
  float (*exp_sum)(float *x, float shift, std::int64_t n);                        // x = exp(x - shift); returns the sum
  void (*bf16_to_f32)(const std::uint16_t *x, float *out, std::int64_t n);
  void (*i8_to_f32)(const std::int8_t *x, float scale, float *out, std::int64_t n); // out = x * scale
  void (*f32_to_bf16)(const float *x, std::uint16_t *out, std::int64_t n);          // to nearest, ties to even
};

const Kernels &avx2_kernels();
const Kernels &avx512_kernels();

inline const Kernels &kernels_for(Isa isa) { return isa >= Isa::kAvx512 ? avx512_kernels() : avx2_kernels(); }

} // namespace abyssal::cpu
