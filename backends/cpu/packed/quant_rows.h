// Rows of activations quantised for products with packed weights of one layout, in panels. A row of 16 bits takes two
// places of a panel.
#pragma once

#include "backends/cpu/packed/packed_kernels.h"

#include <cstddef>

namespace abyssal::cpu {

class QuantRows {
public:
  QuantRows() = default;
  // Bytes of memory for `rows` rows to be multiplied with weights like `form` (its kind, zero and k). places: of a row,
  // 1 for 8 bits, 2 for 16.
  static std::int64_t bytes(const PackedKernels &kernels, std::int64_t rows, int places,
                            const PackedMatrix &form) noexcept;
  // memory: 64-byte aligned, filled by quantise.
  QuantRows(const PackedKernels &kernels, std::int64_t rows, int places, const PackedMatrix &form,
            std::byte *memory) noexcept;

  std::int64_t rows() const noexcept { return rows_; }
  std::int64_t panels() const noexcept { return (rows_ + panel_rows_ - 1) / panel_rows_; }
  std::int64_t panel_rows() const noexcept { return panel_rows_; }
  int places() const noexcept { return places_; }
  Panel panel(std::int64_t index) const noexcept; // its rows are places

  // Quantises units from unit0 on of a row. x: those columns, `count` of them.
  void quantise(std::int64_t row, const float *x, std::int64_t count, std::int64_t unit0 = 0) const noexcept;

private:
  const PackedKernels *kernels_ = nullptr;
  std::int64_t rows_ = 0, panel_rows_ = 1, units_ = 0;
  int places_ = 1, group_ = 32;
  bool bias_ = false;
  std::int32_t zero_ = 0;
  std::byte *memory_ = nullptr;
};

// out[r][i] = x[r] . W[row0 + i], i < count. row0 is a multiple of 16. scratch: floats, tile_scratch() of
// them. Rows [first, first + rows) of x, first a multiple of panel_rows. then: where the caller will probably read
// next, fetched ahead when there are few rows.
void packed_product(const PackedKernels &kernels, const PackedMatrix &w, std::int64_t row0, std::int64_t count,
                    const QuantRows &x, std::int64_t first, std::int64_t rows, float *scratch, float *out,
                    std::int64_t ldo, const std::byte *then = nullptr);
std::int64_t tile_scratch(const PackedKernels &kernels, const QuantRows &x, std::int64_t rows) noexcept;

} // namespace abyssal::cpu
