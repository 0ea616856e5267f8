// Rows of activations quantised for products with packed weights of one layout, in panels of nearly one size: a panel
// of few rows is multiplied slowly.
#pragma once

#include "backends/cpu/packed/packed_kernels.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace abyssal::cpu {

class QuantRows {
public:
  QuantRows() = default;
  // Bytes of memory for `rows` rows to be multiplied with weights like `form` (its kind, zero and k).
  static std::int64_t bytes(const PackedKernelSets &sets, std::int64_t rows, const PackedMatrix &form) noexcept;
  // memory: 64-byte aligned, filled by fill.
  QuantRows(const PackedKernelSets &sets, std::int64_t rows, const PackedMatrix &form, std::byte *memory) noexcept;

  const PackedKernels &kernels() const noexcept { return *kernels_; } // that the rows are laid out for
  std::int64_t rows() const noexcept { return rows_; }
  std::int64_t units() const noexcept { return units_; } // of a row
  std::int64_t panels() const noexcept { return split_.panels; }
  // Panel i has the rows from first_row(i) to first_row(i + 1). The first one has the most.
  std::int64_t first_row(std::int64_t panel) const noexcept { return split_.first_row(panel); }
  Panel panel(std::int64_t index) const noexcept;

  // Lays out a panel. rounded(row): the RoundedRow of one of its rows, its wide groups chosen.
  template <typename Rounded> void fill(std::int64_t index, Rounded &&rounded) const {
    const Panel to = panel(index);
    std::array<RoundedRow, kMostPanelRows> rows{};
    for (int r = 0; r < to.rows; ++r)
      rows[static_cast<std::size_t>(r)] = rounded(first_row(index) + r);
    kernels_->fill(rows.data(), to);
  }
  // Rounds and lays out a panel. row(r): floats, `count` of them. memory: rounded_bytes()
  template <typename Row>
  void quantise(std::int64_t index, WideGroups wide, std::int64_t count, std::byte *memory, Row &&row) const {
    fill(index, [&](std::int64_t r) {
      const RoundedRow rounded(memory + (r - first_row(index)) * RoundedRow::bytes(units_), units_);
      kernels_->round(row(r), count, 0, rounded);
      choose_wide_groups(rounded, wide);
      return rounded;
    });
  }
  std::int64_t rounded_bytes() const noexcept { return kernels_->panel_rows * RoundedRow::bytes(units_); }

private:
  // As few panels as there can be; the first `larger` of them have one row more than the others.
  struct Split {
    Split() = default;
    Split(std::int64_t rows, std::int64_t most) noexcept
        : panels((rows + most - 1) / most), least(panels > 0 ? rows / panels : 0),
          larger(panels > 0 ? rows % panels : 0) {}
    std::int64_t first_row(std::int64_t panel) const noexcept { return panel * least + std::min(panel, larger); }
    std::int64_t most_rows() const noexcept { return least + (larger > 0 ? 1 : 0); }
    std::int64_t panels = 0, least = 0, larger = 0;
  };

  // Bytes of the parts of a panel.
  struct PanelBytes {
    PanelBytes() = default;
    PanelBytes(std::int64_t rows, std::int64_t units, const PackedLayout &layout, PanelForm form) noexcept;
    std::int64_t all() const noexcept { return 2 * half + wide + scale + 2 * init + sums; }
    std::int64_t half = 0, wide = 0, scale = 0, init = 0, sums = 0;
  };

  static constexpr std::size_t kMostPanelRows = 16;
  const PackedKernels *kernels_ = nullptr;
  std::int64_t rows_ = 0, units_ = 0;
  Split split_;
  PanelBytes bytes_, larger_bytes_; // of panels without and with one row more
  std::int64_t stride_ = 0;         // bytes from one panel to the next
  PanelForm form_ = PanelForm::kBytes;
  int group_ = 32;
  std::int32_t zero_ = 0;
  std::byte *memory_ = nullptr;
};

// out[r][i] = x[r] . W[row0 + i], i < count. row0 is a multiple of 16. scratch: floats, tile_scratch() of them. then:
// where the caller will probably read next, fetched ahead when there are few rows.
void packed_product(const PackedMatrix &w, std::int64_t row0, std::int64_t count, const QuantRows &x, float *scratch,
                    float *out, std::int64_t ldo, const std::byte *then = nullptr);
std::int64_t tile_scratch(const QuantRows &x) noexcept;

} // namespace abyssal::cpu
