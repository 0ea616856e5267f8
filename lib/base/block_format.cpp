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

void put(BlockQuants &out, int i, int quant) noexcept { out.quants[i] = static_cast<std::int8_t>(quant); }

void q4_0(Bytes b, BlockQuants &out) noexcept { // scale, packed
  out.scale[0] = half_at(b);
  each_of_32(b + 2, [&](int j, int q) { put(out, j, q - 8); });
}

void q4_1(Bytes b, BlockQuants &out) noexcept { // scale, least, packed
  out.scale[0] = half_at(b);
  out.bias[0] = half_at(b + 2);
  each_of_32(b + 4, [&](int j, int q) { put(out, j, q); });
}

void q5_0(Bytes b, BlockQuants &out) noexcept { // scale, fifth bits, packed
  out.scale[0] = half_at(b);
  each_of_32(b + 6, [&](int j, int q) { put(out, j, (q | fifth_bit(b + 2, j)) - 16); });
}

void q5_1(Bytes b, BlockQuants &out) noexcept { // scale, least, fifth bits, packed
  out.scale[0] = half_at(b);
  out.bias[0] = half_at(b + 2);
  each_of_32(b + 8, [&](int j, int q) { put(out, j, q | fifth_bit(b + 4, j)); });
}

void q8_0(Bytes b, BlockQuants &out) noexcept { // scale, 32 signed bytes
  out.scale[0] = half_at(b);
  for (int j = 0; j < 32; ++j)
    put(out, j, static_cast<std::int8_t>(b[2 + j]));
}

void iq4_nl(Bytes b, BlockQuants &out) noexcept { // scale, packed
  out.scale[0] = half_at(b);
  each_of_32(b + 2, [&](int j, int q) { put(out, j, kUnevenSteps[q]); });
}

// 2^(exponent - 128): half of e8m0, as the steps are doubled. The two least are subnormal.
float half_power(int exponent) noexcept {
  return std::bit_cast<float>(exponent < 2 ? std::uint32_t{0x00200000} << exponent
                                           : static_cast<std::uint32_t>(exponent - 1) << 23);
}

void mxfp4(Bytes b, BlockQuants &out) noexcept { // exponent, packed
  out.scale[0] = half_power(b[0]);
  each_of_32(b + 1, [&](int j, int q) { put(out, j, kFp4Steps[q]); });
}

