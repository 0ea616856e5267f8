// Sixteen 32-bit lanes in two registers. Included only by files compiled for AVX2, FMA and F16C.
#pragma once

#include <cstdint>
#include <cstring>
#include <immintrin.h>

namespace abyssal::cpu {
namespace { // each instruction set's file has its own

// Pairs of 16 bits, two columns of 16 rows.
struct Words {
  __m256i a, b;
  static Words load(const void *p) {
    const auto *at = static_cast<const __m256i *>(p);
    return {_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
  }
  void store(void *p) const {
    auto *at = static_cast<__m256i *>(p);
    _mm256_storeu_si256(at, a);
    _mm256_storeu_si256(at + 1, b);
  }
};

// 64 bytes: four consecutive k of 16 rows.
struct Quants {
  __m256i a, b;
  static Quants load(const void *p) {
    const auto *at = static_cast<const __m256i *>(p);
    return {_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
  }
  void store(void *p) const {
    auto *at = static_cast<__m256i *>(p);
    _mm256_storeu_si256(at, a);
    _mm256_storeu_si256(at + 1, b);
  }
  Quants low_nibbles() const {
    const __m256i mask = _mm256_set1_epi8(15);
    return {_mm256_and_si256(a, mask), _mm256_and_si256(b, mask)};
  }
  Quants high_nibbles() const {
    const __m256i mask = _mm256_set1_epi8(15);
    return {_mm256_and_si256(_mm256_srli_epi16(a, 4), mask), _mm256_and_si256(_mm256_srli_epi16(b, 4), mask)};
  }
  Quants minus(std::int32_t zero) const {
    const __m256i all = _mm256_set1_epi8(static_cast<char>(zero));
    return {_mm256_sub_epi8(a, all), _mm256_sub_epi8(b, all)};
  }
  Quants lookup(const std::uint8_t *table) const {
    const __m256i entries = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i *>(table)));
    return {_mm256_shuffle_epi8(entries, a), _mm256_shuffle_epi8(entries, b)};
  }
  // Signed: columns 0 and 2 of the four, and 1 and 3.
  Words even() const {
    return {_mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8), _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8)};
  }
  Words odd() const { return {_mm256_srai_epi16(a, 8), _mm256_srai_epi16(b, 8)}; }
};

struct Floats {
  __m256 a, b;
  static Floats zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Floats all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Floats load(const float *p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static Floats load_f16(const void *p) {
    const auto *at = static_cast<const __m128i *>(p);
    return {_mm256_cvtph_ps(_mm_loadu_si128(at)), _mm256_cvtph_ps(_mm_loadu_si128(at + 1))};
  }
  static Floats load_u8(const void *p) {
    const __m128i bytes = _mm_loadu_si128(static_cast<const __m128i *>(p));
    return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
            _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
  }
  void store(float *p) const {
    _mm256_storeu_ps(p, a);
    _mm256_storeu_ps(p + 8, b);
  }
  static Floats fma(Floats x, Floats y, Floats z) {
    return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
  }
  friend Floats operator*(Floats x, Floats y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
  friend Floats operator-(Floats x) {
    return {_mm256_sub_ps(_mm256_setzero_ps(), x.a), _mm256_sub_ps(_mm256_setzero_ps(), x.b)};
  }
};

// Four bytes or two words of activations, in every lane.
struct Spread {
  explicit Spread(const void *x) {
    std::int32_t bits;
    std::memcpy(&bits, x, sizeof bits);
    v = _mm256_set1_epi32(bits);
  }
  __m256i v;
};

struct Ints {
  __m256i a, b;
  static Ints none() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static Ints load(const std::int32_t *p) {
    const auto *at = reinterpret_cast<const __m256i *>(p);
    return {_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
  }
  void store(std::int32_t *p) const {
    auto *at = reinterpret_cast<__m256i *>(p);
    _mm256_storeu_si256(at, a);
    _mm256_storeu_si256(at + 1, b);
  }
  // += the products of two words in each lane.
  void dot(Words w, const Spread &x) {
    a = _mm256_add_epi32(a, _mm256_madd_epi16(w.a, x.v));
    b = _mm256_add_epi32(b, _mm256_madd_epi16(w.b, x.v));
  }
  // 256 times these, and those of the low halves.
  Ints join(Ints low) const {
    return {_mm256_add_epi32(_mm256_slli_epi32(a, 8), low.a), _mm256_add_epi32(_mm256_slli_epi32(b, 8), low.b)};
  }
  friend Ints operator+(Ints x, Ints y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
  Floats floats() const { return {_mm256_cvtepi32_ps(a), _mm256_cvtepi32_ps(b)}; }
};

constexpr int kLaneRows = 6;
constexpr int kLaneTiles = 1;
constexpr int kDirectRows = 4;

} // namespace
} // namespace abyssal::cpu
