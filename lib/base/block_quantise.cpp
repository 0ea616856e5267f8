#include "base/block_quantise.h"

#include "base/dtype.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace abyssal {

namespace {

// To the nearest integer, ties to even, of magnitudes below 2^22: the sum has no bits left for a fraction.
float rounded(float value) noexcept {
  constexpr float kNoFraction = 0x1.8p23f;
  return value + kNoFraction - kNoFraction;
}

float to_f16(float value) noexcept { return f16_to_float(float_to_f16(value)); }

bool all_finite(const float *x) noexcept {
  float probe = 0;
  for (std::int64_t i = 0; i < kQuantBlock; ++i)
    probe += x[i] * 0.0f;
  return probe == 0;
}

// 1 / scale, or 0 for blocks so small that their scale or its inverse is none.
float inverse_of(float scale) noexcept {
  const float inverse = scale != 0 ? 1.0f / scale : 0.0f;
  return std::isfinite(inverse) ? inverse : 0.0f;
}

void put_scale(float scale, std::uint8_t *to) noexcept {
  const std::uint16_t bits = float_to_f16(scale);
  to[0] = static_cast<std::uint8_t>(bits & 0xff);
  to[1] = static_cast<std::uint8_t>(bits >> 8);
}

void q8_0(const float *x, std::uint8_t *to) noexcept {
  float most = 0;
  for (std::int64_t i = 0; i < kQuantBlock; ++i)
    most = std::max(most, std::fabs(x[i]));
  const float scale = to_f16(most / 127.0f), inverse = inverse_of(scale);
  put_scale(scale, to);
  for (std::int64_t i = 0; i < kQuantBlock; ++i)
    to[2 + i] =
        static_cast<std::uint8_t>(static_cast<std::int8_t>(rounded(std::clamp(x[i] * inverse, -127.0f, 127.0f))));
}

// Quants of a block at a scale, and what is lost with them.
struct Fit {
  Fit(const float *x, float wanted) noexcept : scale(to_f16(wanted)) {
    const float inverse = inverse_of(scale);
    for (std::int64_t i = 0; i < kQuantBlock; ++i) {
      quants[i] = rounded(std::clamp(x[i] * inverse, -8.0f, 7.0f));
      const float off = x[i] - quants[i] * scale;
      error += off * off;
      along += x[i] * quants[i];
      square += quants[i] * quants[i];
    }
  }
  float best_scale() const noexcept { return square > 0 ? along / square : scale; }
  float scale;
  float quants[kQuantBlock];
  float error = 0, along = 0, square = 0;
};

void q4_0(const float *x, std::uint8_t *to) noexcept {
  // There is one step more below zero than above: the scale's sign takes the largest magnitude there.
  float largest = 0;
  for (std::int64_t i = 0; i < kQuantBlock; ++i)
    largest = std::fabs(x[i]) > std::fabs(largest) ? x[i] : largest;
  Fit fit(x, largest / -8.0f);
  if (const Fit second(x, fit.best_scale()); second.error < fit.error)
    fit = second;
  put_scale(fit.scale, to);
  const auto stored = [&](std::int64_t i) { return static_cast<std::uint8_t>(static_cast<int>(fit.quants[i]) + 8); };
  for (std::int64_t i = 0; i < kQuantBlock / 2; ++i)
    to[2 + i] = static_cast<std::uint8_t>(stored(i) | stored(i + kQuantBlock / 2) << 4);
}

} // namespace

void quantise_blocks(aby_dtype format, const float *x, std::int64_t count, void *blocks) noexcept {
  const auto block_bytes = static_cast<std::size_t>(dtype_block(format).bytes);
  auto *to = static_cast<std::uint8_t *>(blocks);
  for (std::int64_t i = 0; i < count; i += kQuantBlock, to += block_bytes) {
    if (!all_finite(x + i)) {
      std::memset(to, 0, block_bytes);
      put_scale(std::numeric_limits<float>::quiet_NaN(), to);
    } else if (format == ABY_DTYPE_Q8_0) {
      q8_0(x + i, to);
    } else {
      q4_0(x + i, to);
    }
  }
}

} // namespace abyssal
