// The formats of 32 elements have one scale. Those of 256 (the K formats and iq4_xs) have sub-blocks of 16 or 32 with
// small scales of their own, which are multiplied by the block's. Scales are float16 unless said otherwise.
#include "base/block_format.h"

#include "base/dtype.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace abyssal {

namespace {

using Bytes = const std::uint8_t *;

float half_at(Bytes p) noexcept { return f16_to_float(static_cast<std::uint16_t>(p[0] | p[1] << 8)); }

// Where 4-bit values lie in formats of 32: byte j holds element j below and element j + 16 above.
template <typename Value> void each_of_32(Bytes packed, Value &&value) {
  for (int j = 0; j < 16; ++j) {
    value(j, packed[j] & 0xf);
    value(j + 16, packed[j] >> 4);
  }
}

// The fifth bits of q5_0 and q5_1: bit j of a 32-bit word belongs to element j.
int fifth_bit(Bytes word, int j) noexcept { return (word[j / 8] >> (j % 8) & 1) << 4; }

struct Q4_0 { // scale, packed
  static void decode(Bytes b, float *out) noexcept {
    const float d = half_at(b);
    each_of_32(b + 2, [&](int j, int q) { out[j] = d * static_cast<float>(q - 8); });
  }
};

struct Q4_1 { // scale, least, packed
  static void decode(Bytes b, float *out) noexcept {
    const float d = half_at(b), least = half_at(b + 2);
    each_of_32(b + 4, [&](int j, int q) { out[j] = d * static_cast<float>(q) + least; });
  }
};

struct Q5_0 { // scale, fifth bits, packed
  static void decode(Bytes b, float *out) noexcept {
    const float d = half_at(b);
    each_of_32(b + 6, [&](int j, int q) { out[j] = d * static_cast<float>((q | fifth_bit(b + 2, j)) - 16); });
  }
};

struct Q5_1 { // scale, least, fifth bits, packed
  static void decode(Bytes b, float *out) noexcept {
    const float d = half_at(b), least = half_at(b + 2);
    each_of_32(b + 8, [&](int j, int q) { out[j] = d * static_cast<float>(q | fifth_bit(b + 4, j)) + least; });
  }
};

struct Q8_0 { // scale, 32 signed bytes
  static void decode(Bytes b, float *out) noexcept {
    const float d = half_at(b);
    for (int j = 0; j < 32; ++j)
      out[j] = static_cast<float>(static_cast<std::int8_t>(b[2 + j])) * d;
  }
};

// The sixteen steps of iq4_nl and iq4_xs, and those of fp4 (e2m1), doubled.
constexpr float kUneven[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr float kFp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

struct Iq4Nl { // scale, packed
  static void decode(Bytes b, float *out) noexcept {
    const float d = half_at(b);
    each_of_32(b + 2, [&](int j, int q) { out[j] = d * kUneven[q]; });
  }
};

// 2^(exponent - 128): half of e8m0, as the steps are doubled. The two least are subnormal.
float half_power(int exponent) noexcept {
  return std::bit_cast<float>(exponent < 2 ? std::uint32_t{0x00200000} << exponent
                                           : static_cast<std::uint32_t>(exponent - 1) << 23);
}

struct Mxfp4 { // exponent, packed
  static void decode(Bytes b, float *out) noexcept {
    const float d = half_power(b[0]);
    each_of_32(b + 1, [&](int j, int q) { out[j] = d * kFp4[q]; });
  }
};

struct Q2K { // 16 x (4-bit scale, 4-bit minimum), 64 bytes of 2-bit values, scale, minimum
  static void decode(Bytes b, float *out) noexcept {
    const float d = half_at(b + 80), least = half_at(b + 82);
    for (int i = 0; i < 256; ++i) {
      const int half = i / 128, shift = i % 128 / 32 * 2, scale = b[i / 16];
      const int q = b[16 + half * 32 + i % 32] >> shift & 3;
      out[i] = d * static_cast<float>(scale & 0xf) * static_cast<float>(q) - least * static_cast<float>(scale >> 4);
    }
  }
};

struct Q3K { // 32 bytes of third bits (clear: minus 4), 64 bytes of 2-bit values, 16 x 6-bit scale, scale
  static void decode(Bytes b, float *out) noexcept {
    const float d = half_at(b + 108);
    Bytes scales = b + 96;
    for (int i = 0; i < 256; ++i) {
      const int part = i / 32, sub = i / 16;
      const int q = (b[32 + i / 128 * 32 + i % 32] >> (part % 4 * 2) & 3) - ((b[i % 32] >> part & 1) != 0 ? 0 : 4);
      const int low = sub < 8 ? scales[sub] & 0xf : scales[sub - 8] >> 4;
      const int high = scales[8 + sub % 4] >> (sub / 4 * 2) & 3;
      out[i] = d * static_cast<float>((low | high << 4) - 32) * static_cast<float>(q);
    }
  }
};

// The 6-bit scale and minimum of sub-block s in the 12 bytes of q4_k and q5_k: the first four whole in bytes 0-3 and
// 4-7, the low halves of the others in bytes 8-11, their upper two bits above the first four.
struct SixBits {
  SixBits(Bytes packed, int s) noexcept
      : scale(s < 4 ? packed[s] & 0x3f : (packed[s + 4] & 0xf) | (packed[s - 4] >> 6) << 4),
        least(s < 4 ? packed[s + 4] & 0x3f : packed[s + 4] >> 4 | (packed[s] >> 6) << 4) {}
  int scale, least;
};

struct Q4K { // scale, minimum, 8 x (scale, minimum), 128 bytes packed by pairs of sub-blocks
  static void decode(Bytes b, float *out) noexcept {
    for (int s = 0; s < 8; ++s) {
      const SixBits six(b + 4, s);
      const float d = half_at(b) * static_cast<float>(six.scale),
                  least = half_at(b + 2) * static_cast<float>(six.least);
      for (int j = 0; j < 32; ++j)
        out[s * 32 + j] = d * static_cast<float>(b[16 + s / 2 * 32 + j] >> (s % 2 * 4) & 0xf) - least;
    }
  }
};

struct Q5K { // as q4_k, with 32 bytes of fifth bits before the packed: bit s belongs to sub-block s
  static void decode(Bytes b, float *out) noexcept {
    for (int s = 0; s < 8; ++s) {
      const SixBits six(b + 4, s);
      const float d = half_at(b) * static_cast<float>(six.scale),
                  least = half_at(b + 2) * static_cast<float>(six.least);
      for (int j = 0; j < 32; ++j) {
        const int low = b[48 + s / 2 * 32 + j] >> (s % 2 * 4) & 0xf, high = (b[16 + j] >> s & 1) << 4;
        out[s * 32 + j] = d * static_cast<float>(low | high) - least;
      }
    }
  }
};

struct Q6K { // 128 bytes of low halves, 64 bytes of upper two bits, 16 signed scales, scale
  static void decode(Bytes b, float *out) noexcept {
    const float d = half_at(b + 208);
    for (int i = 0; i < 256; ++i) {
      const int half = i / 128, part = i % 128 / 32, j = i % 32;
      const int low = b[half * 64 + part % 2 * 32 + j] >> (part / 2 * 4) & 0xf;
      const int high = b[128 + half * 32 + j] >> (part * 2) & 3;
      const auto scale = static_cast<float>(static_cast<std::int8_t>(b[192 + i / 16]));
      out[i] = d * scale * static_cast<float>((low | high << 4) - 32);
    }
  }
};

struct Iq4Xs { // scale, 8 x upper two bits of a scale, 8 x its low half, 8 x 16 bytes packed
  static void decode(Bytes b, float *out) noexcept {
    const int upper = b[2] | b[3] << 8;
    for (int s = 0; s < 8; ++s) {
      const int low = b[4 + s / 2] >> (s % 2 * 4) & 0xf, high = upper >> (s * 2) & 3;
      const float d = half_at(b) * static_cast<float>((low | high << 4) - 32);
      each_of_32(b + 8 + s * 16, [&](int j, int q) { out[s * 32 + j] = d * kUneven[q]; });
    }
  }
};

template <typename Format> void decode_all(Bytes from, std::int64_t blocks, DtypeBlock block, float *out) noexcept {
  for (std::int64_t i = 0; i < blocks; ++i)
    Format::decode(from + i * block.bytes, out + i * block.elements);
}

} // namespace

void dequantize(aby_dtype format, const void *blocks, std::int64_t first, std::int64_t count, float *out) noexcept {
  if (!is_block_format(format)) {
    std::fill_n(out, count, std::numeric_limits<float>::quiet_NaN());
    return;
  }
  const DtypeBlock block = dtype_block(format);
  Bytes from = static_cast<Bytes>(blocks) + first / block.elements * block.bytes;
  const std::int64_t n = count / block.elements;
  switch (format) {
  case ABY_DTYPE_Q4_0:
    return decode_all<Q4_0>(from, n, block, out);
  case ABY_DTYPE_Q4_1:
    return decode_all<Q4_1>(from, n, block, out);
  case ABY_DTYPE_Q5_0:
    return decode_all<Q5_0>(from, n, block, out);
  case ABY_DTYPE_Q5_1:
    return decode_all<Q5_1>(from, n, block, out);
  case ABY_DTYPE_Q8_0:
    return decode_all<Q8_0>(from, n, block, out);
  case ABY_DTYPE_Q2_K:
    return decode_all<Q2K>(from, n, block, out);
  case ABY_DTYPE_Q3_K:
    return decode_all<Q3K>(from, n, block, out);
  case ABY_DTYPE_Q4_K:
    return decode_all<Q4K>(from, n, block, out);
  case ABY_DTYPE_Q5_K:
    return decode_all<Q5K>(from, n, block, out);
  case ABY_DTYPE_Q6_K:
    return decode_all<Q6K>(from, n, block, out);
  case ABY_DTYPE_IQ4_NL:
    return decode_all<Iq4Nl>(from, n, block, out);
  case ABY_DTYPE_IQ4_XS:
    return decode_all<Iq4Xs>(from, n, block, out);
  default:
    return decode_all<Mxfp4>(from, n, block, out);
  }
}

} // namespace abyssal
