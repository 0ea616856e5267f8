#include "weights/widened_matrix.h"

#include "base/block_format.h"

#include <array>
#include <cstring>

namespace abyssal {

namespace {

// One loop per type, so that the type is not asked for at each element; elements may lie at any address.
template <typename Stored, typename Convert>
void widen(const std::byte *from, std::int64_t count, float *out, Convert &&convert) {
  for (std::int64_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, from + static_cast<std::size_t>(i) * sizeof stored, sizeof stored);
    out[i] = convert(stored);
  }
}

std::array<float, 256> f8_values() {
  std::array<float, 256> values{};
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = f8_e4m3_to_float(static_cast<std::uint8_t>(i));
  return values;
}

std::vector<float> widened_scales(const TensorView &view) {
  std::vector<float> scales(static_cast<std::size_t>(view.elements()));
  std::vector<std::byte> aligned(view.data, view.data + view.bytes);
  for (std::size_t i = 0; i < scales.size(); ++i)
    scales[i] = load_as_float(aligned.data(), view.dtype, i);
  return scales;
}

} // namespace

WidenedMatrix::WidenedMatrix(const TensorSource &source, const std::string &name, std::int64_t scale_n,
                             std::int64_t scale_k)
    : scale_n_(scale_n), scale_k_(scale_k) {
  const TensorView &view = *source.find(name);
  dtype_ = view.dtype;
  n_ = view.shape[0];
  k_ = view.shape[1];
  if (view.data == nullptr)
    made_ = source.make(name);
  data_ = view.data != nullptr ? view.data : made_.data();
  if (dtype_ == ABY_DTYPE_F8_E4M3)
    scales_ = widened_scales(*source.find(name + "_scale_inv"));
}

void WidenedMatrix::row(std::int64_t index, float *out) const noexcept {
  static const std::array<float, 256> kF8 = f8_values();
  const std::byte *from = data_ + static_cast<std::size_t>(index) * row_bytes(dtype_, k_);
  switch (dtype_) {
  case ABY_DTYPE_F32:
    std::memcpy(out, from, static_cast<std::size_t>(k_) * sizeof(float));
    return;
  case ABY_DTYPE_F16:
    return widen<std::uint16_t>(from, k_, out, f16_to_float);
  case ABY_DTYPE_BF16:
    return widen<std::uint16_t>(from, k_, out, bf16_to_float);
  case ABY_DTYPE_F8_E4M3:
    break;
  default:
    return dequantise(dtype_, from, 0, k_, out);
  }
  widen<std::uint8_t>(from, k_, out, [](std::uint8_t bits) { return kF8[bits]; });
  const std::int64_t blocks = (k_ + scale_k_ - 1) / scale_k_;
  const float *scale = scales_.data() + index / scale_n_ * blocks;
  for (std::int64_t i = 0; i < k_; ++i)
    out[i] *= scale[i / scale_k_];
}

} // namespace abyssal
