// From stored weights to packed ones, without loss.
#pragma once

#include "backends/cpu/packed/packed_layout.h"

#include <abyssal/abyssal.h>

#include <optional>
#include <vector>

namespace abyssal::cpu {

// How a stored type is packed: an empty PackedMatrix of that kind. Nothing for types that stay as they are.
std::optional<PackedMatrix> packed_form(aby_dtype dtype);

// Working memory of pack_tile, kept between calls.
struct PackScratch {
  std::vector<std::int8_t> quants; // [16, padded k]
  std::vector<float> scale, bias;  // [16, groups]
};

// Writes one tile of `to` (its kind, zero, table, n and k) at `out`. rows: the stored matrix [n, k] of a block format.
void pack_tile(aby_dtype format, const void *rows, const PackedMatrix &to, std::int64_t tile, PackScratch &scratch,
               std::byte *out);

} // namespace abyssal::cpu
