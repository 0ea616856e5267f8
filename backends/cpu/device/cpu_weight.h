// A weight as the CPU backend keeps it. weight_create is the seam where packed layouts will be chosen; today every type
// stays row-major in its stored format, in the mapped file where that can be read in place.
#pragma once

#include "backends/common/host_weight.h"
#include "backends/cpu/kernels/kernels.h"

#include <cstddef>
#include <memory>
#include <vector>

namespace abyssal::cpu {

class CpuWeight : public HostWeight {
public:
  explicit CpuWeight(const abk_weight_desc &desc);

  static const CpuWeight &of(const HostWeight &weight) noexcept { return static_cast<const CpuWeight &>(weight); }
  static abk_weight_size size_of(const abk_weight_desc &desc);

  // One of the `count` stacked matrices.
  const MatrixView &matrix(std::int64_t index = 0) const noexcept { return matrices_[static_cast<std::size_t>(index)]; }
  // ABK_USE_VECTOR: [n]
  const float *vector() const noexcept { return vector_.data(); }

private:
  std::vector<MatrixView> matrices_;
  std::vector<std::vector<std::byte>> copies_; // of matrices that are not read in place
  std::vector<std::vector<float>> scales_;     // widened: they are few
  std::vector<float> vector_;
};

// The values of an optional vector; nullptr stands for none.
inline const float *vector_or_null(const HostWeight *weight) noexcept {
  return weight != nullptr ? CpuWeight::of(*weight).vector() : nullptr;
}

} // namespace abyssal::cpu
