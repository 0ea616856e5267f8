// Pieces shared by the reference attention ops.
#pragma once

#include "backends/host/host_batch.h"
#include "backends/reference/reference_math.h"

#include <algorithm>

namespace abyssal::reference {

// out += sum over j of weights[j] * rows[j], where row j is values + j * stride, `count` elements of it.
inline void add_weighted(double *out, std::span<const double> weights, const double *values, std::int64_t stride,
                         std::int64_t count) {
  for (std::size_t j = 0; j < weights.size(); ++j) {
    const double *row = values + static_cast<std::int64_t>(j) * stride;
    for (std::int64_t i = 0; i < count; ++i)
      out[i] += weights[j] * row[i];
  }
}

// The cached rows 0 .. total - 1 of a sequence.
inline Matrix load_cache(const HostCache &cache, const HostBatch &batch, std::int32_t sequence) {
  Matrix rows(batch.total_tokens(sequence), cache.layout.width);
  std::vector<float> row(static_cast<std::size_t>(rows.cols));
  for (std::int64_t j = 0; j < rows.rows; ++j) {
    load_cached(cache.layout, cache.row(batch, sequence, j), row.data());
    std::copy(row.begin(), row.end(), rows.row(j));
  }
  return rows;
}

// Stores one row, of a token at a position of a sequence.
inline void store_cache(const HostCache &cache, const HostBatch &batch, std::int32_t sequence, std::int64_t position,
                        const double *from) {
  std::vector<float> row(static_cast<std::size_t>(cache.layout.width));
  std::transform(from, from + cache.layout.width, row.begin(), [](double value) { return static_cast<float>(value); });
  store_cached(cache.layout, row.data(), cache.row(batch, sequence, position));
}

} // namespace abyssal::reference
