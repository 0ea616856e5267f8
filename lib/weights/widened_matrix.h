// A stored matrix, read as float32 a row at a time.
#pragma once

#include "weights/tensor_source.h"

namespace abyssal {

class WidenedMatrix {
public:
  // A matrix [n, k] of any weight type; f8_e4m3 with its block scales NAME_scale_inv, in blocks of [scale_n, scale_k].
  // The source must outlive it. A tensor that is made is made now.
  WidenedMatrix(const TensorSource &source, const std::string &name, std::int64_t scale_n, std::int64_t scale_k);

  std::int64_t n() const noexcept { return n_; }
  std::int64_t k() const noexcept { return k_; }
  // out = row, k floats. Threads may read different rows at once.
  void row(std::int64_t index, float *out) const noexcept;

private:
  aby_dtype dtype_;
  std::int64_t n_, k_;
  const std::byte *data_;
  std::vector<std::byte> made_;
  std::vector<float> scales_; // [ceil(n / scale_n), ceil(k / scale_k)]; empty but for f8_e4m3
  std::int64_t scale_n_, scale_k_;
};

} // namespace abyssal
