// Element types, their sizes, and conversions of the plain ones to float32; block_format.h converts the others.
#pragma once

#include <abyssal/abyssal.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace abyssal {

// Bytes of one element; 0 for AUTO, unknown types and block formats.
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

// The least that is stored on its own: a block, or one element of a plain type. Zeros for AUTO and unknown types.
struct DtypeBlock {
  std::int64_t elements = 0;
  std::int64_t bytes = 0;
};

inline DtypeBlock dtype_block(aby_dtype dtype) noexcept {
  switch (dtype) {
  case ABY_DTYPE_Q4_0:
  case ABY_DTYPE_IQ4_NL:
    return {32, 18};
  case ABY_DTYPE_Q4_1:
    return {32, 20};
  case ABY_DTYPE_Q5_0:
    return {32, 22};
  case ABY_DTYPE_Q5_1:
    return {32, 24};
  case ABY_DTYPE_Q8_0:
    return {32, 34};
  case ABY_DTYPE_Q2_K:
    return {256, 84};
  case ABY_DTYPE_Q3_K:
    return {256, 110};
  case ABY_DTYPE_Q4_K:
    return {256, 144};
  case ABY_DTYPE_Q5_K:
    return {256, 176};
  case ABY_DTYPE_Q6_K:
    return {256, 210};
  case ABY_DTYPE_IQ4_XS:
    return {256, 136};
  case ABY_DTYPE_MXFP4:
    return {32, 17};
  default: {
    const auto size = static_cast<std::int64_t>(dtype_size(dtype));
    return {size > 0 ? 1 : 0, size};
  }
  }
}

inline bool is_block_format(aby_dtype dtype) noexcept { return dtype >= ABY_DTYPE_Q4_0 && dtype <= ABY_DTYPE_MXFP4; }

// Types that a matrix of weights may be stored in.
inline bool is_weight_dtype(aby_dtype dtype) noexcept {
  return (dtype >= ABY_DTYPE_F32 && dtype <= ABY_DTYPE_F8_E4M3) || is_block_format(dtype);
}

// Bytes of a row of k elements, k a multiple of the block's.
inline std::uint64_t row_bytes(aby_dtype dtype, std::int64_t k) noexcept {
  const DtypeBlock block = dtype_block(dtype);
  return block.elements == 0 ? 0 : static_cast<std::uint64_t>(k / block.elements * block.bytes);
}

// What the address of an array must be a multiple of to be read in place; blocks are read byte by byte.
inline std::size_t dtype_alignment(aby_dtype dtype) noexcept {
  const std::size_t size = dtype_size(dtype);
  return size > 0 ? size : 1;
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
  case ABY_DTYPE_I16:
    return "i16";
  case ABY_DTYPE_Q4_0:
    return "q4_0";
  case ABY_DTYPE_Q4_1:
    return "q4_1";
  case ABY_DTYPE_Q5_0:
    return "q5_0";
  case ABY_DTYPE_Q5_1:
    return "q5_1";
  case ABY_DTYPE_Q8_0:
    return "q8_0";
  case ABY_DTYPE_Q2_K:
    return "q2_k";
  case ABY_DTYPE_Q3_K:
    return "q3_k";
  case ABY_DTYPE_Q4_K:
    return "q4_k";
  case ABY_DTYPE_Q5_K:
    return "q5_k";
  case ABY_DTYPE_Q6_K:
    return "q6_k";
  case ABY_DTYPE_IQ4_NL:
    return "iq4_nl";
  case ABY_DTYPE_IQ4_XS:
    return "iq4_xs";
  case ABY_DTYPE_MXFP4:
    return "mxfp4";
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

// Round to nearest, ties to even; what is too large becomes infinite, NaN stays NaN.
inline std::uint16_t float_to_f16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return static_cast<std::uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x47800000u) // 2^16
    return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) { // 2^-14: subnormals are multiples of 2^-24, which an addition to 0.5 rounds to
    const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(rounded) - 0x3f000000u));
  }
  const std::uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u); // may carry into infinity
  return static_cast<std::uint16_t>(sign | (rounded - 0x38000000u) >> 13);
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
