// Sixteen 32-bit lanes in two registers. Included only by files compiled for AVX2, FMA and F16C.
#pragma once

#include <cstdint>
#include <cstring>
#include <immintrin.h>

namespace abyssal::cpu {
namespace { // each instruction set's file has its own

// 64 unsigned bytes: four consecutive k of 16 rows.
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

// Four consecutive activations, in every lane.
struct Four {
  explicit Four(const std::int8_t *x) {
    std::int32_t four;
    std::memcpy(&four, x, sizeof four);
    v = _mm256_set1_epi32(four);
  }
  __m256i v;
};

struct Ints {
  __m256i a, b;
  // What a sum starts from. Quants that are not small have a zero of 128, which their dot product takes away itself.
  template <bool Small> static Ints start(std::int32_t init) {
    const __m256i v = Small ? _mm256_set1_epi32(init) : _mm256_setzero_si256();
    return {v, v};
  }
  static Ints load(const std::int32_t *p) {
    const auto *at = reinterpret_cast<const __m256i *>(p);
    return {_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
  }
  static Ints none() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  // += the products of four quants in each lane with the four activations. Sums of two products go through 16
  // bits: 2 * 127 * 127 fits. Quants that are not small lose their zero first: |q - 128| <= 128 and 2 * 128 * 127 fits.
  template <bool Small> void dot(Quants w, const Four &x) {
    a = _mm256_add_epi32(a, half<Small>(w.a, x.v));
    b = _mm256_add_epi32(b, half<Small>(w.b, x.v));
  }
  friend Ints operator+(Ints x, Ints y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
  Floats floats() const { return {_mm256_cvtepi32_ps(a), _mm256_cvtepi32_ps(b)}; }

private:
  template <bool Small> static __m256i half(__m256i w, __m256i x) {
    if constexpr (!Small) {
      w = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
      x = _mm256_sign_epi8(x, w);
      w = _mm256_abs_epi8(w);
    }
    return _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1));
  }
};

constexpr int kLaneRows = 4;
constexpr int kLaneTiles = 1;
constexpr int kDirectRows = 4;

// The largest magnitude of 128 values; NaN or infinite if one of them is.
inline float largest(const float *x) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  __m256 most = _mm256_setzero_ps(), probe = _mm256_setzero_ps();
  for (int i = 0; i < 128; i += 8) {
    const __m256 v = _mm256_loadu_ps(x + i);
    most = _mm256_max_ps(most, _mm256_andnot_ps(sign, v));
    probe = _mm256_add_ps(probe, _mm256_mul_ps(v, _mm256_setzero_ps()));
  }
  alignas(32) float parts[8], probes[8];
  _mm256_store_ps(parts, most);
  _mm256_store_ps(probes, probe);
  float result = 0;
  for (int i = 0; i < 8; ++i)
    result = parts[i] > result ? parts[i] : result;
  for (int i = 0; i < 8; ++i)
    result += probes[i];
  return result;
}

// 32 small integers as bytes, and the sums of each 16.
inline void store_bytes(const __m256i (&q)[4], std::int8_t *out, std::int32_t *sums) {
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i turned = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  const __m256i bytes = _mm256_permutevar8x32_epi32(turned, order);
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(out), bytes);
  const __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes), _mm256_set1_epi16(1));
  const __m256i eights = _mm256_hadd_epi32(fours, fours), all = _mm256_hadd_epi32(eights, eights);
  sums[0] = _mm256_extract_epi32(all, 0);
  sums[1] = _mm256_extract_epi32(all, 4);
}

// Eight values times factor, rounded to the nearest even.
inline __m256i round8(const float *x, float factor) {
  return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), _mm256_set1_ps(factor)));
}

// 64 values times factor, rounded to the nearest even, as bytes; and the sums of each 16.
inline void round64(const float *x, float factor, std::int8_t *out, std::int32_t *sums) {
  for (int part = 0; part < 2; ++part) {
    __m256i q[4];
    for (int i = 0; i < 4; ++i)
      q[i] = round8(x + part * 32 + i * 8, factor);
    store_bytes(q, out + part * 32, sums + part * 2);
  }
}

// 64 values times factor, rounded to the nearest even q = 254 high + low, both within 127; and their sums.
inline void round64_split(const float *x, float factor, std::int8_t *high, std::int32_t *high_sums, std::int8_t *low,
                          std::int32_t *low_sums) {
  for (int part = 0; part < 2; ++part) {
    __m256i a[4], b[4];
    for (int i = 0; i < 4; ++i) {
      const __m256i q = round8(x + part * 32 + i * 8, factor);
      a[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(q), _mm256_set1_ps(1.0f / 254.0f)));
      b[i] = _mm256_sub_epi32(q, _mm256_mullo_epi32(a[i], _mm256_set1_epi32(254)));
    }
    store_bytes(a, high + part * 32, high_sums + part * 2);
    store_bytes(b, low + part * 32, low_sums + part * 2);
  }
}

} // namespace
} // namespace abyssal::cpu
