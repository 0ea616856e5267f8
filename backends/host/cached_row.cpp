#include "backends/host/cached_row.h"

#include "base/dtype.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace abyssal {

namespace {

constexpr float kMostQuant = 127;
constexpr float kLeast = 1e-30f;      // of a group's largest value: the reciprocal of its scale is finite
constexpr float kRounder = 0x1.8p23f; // added, it leaves no room for a fraction: the low bits are the whole number

struct Group {
  float scale, inverse;
};

Group group_of(const float *values, std::int64_t count) noexcept {
  float most = 0;
  bool finite = true;
  for (std::int64_t i = 0; i < count; ++i) {
    most = std::max(most, std::abs(values[i]));
    finite = finite && std::isfinite(values[i]);
  }
  if (!finite)
    return {std::numeric_limits<float>::quiet_NaN(), 0};
  if (most < kLeast)
    return {0, 0};
  const float scale = most / kMostQuant;
  return {scale, 1 / scale};
}

std::int8_t quant_of(float value) noexcept {
  return static_cast<std::int8_t>(std::bit_cast<std::uint32_t>(value + kRounder) & 0xffu);
}

} // namespace

std::size_t CachedRow::bytes() const noexcept {
  if (dtype != ABY_DTYPE_I8)
    return static_cast<std::size_t>(width) * dtype_size(dtype);
  return (quants_at() + static_cast<std::size_t>(quants()) + 3) / 4 * 4;
}

void store_cached(const CachedRow &row, const float *from, void *to) noexcept {
  if (row.dtype != ABY_DTYPE_I8) {
    for (std::int64_t i = 0; i < row.width; ++i)
      store_float(to, row.dtype, static_cast<std::size_t>(i), from[i]);
    return;
  }
  auto *bytes = static_cast<std::byte *>(to);
  auto *scales = reinterpret_cast<float *>(bytes);
  auto *quants = reinterpret_cast<std::int8_t *>(bytes + row.quants_at());
  row.for_groups(0, row.quants(), [&](std::int64_t index, std::int64_t begin, std::int64_t end) {
    const Group group = group_of(from + begin, end - begin);
    scales[index] = group.scale;
    for (std::int64_t i = begin; i < end; ++i)
      quants[i] = group.inverse == 0 ? std::int8_t{0} : quant_of(from[i] * group.inverse);
  });
  for (std::int64_t i = 0; i < row.plain; ++i)
    store_float(bytes + row.plain_at(), ABY_DTYPE_BF16, static_cast<std::size_t>(i), from[row.quants() + i]);
  const std::size_t end = row.quants_at() + static_cast<std::size_t>(row.quants());
  std::memset(bytes + end, 0, row.bytes() - end);
}

void load_cached(const CachedRow &row, const void *from, float *to) noexcept {
  if (row.dtype != ABY_DTYPE_I8) {
    for (std::int64_t i = 0; i < row.width; ++i)
      to[i] = load_as_float(from, row.dtype, static_cast<std::size_t>(i));
    return;
  }
  const auto *bytes = static_cast<const std::byte *>(from);
  const auto *scales = reinterpret_cast<const float *>(bytes);
  const auto *quants = reinterpret_cast<const std::int8_t *>(bytes + row.quants_at());
  row.for_groups(0, row.quants(), [&](std::int64_t index, std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      to[i] = static_cast<float>(quants[i]) * scales[index];
  });
  for (std::int64_t i = 0; i < row.plain; ++i)
    to[row.quants() + i] = load_as_float(bytes + row.plain_at(), ABY_DTYPE_BF16, static_cast<std::size_t>(i));
}

} // namespace abyssal
