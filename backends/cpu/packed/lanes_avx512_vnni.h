// Sixteen 32-bit lanes in one register. Included only by files compiled for AVX-512 with VNNI.
#pragma once

#include <cstdint>
#include <cstring>
#include <immintrin.h>

namespace abyssal::cpu {
namespace { // each instruction set's file has its own

// 64 unsigned bytes: four consecutive k of 16 rows.
struct Quants {
  __m512i v;
  static Quants load(const void *p) { return {_mm512_loadu_si512(p)}; }
  void store(void *p) const { _mm512_storeu_si512(p, v); }
  Quants low_nibbles() const { return {_mm512_and_si512(v, _mm512_set1_epi8(15))}; }
  Quants high_nibbles() const { return {_mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(15))}; }
  Quants minus(std::int32_t zero) const { return {_mm512_sub_epi8(v, _mm512_set1_epi8(static_cast<char>(zero)))}; }
  Quants lookup(const std::uint8_t *table) const {
    const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i *>(table));
    return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(entries), v)};
  }
};

struct Floats {
  __m512 v;
  static Floats zero() { return {_mm512_setzero_ps()}; }
  static Floats all(float x) { return {_mm512_set1_ps(x)}; }
  static Floats load(const float *p) { return {_mm512_loadu_ps(p)}; }
  static Floats load_f16(const void *p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i *>(p)))};
  }
  static Floats load_u8(const void *p) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i *>(p))))};
  }
  void store(float *p) const { _mm512_storeu_ps(p, v); }
  static Floats fma(Floats a, Floats b, Floats c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  friend Floats operator*(Floats a, Floats b) { return {_mm512_mul_ps(a.v, b.v)}; }
  friend Floats operator-(Floats a) { return {_mm512_sub_ps(_mm512_setzero_ps(), a.v)}; }
};

// Four bytes of activations, in every lane.
struct Spread {
  explicit Spread(const void *x) {
    std::int32_t bits;
    std::memcpy(&bits, x, sizeof bits);
    v = _mm512_set1_epi32(bits);
  }
  __m512i v;
};

struct Ints {
  __m512i v;
  static Ints none() { return {_mm512_setzero_si512()}; }
  static Ints load(const std::int32_t *p) { return {_mm512_loadu_si512(p)}; }
  void store(std::int32_t *p) const { _mm512_storeu_si512(p, v); }
  // 256 times these, and those of the low halves.
  Ints join(Ints low) const { return {_mm512_add_epi32(_mm512_slli_epi32(v, 8), low.v)}; }
  Floats floats() const { return {_mm512_cvtepi32_ps(v)}; }
};

struct ByteSums {
  __m512i v;
  static ByteSums start(std::int32_t init) { return {_mm512_set1_epi32(init)}; }
  void dot(Quants w, const Spread &x) { v = _mm512_dpbusd_epi32(v, w.v, x.v); }
  friend ByteSums operator+(ByteSums a, ByteSums b) { return {_mm512_add_epi32(a.v, b.v)}; }
  Ints ints() const { return {v}; }
};

constexpr bool kSumsInPairs = false; // what a sum starts from: one of 32 bits
struct Words;                        // there are none
constexpr bool kLaneWords = false;   // all weights are multiplied as bytes

// Twelve sums, so that no dot product waits for another. As 6 rows by 2 tiles they take 8 loads, as 12 rows by a tile
// 13, and two loads a cycle are what two dot products a cycle allow.
constexpr int kLaneRows = 6;
constexpr int kLaneTiles = 2;
constexpr int kDirectRows = 4;

} // namespace
} // namespace abyssal::cpu