void q2_k(Bytes b,
          BlockQuants &out) noexcept { // 16 x (4-bit scale, 4-bit minimum), 64 bytes of 2-bit values, scale, minimum
  const float d = half_at(b + 80), least = half_at(b + 82);
  for (int s = 0; s < 16; ++s) {
    out.scale[s] = d * static_cast<float>(b[s] & 0xf);
    out.bias[s] = -(least * static_cast<float>(b[s] >> 4));
  }
  for (int i = 0; i < 256; ++i)
    put(out, i, b[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3);
}

void q3_k(Bytes b, BlockQuants &out) noexcept { // 32 bytes of third bits (clear: minus 4), 64 bytes of 2-bit values, 16
                                                // x 6-bit scale, scale
  const float d = half_at(b + 108);
  Bytes scales = b + 96;
  for (int s = 0; s < 16; ++s) {
    const int low = s < 8 ? scales[s] & 0xf : scales[s - 8] >> 4;
    const int high = scales[8 + s % 4] >> (s / 4 * 2) & 3;
    out.scale[s] = d * static_cast<float>((low | high << 4) - 32);
  }
  for (int i = 0; i < 256; ++i) {
    const int part = i / 32;
    put(out, i, (b[32 + i / 128 * 32 + i % 32] >> (part % 4 * 2) & 3) - ((b[i % 32] >> part & 1) != 0 ? 0 : 4));
  }
}

// Sub-block scales of q4_k and q5_k, whose blocks begin alike.
void six_bit_scales(Bytes b, BlockQuants &out) noexcept {
  for (int s = 0; s < 8; ++s) {
    const SixBits six(b + 4, s);
    out.scale[s] = half_at(b) * static_cast<float>(six.scale);
    out.bias[s] = -(half_at(b + 2) * static_cast<float>(six.least));
  }
}

void q4_k(Bytes b,
          BlockQuants &out) noexcept { // scale, minimum, 8 x (scale, minimum), 128 bytes packed by pairs of sub-blocks
  six_bit_scales(b, out);
  for (int i = 0; i < 256; ++i)
    put(out, i, b[16 + i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 0xf);
}

void q5_k(
    Bytes b,
    BlockQuants &out) noexcept { // as q4_k, with 32 bytes of fifth bits before the packed: bit s belongs to sub-block s
  six_bit_scales(b, out);
  for (int i = 0; i < 256; ++i)
    put(out, i, (b[48 + i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 0xf) | (b[16 + i % 32] >> (i / 32) & 1) << 4);
}

void q6_k(Bytes b,
          BlockQuants &out) noexcept { // 128 bytes of low halves, 64 bytes of upper two bits, 16 signed scales, scale
  const float d = half_at(b + 208);
  for (int s = 0; s < 16; ++s)
    out.scale[s] = d * static_cast<float>(static_cast<std::int8_t>(b[192 + s]));
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, part = i % 128 / 32, j = i % 32;
    const int low = b[half * 64 + part % 2 * 32 + j] >> (part / 2 * 4) & 0xf;
    const int high = b[128 + half * 32 + j] >> (part * 2) & 3;
    put(out, i, (low | high << 4) - 32);
  }
}

void iq4_xs(Bytes b,
            BlockQuants &out) noexcept { // scale, 8 x upper two bits of a scale, 8 x its low half, 8 x 16 bytes packed
  const int upper = b[2] | b[3] << 8;
  for (int s = 0; s < 8; ++s) {
    const int low = b[4 + s / 2] >> (s % 2 * 4) & 0xf, high = upper >> (s * 2) & 3;
    out.scale[s] = half_at(b) * static_cast<float>((low | high << 4) - 32);
    each_of_32(b + 8 + s * 16, [&](int j, int q) { put(out, s * 32 + j, kUnevenSteps[q]); });
  }
}

} // namespace

SixBits::SixBits(const std::uint8_t *packed, int s) noexcept
    : scale(static_cast<std::uint8_t>(s < 4 ? packed[s] & 0x3f : (packed[s + 4] & 0xf) | (packed[s - 4] >> 6) << 4)),
      least(static_cast<std::uint8_t>(s < 4 ? packed[s + 4] & 0x3f : packed[s + 4] >> 4 | (packed[s] >> 6) << 4)) {}

BlockGroups block_groups(aby_dtype format) noexcept {
  switch (format) {
  case ABY_DTYPE_Q4_1:
  case ABY_DTYPE_Q5_1:
  case ABY_DTYPE_Q4_K:
  case ABY_DTYPE_Q5_K:
    return {32, true};
  case ABY_DTYPE_Q2_K:
    return {16, true};
  case ABY_DTYPE_Q3_K:
  case ABY_DTYPE_Q6_K:
    return {16, false};
  default:
    return {32, false};
  }
}

void read_block(aby_dtype format, const void *block, BlockQuants &out) noexcept {
  const auto *b = static_cast<Bytes>(block);
  switch (format) {
  case ABY_DTYPE_Q4_0:
    return q4_0(b, out);
  case ABY_DTYPE_Q4_1:
    return q4_1(b, out);
  case ABY_DTYPE_Q5_0:
    return q5_0(b, out);
  case ABY_DTYPE_Q5_1:
    return q5_1(b, out);
  case ABY_DTYPE_Q8_0:
    return q8_0(b, out);
  case ABY_DTYPE_Q2_K:
    return q2_k(b, out);
  case ABY_DTYPE_Q3_K:
    return q3_k(b, out);
  case ABY_DTYPE_Q4_K:
    return q4_k(b, out);
  case ABY_DTYPE_Q5_K:
    return q5_k(b, out);
  case ABY_DTYPE_Q6_K:
    return q6_k(b, out);
  case ABY_DTYPE_IQ4_NL:
    return iq4_nl(b, out);
  case ABY_DTYPE_IQ4_XS:
    return iq4_xs(b, out);
  default:
    return mxfp4(b, out);
  }
}

void dequantise(aby_dtype format, const void *blocks, std::int64_t first, std::int64_t count, float *out) noexcept {
  if (!is_block_format(format)) {
    std::fill_n(out, count, std::numeric_limits<float>::quiet_NaN());
    return;
  }
  const DtypeBlock block = dtype_block(format);
  const BlockGroups groups = block_groups(format);
  Bytes from = static_cast<Bytes>(blocks) + first / block.elements * block.bytes;
  BlockQuants quants;
  for (std::int64_t i = 0; i < count; i += block.elements, from += block.bytes) {
    read_block(format, from, quants);
    for (std::int64_t j = 0; j < block.elements; ++j) {
      const auto group = static_cast<std::size_t>(j / groups.size);
      const float value = quants.scale[group] * static_cast<float>(quants.quants[j]);
      out[i + j] = groups.bias ? value + quants.bias[group] : value;
    }
  }
}

} // namespace abyssal
