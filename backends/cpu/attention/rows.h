// Rows of activations and of the cache as floats, RoPE, and storing back.
#pragma once

#include "backends/cpu/device/cpu_device.h"
#include "backends/host/host_batch.h"

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

// `count` values of a cached row, from column `col` on.
inline void load_cached(const Kernels &kernels, const CachedRow &layout, const std::byte *row, std::int64_t col,
                        std::int64_t count, float *out) {
  if (layout.dtype != ABY_DTYPE_I8) {
    load_floats(kernels, row, layout.dtype, col, count, out);
    return;
  }
  const auto *scales = reinterpret_cast<const float *>(row);
  const auto *quants = reinterpret_cast<const std::int8_t *>(row + layout.quants_at());
  layout.for_groups(col, std::min(col + count, layout.quants()),
                    [&](std::int64_t group, std::int64_t begin, std::int64_t end) {
                      kernels.i8_to_f32(quants + begin, scales[group], out + begin - col, end - begin);
                    });
  const std::int64_t first = std::max(col, layout.quants()), plain = col + count - first;
  if (plain > 0)
    load_floats(kernels, row + layout.plain_at(), ABY_DTYPE_BF16, first - layout.quants(), plain, out + first - col);
}

inline void store_cached(const Kernels &kernels, const CachedRow &layout, const float *from, std::byte *row) {
  if (layout.dtype == ABY_DTYPE_I8)
    store_cached(layout, from, row);
  else
    store_floats(kernels, from, row, layout.dtype, 0, layout.width);
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
