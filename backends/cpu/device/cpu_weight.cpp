#include "backends/cpu/device/cpu_weight.h"

#include <algorithm>

namespace abyssal::cpu {

namespace {

std::vector<float> widened(const void *values, aby_dtype dtype, std::int64_t count) {
  std::vector<float> floats(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < floats.size(); ++i)
    floats[i] = load_as_float(values, dtype, i);
  return floats;
}

// A vector's elements may lie at any address: they are copied byte by byte first.
std::vector<float> widened_vector(const abk_weight_desc &desc) {
  std::vector<std::byte> copy(matrix_bytes(desc));
  std::copy_n(static_cast<const std::byte *>(desc.data[0]), copy.size(), copy.data());
  return widened(copy.data(), desc.dtype, desc.n);
}

} // namespace

abk_weight_size CpuWeight::size_of(const abk_weight_desc &desc) {
  check_weight_desc(desc);
  if (desc.use == ABK_USE_VECTOR)
    return {static_cast<std::uint64_t>(desc.n) * sizeof(float), 0};
  abk_weight_size size{};
  for (std::int64_t i = 0; i < desc.count; ++i) {
    size.bytes += matrix_bytes(desc);
    if (reads_in_place(desc, desc.data != nullptr ? desc.data[i] : nullptr, desc.dtype))
      size.borrowed_bytes += matrix_bytes(desc);
    if (desc.dtype == ABY_DTYPE_F8_E4M3)
      size.bytes += static_cast<std::uint64_t>(scale_elements(desc)) * sizeof(float);
  }
  return size;
}

CpuWeight::CpuWeight(const abk_weight_desc &desc) : HostWeight(desc) {
  check_weight_desc(desc);
  check_weight_data(desc);
  if (desc.use == ABK_USE_VECTOR) {
    vector_ = widened_vector(desc);
    return;
  }
  for (std::int64_t i = 0; i < desc.count; ++i) {
    MatrixView view{desc.data[i], desc.dtype, desc.n, desc.k};
    if (!reads_in_place(desc, desc.data[i], desc.dtype)) {
      const auto *from = static_cast<const std::byte *>(desc.data[i]);
      copies_.emplace_back(from, from + matrix_bytes(desc));
      view.data = copies_.back().data();
    }
    if (desc.dtype == ABY_DTYPE_F8_E4M3) {
      // The scales are read once; where the file breaks their alignment they are copied for that.
      std::vector<std::byte> bytes(static_cast<std::size_t>(scale_elements(desc)) * dtype_size(desc.scale_dtype));
      std::copy_n(static_cast<const std::byte *>(desc.scales[i]), bytes.size(), bytes.data());
      scales_.push_back(widened(bytes.data(), desc.scale_dtype, scale_elements(desc)));
      view.scales = scales_.back().data();
      view.block_n = desc.block_n;
      view.block_k = desc.block_k;
      view.scale_cols = (desc.k + desc.block_k - 1) / desc.block_k;
    }
    matrices_.push_back(view);
  }
}

} // namespace abyssal::cpu
