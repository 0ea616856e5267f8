// e4m3 to bf16, 64 at a time, by tables of bytes that lie in registers. Included only by files that are compiled for
// AVX-512 F, BW, VL, DQ and VBMI.
#pragma once

#include <array>
#include <cstdint>
#include <immintrin.h>

namespace abyssal::cpu {
namespace { // each instruction set's file has its own

// The bits of a bf16 with the value of a byte below 128; bf16 holds all of them exactly.
constexpr std::uint16_t bf16_of_f8(unsigned bits) {
  const unsigned exponent = bits >> 3, mantissa = bits & 7;
  if (bits == 0x7f)
    return 0x7fc0;
  if (exponent > 0)
    return static_cast<std::uint16_t>((exponent + 120) << 7 | mantissa << 4);
  if (mantissa == 0)
    return 0;
  const unsigned highest = mantissa >= 4 ? 2 : mantissa >= 2 ? 1 : 0; // bit of a subnormal
  return static_cast<std::uint16_t>((118 + highest) << 7 | (mantissa << (7 - highest) & 0x7f));
}

struct F8Bytes {
  constexpr F8Bytes() : low{}, high{} {
    for (unsigned i = 0; i < 128; ++i) {
      low[i] = static_cast<std::uint8_t>(bf16_of_f8(i) & 0xff);
      high[i] = static_cast<std::uint8_t>(bf16_of_f8(i) >> 8);
    }
  }
  alignas(64) std::array<std::uint8_t, 128> low, high;
};
constexpr F8Bytes kF8Bytes;

// The low and the high byte of each of 64 bf16.
inline void widen_f8_bytes(__m512i bytes, __m512i &lows, __m512i &highs) {
  const std::uint8_t *low = kF8Bytes.low.data(), *high = kF8Bytes.high.data();
  lows = _mm512_permutex2var_epi8(_mm512_load_si512(low), bytes, _mm512_load_si512(low + 64));
  const __m512i sizes = _mm512_permutex2var_epi8(_mm512_load_si512(high), bytes, _mm512_load_si512(high + 64));
  highs = _mm512_ternarylogic_epi64(sizes, bytes, _mm512_set1_epi8(-128), 0xf8); // sizes | (bytes & 0x80)
}

// 64 bytes as 64 bf16: of each sixteen columns, the first eight are in `first` and the others in `second`.
inline void widen_f8(__m512i bytes, __m512i &first, __m512i &second) {
  __m512i lows, highs;
  widen_f8_bytes(bytes, lows, highs);
  first = _mm512_unpacklo_epi8(lows, highs);
  second = _mm512_unpackhi_epi8(lows, highs);
}

// Sixteen times four bytes as pairs of bf16: of each four, the first two are in `first` and the others in `second`.
inline void widen_f8_pairs(__m512i bytes, __m512i &first, __m512i &second) {
  __m512i lows, highs;
  widen_f8_bytes(bytes, lows, highs);
  const __m512 low = _mm512_castsi512_ps(_mm512_unpacklo_epi8(lows, highs)),
               high = _mm512_castsi512_ps(_mm512_unpackhi_epi8(lows, highs));
  first = _mm512_castps_si512(_mm512_shuffle_ps(low, high, 0x88));
  second = _mm512_castps_si512(_mm512_shuffle_ps(low, high, 0xdd));
}

} // namespace
} // namespace abyssal::cpu
