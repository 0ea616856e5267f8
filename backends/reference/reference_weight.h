// Weights of the reference backend: kept as they are stored, widened a row at a time.
#pragma once

#include "backends/host/host_weight.h"

#include <cstddef>
#include <vector>

namespace abyssal {

struct ReferenceWeight : HostWeight {
  explicit ReferenceWeight(const abk_weight_desc &desc);

  static abk_weight_size size_of(const abk_weight_desc &desc);
  static const ReferenceWeight &of(const HostWeight &weight) { return static_cast<const ReferenceWeight &>(weight); }

  // Row `row` of matrix `matrix`: k values, exactly those stored, block scale included.
  void widen_row(std::int64_t matrix, std::int64_t row, double *to) const;
  // All n values of a vector.
  std::vector<double> vector() const;

private:
  struct Matrix {
    const std::byte *data = nullptr;   // [n, k]
    const std::byte *scales = nullptr; // [ceil(n / block_n), ceil(k / block_k)], F8_E4M3 only
  };
  aby_dtype dtype_;
  aby_dtype scale_dtype_;
  std::int64_t block_n_, block_k_;
  std::vector<Matrix> matrices_;
  std::vector<std::vector<std::byte>> copies_; // of what is not borrowed
};

} // namespace abyssal
