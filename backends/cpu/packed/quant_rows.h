// Rows of activations quantised for products with packed weights of one layout, in panels of nearly one size: a panel
// of few rows is multiplied slowly. A row of 16 bits takes two places of a panel.
#pragma once

#include "backends/cpu/packed/packed_kernels.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace abyssal::cpu {

class QuantRows {
public:
  QuantRows() = default;
  // Bytes of memory for `rows` rows to be multiplied with weights like `form` (its kind, zero and k). places: of a row,
  // 1 for 8 bits, 2 for 16.
  static std::int64_t bytes(const PackedKernelSets &sets, std::int64_t rows, int places,
                            const PackedMatrix &form) noexcept;
  // memory: 64-byte aligned, filled by quantise.
  QuantRows(const PackedKernelSets &sets, std::int64_t rows, int places, const PackedMatrix &form,
            std::byte *memory) noexcept;

  const PackedKernels &kernels() const noexcept { return *kernels_; } // that the rows are laid out for
  std::int64_t rows() const noexcept { return rows_; }
  std::int64_t panels() const noexcept { return split_.panels; }
  // Panel i has the rows from first_row(i) to first_row(i + 1). The first one has the most.
  std::int64_t first_row(std::int64_t panel) const noexcept { return split_.first_row(panel); }
  int places() const noexcept { return places_; }
  Panel panel(std::int64_t index) const noexcept; // its rows are places

  // Quantises units from unit0 on of a row. x: those columns, `count` of them.
  void quantise(std::int64_t row, const float *x, std::int64_t count, std::int64_t unit0 = 0) const noexcept;
  // Takes them from a row that is quantised, of as many places.
  void put(std::int64_t row, const RoundedRow &from, std::int64_t unit0 = 0) const noexcept;

private:
  // As few panels as there can be; the first `larger` of them have one row more than the others.
  struct Split {
    Split() = default;
    Split(std::int64_t rows, std::int64_t most) noexcept
        : panels((rows + most - 1) / most), least(panels > 0 ? rows / panels : 0),
          larger(panels > 0 ? rows % panels : 0) {}
    std::int64_t first_row(std::int64_t panel) const noexcept { return panel * least + std::min(panel, larger); }
    std::int64_t most_rows() const noexcept { return least + (larger > 0 ? 1 : 0); }
    std::int64_t panel_of(std::int64_t row) const noexcept {
      const std::int64_t in_larger = larger * (least + 1);
      return row < in_larger ? row / (least + 1) : larger + (row - in_larger) / least;
    }
    std::int64_t panels = 0, least = 0, larger = 0;
  };

  // Bytes of the parts of a panel.
  struct PanelBytes {
    PanelBytes() = default;
    PanelBytes(std::int64_t rows, std::int64_t units, int group, bool bias) noexcept;
    std::int64_t all() const noexcept { return data + scale + init + sums; }
    std::int64_t data = 0, scale = 0, init = 0, sums = 0;
  };

  const PackedKernels *kernels_ = nullptr;
  std::int64_t rows_ = 0, units_ = 0;
  Split split_;
  PanelBytes bytes_, larger_bytes_; // of panels without and with one row more
  std::int64_t stride_ = 0;         // bytes from one panel to the next
  int places_ = 1, group_ = 32;
  std::int32_t zero_ = 0;
  std::byte *memory_ = nullptr;
};

// out[r][i] = x[r] . W[row0 + i], i < count. row0 is a multiple of 16. scratch: floats, tile_scratch() of them. then:
// where the caller will probably read next, fetched ahead when there are few rows.
void packed_product(const PackedMatrix &w, std::int64_t row0, std::int64_t count, const QuantRows &x, float *scratch,
                    float *out, std::int64_t ldo, const std::byte *then = nullptr);
std::int64_t tile_scratch(const QuantRows &x) noexcept;

} // namespace abyssal::cpu
