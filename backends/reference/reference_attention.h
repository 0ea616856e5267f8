// Pieces shared by the reference attention ops.
#pragma once

#include "backends/common/host_batch.h"
#include "backends/reference/reference_math.h"

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
  Matrix rows(batch.total_tokens(sequence), cache.width);
  for (std::int64_t j = 0; j < rows.rows; ++j)
    load(cache.row(batch, sequence, j), cache.dtype, cache.width, rows.row(j));
  return rows;
}

} // namespace abyssal::reference
