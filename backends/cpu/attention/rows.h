// Rows of activations and cache as floats, RoPE, and storing back.
#pragma once

#include "backends/common/host_batch.h"
#include "backends/cpu/device/cpu_device.h"

#include <algorithm>

namespace abyssal::cpu {

// `count` elements of either type, from column `col` of a row, into floats.
inline void load_floats(const Kernels &kernels, const std::byte *row, aby_dtype dtype, std::int64_t col,
                        std::int64_t count, float *out) {
  if (dtype == ABY_DTYPE_BF16)
    kernels.bf16_to_f32(reinterpret_cast<const std::uint16_t *>(row) + col, out, count);
  else
    std::copy_n(reinterpret_cast<const float *>(row) + col, count, out);
}

inline void store_floats(const Kernels &kernels, const float *from, std::byte *row, aby_dtype dtype, std::int64_t col,
                         std::int64_t count) {
  if (dtype == ABY_DTYPE_BF16)
    kernels.f32_to_bf16(from, reinterpret_cast<std::uint16_t *>(row) + col, count);
  else
    std::copy_n(from, count, reinterpret_cast<float *>(row) + col);
}

// Pairs (2i, 2i + 1). rope: [dim / 2, 2] cos, sin
inline void rope_interleaved(float *x, const float *rope, std::int64_t dim) {
  for (std::int64_t i = 0; i < dim; i += 2) {
    const float even = x[i], odd = x[i + 1];
    x[i] = even * rope[i] - odd * rope[i + 1];
    x[i + 1] = even * rope[i + 1] + odd * rope[i];
  }
}

// Pairs (i, i + dim / 2).
inline void rope_halves(float *x, const float *rope, std::int64_t dim) {
  const std::int64_t half = dim / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const float first = x[i], second = x[i + half];
    x[i] = first * rope[2 * i] - second * rope[2 * i + 1];
    x[i + half] = first * rope[2 * i + 1] + second * rope[2 * i];
  }
}

// The sequence that each row of a batch belongs to.
inline std::vector<std::int32_t> sequence_of_rows(const HostBatch &batch) {
  std::vector<std::int32_t> sequence(static_cast<std::size_t>(batch.tokens));
  for (std::int32_t i = 0; i < batch.sequences; ++i)
    std::fill_n(sequence.begin() + batch.row_begin[static_cast<std::size_t>(i)], batch.new_tokens(i), i);
  return sequence;
}

// The position of a row in its sequence.
inline std::int64_t position_of(const HostBatch &batch, std::int32_t sequence, std::int64_t row) {
  const auto at = static_cast<std::size_t>(sequence);
  return batch.context[at] + row - batch.row_begin[at];
}

} // namespace abyssal::cpu
