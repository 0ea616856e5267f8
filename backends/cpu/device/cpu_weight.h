// A weight as the CPU backend keeps it: packed for the integer kernels where its stored type and the arithmetic asked
// for allow that, else row-major in its stored format, in the mapped file where that can be read in place.
#pragma once

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/packed/packed_layout.h"
#include "backends/cpu/packed/rounded_row.h"
#include "backends/host/host_buffer.h"
#include "backends/host/host_weight.h"

#include <cstddef>
#include <memory>
#include <vector>

namespace abyssal::cpu {

class CpuDevice;

// How images of weights are arranged: see packed_layout.h. Whoever changes that, or what is packed, counts up.
constexpr const char *kImageLayout = "cpu packed 2";

class CpuWeight : public HostWeight {
public:
  CpuWeight(CpuDevice &device, const abk_weight_desc &desc);

  static const CpuWeight &of(const HostWeight &weight) noexcept { return static_cast<const CpuWeight &>(weight); }
  static abk_weight_size size_of(const abk_weight_desc &desc);

  // One of the `count` stacked matrices.
  const MatrixView &matrix(std::int64_t index = 0) const noexcept { return matrices_[static_cast<std::size_t>(index)]; }
  // Whether it is packed; then packed_matrix(index) is there in the place of matrix(index).
  bool packed() const noexcept { return !packed_.empty(); }
  const PackedMatrix &packed_matrix(std::int64_t index = 0) const noexcept {
    return packed_[static_cast<std::size_t>(index)];
  }
  // What the weight can be made from again: its packed matrices one after another, or its bf16 copy; else null.
  const void *image() const noexcept { return image_; }
  // Which activations keep 16 bits in products with it, where it is packed.
  WideGroups wide_groups() const noexcept {
    return compute == ABY_DTYPE_I16 ? WideGroups::kAll : WideGroups::kOutliers;
  }
  // ABK_USE_VECTOR: [n]
  const float *vector() const noexcept { return vector_.data(); }

private:
  void keep_as_bf16(CpuDevice &device, const abk_weight_desc &desc);
  void pack(CpuDevice &device, const abk_weight_desc &desc, const PackedMatrix &form);

  std::vector<MatrixView> matrices_;
  std::vector<PackedMatrix> packed_;
  HostMapping packed_memory_; // empty where the packed matrices are those of an image
  const void *image_ = nullptr;
  std::vector<std::vector<std::byte>> copies_; // of matrices that are not read in place
  std::vector<std::vector<float>> scales_;     // widened: they are few
  std::vector<float> vector_;
};

// The values of an optional vector; nullptr stands for none.
inline const float *vector_or_null(const HostWeight *weight) noexcept {
  return weight != nullptr ? CpuWeight::of(*weight).vector() : nullptr;
}

} // namespace abyssal::cpu
