// Element types and their conversions to float32.
#pragma once

#include <abyssal/abyssal.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace abyssal {

// Bytes of one element; 0 for AUTO and unknown types.
inline std::size_t dtype_size(aby_dtype dtype) noexcept {
  switch (dtype) {
  case ABY_DTYPE_F8_E4M3:
  case ABY_DTYPE_F8_E8M0:
  case ABY_DTYPE_I8:
  case ABY_DTYPE_U8:
    return 1;
  case ABY_DTYPE_F16:
  case ABY_DTYPE_BF16:
    return 2;
  case ABY_DTYPE_F32:
  case ABY_DTYPE_I32:
    return 4;
  case ABY_DTYPE_I64:
    return 8;
  default:
    return 0;
  }
}

inline const char *dtype_name(aby_dtype dtype) noexcept {
  switch (dtype) {
  case ABY_DTYPE_AUTO:
    return "auto";
  case ABY_DTYPE_F32:
    return "f32";
  case ABY_DTYPE_F16:
    return "f16";
  case ABY_DTYPE_BF16:
    return "bf16";
  case ABY_DTYPE_F8_E4M3:
    return "f8_e4m3";
  case ABY_DTYPE_F8_E8M0:
    return "f8_e8m0";
  case ABY_DTYPE_I8:
    return "i8";
  case ABY_DTYPE_U8:
    return "u8";
  case ABY_DTYPE_I32:
    return "i32";
  case ABY_DTYPE_I64:
    return "i64";
  default:
    return "unknown";
  }
}

inline float bf16_to_float(std::uint16_t bits) noexcept { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

// Round to nearest, ties to even; NaN stays NaN.
inline std::uint16_t float_to_bf16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline float f16_to_float(std::uint16_t bits) noexcept {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  const std::uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0) { // zero and subnormals: mantissa * 2^-24
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

// e4m3fn: bias 7, no infinity, S.1111.111 is NaN.
inline float f8_e4m3_to_float(std::uint8_t bits) noexcept {
  const int exponent = (bits >> 3) & 0xf;
  const int mantissa = bits & 7;
  float magnitude;
  if (exponent == 0)
    magnitude = static_cast<float>(mantissa) * 0x1p-9f;
  else if (exponent == 15 && mantissa == 7)
    magnitude = std::numeric_limits<float>::quiet_NaN();
  else
    magnitude = std::ldexp(1.0f + static_cast<float>(mantissa) / 8.0f, exponent - 7);
  return (bits & 0x80) != 0 ? -magnitude : magnitude;
}

// 2^(bits - 127); 255 is NaN.
inline float f8_e8m0_to_float(std::uint8_t bits) noexcept {
  return bits == 255 ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0f, int{bits} - 127);
}

// Element `index` of an array of a floating type, as float32.
inline float load_as_float(const void *data, aby_dtype dtype, std::size_t index) noexcept {
  switch (dtype) {
  case ABY_DTYPE_F32:
    return static_cast<const float *>(data)[index];
  case ABY_DTYPE_F16:
    return f16_to_float(static_cast<const std::uint16_t *>(data)[index]);
  case ABY_DTYPE_BF16:
    return bf16_to_float(static_cast<const std::uint16_t *>(data)[index]);
  case ABY_DTYPE_F8_E4M3:
    return f8_e4m3_to_float(static_cast<const std::uint8_t *>(data)[index]);
  case ABY_DTYPE_F8_E8M0:
    return f8_e8m0_to_float(static_cast<const std::uint8_t *>(data)[index]);
  default:
    return std::numeric_limits<float>::quiet_NaN();
  }
}

// Stores a float32 into an F32 or BF16 array.
inline void store_float(void *data, aby_dtype dtype, std::size_t index, float value) noexcept {
  if (dtype == ABY_DTYPE_BF16)
    static_cast<std::uint16_t *>(data)[index] = float_to_bf16(value);
  else
    static_cast<float *>(data)[index] = value;
}

} // namespace abyssal
