#include "backends/reference/reference_weight.h"

#include "base/block_format.h"

#include <algorithm>
#include <array>

namespace abyssal {

namespace {

std::uint64_t scale_bytes(const abk_weight_desc &desc) {
  if (desc.dtype != ABY_DTYPE_F8_E4M3)
    return 0;
  return static_cast<std::uint64_t>(scale_elements(desc)) * dtype_size(desc.scale_dtype);
}

const std::array<double, 256> &f8_table() {
  static const std::array<double, 256> table = [] {
    std::array<double, 256> values{};
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = f8_e4m3_to_float(static_cast<std::uint8_t>(i));
    return values;
  }();
  return table;
}

// One loop per type, so that the type is not asked for at each element.
template <typename Stored, typename Convert>
void widen(const std::byte *data, std::int64_t first, std::int64_t count, double *to, Convert &&convert) {
  const Stored *from = reinterpret_cast<const Stored *>(data) + first;
  for (std::int64_t i = 0; i < count; ++i)
    to[i] = static_cast<double>(convert(from[i]));
}

void widen_blocks(const std::byte *data, aby_dtype format, std::int64_t first, std::int64_t count, double *to) {
  float part[kMostBlockElements];
  for (std::int64_t i = 0; i < count; i += kMostBlockElements) {
    const std::int64_t n = std::min(kMostBlockElements, count - i);
    dequantise(format, data, first + i, n, part);
    std::copy_n(part, n, to + i);
  }
}

} // namespace

abk_weight_size ReferenceWeight::size_of(const abk_weight_desc &desc) {
  check_weight_desc(desc);
  if (desc.image != nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, "weight (", weight_use_name(desc.use), "): has no image");
  abk_weight_size size{};
  const auto add = [&](const void *const *pointers, std::int64_t i, std::uint64_t bytes, aby_dtype dtype) {
    size.bytes += bytes;
    if (reads_in_place(desc, pointers != nullptr ? pointers[i] : nullptr, dtype))
      size.borrowed_bytes += bytes;
  };
  for (std::int64_t i = 0; i < desc.count; ++i) {
    add(desc.data, i, matrix_bytes(desc), desc.dtype);
    if (desc.dtype == ABY_DTYPE_F8_E4M3)
      add(desc.scales, i, scale_bytes(desc), desc.scale_dtype);
  }
  return size;
}

ReferenceWeight::ReferenceWeight(const abk_weight_desc &desc)
    : HostWeight(desc), dtype_(desc.dtype), scale_dtype_(desc.scale_dtype), block_n_(desc.block_n),
      block_k_(desc.block_k) {
  size_of(desc); // checks it
  check_weight_data(desc);
  const auto keep = [&](const void *data, std::uint64_t bytes, aby_dtype dtype) {
    const auto *from = static_cast<const std::byte *>(data);
    if (reads_in_place(desc, data, dtype))
      return from;
    copies_.emplace_back(from, from + bytes);
    return static_cast<const std::byte *>(copies_.back().data());
  };
  for (std::int64_t i = 0; i < desc.count; ++i) {
    Matrix matrix;
    matrix.data = keep(take_matrix(desc, i), matrix_bytes(desc), desc.dtype);
    if (desc.dtype == ABY_DTYPE_F8_E4M3)
      matrix.scales = keep(desc.scales[i], scale_bytes(desc), desc.scale_dtype);
    matrices_.push_back(matrix);
  }
}

void ReferenceWeight::widen_row(std::int64_t matrix, std::int64_t row, double *to) const {
  const Matrix &from = matrices_[static_cast<std::size_t>(matrix)];
  const std::int64_t first = row * k;
  if (is_block_format(dtype_))
    return widen_blocks(from.data, dtype_, first, k, to);
  switch (dtype_) {
  case ABY_DTYPE_F32:
    return widen<float>(from.data, first, k, to, [](float value) { return value; });
  case ABY_DTYPE_F16:
    return widen<std::uint16_t>(from.data, first, k, to, f16_to_float);
  case ABY_DTYPE_BF16:
    return widen<std::uint16_t>(from.data, first, k, to, bf16_to_float);
  default:
    break;
  }
  const std::array<double, 256> &table = f8_table();
  widen<std::uint8_t>(from.data, first, k, to, [&](std::uint8_t value) { return table[value]; });
  // An edge block is smaller; its scale is found the same way.
  const std::int64_t blocks = (k + block_k_ - 1) / block_k_;
  for (std::int64_t block = 0; block < blocks; ++block) {
    const auto at = static_cast<std::size_t>(row / block_n_ * blocks + block);
    const double scale = load_as_float(from.scales, scale_dtype_, at);
    const std::int64_t end = std::min((block + 1) * block_k_, k);
    for (std::int64_t i = block * block_k_; i < end; ++i)
      to[i] *= scale;
  }
}

std::vector<double> ReferenceWeight::vector() const {
  std::vector<double> values(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) // a vector is n rows of one
    widen_row(0, i, &values[static_cast<std::size_t>(i)]);
  return values;
}

} // namespace abyssal
