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

// Four consecutive activations, in every lane.
struct Four {
  explicit Four(const std::int8_t *x) {
    std::int32_t four;
    std::memcpy(&four, x, sizeof four);
    v = _mm512_set1_epi32(four);
  }
  __m512i v;
};

struct Ints {
  __m512i v;
  // What a sum starts from: -zero * sum of the activations.
  template <bool> static Ints start(std::int32_t init) { return {_mm512_set1_epi32(init)}; }
  static Ints load(const std::int32_t *p) { return {_mm512_loadu_si512(p)}; }
  static Ints none() { return {_mm512_setzero_si512()}; }
  // += the products of four quants in each lane with the four activations.
  template <bool> void dot(Quants w, const Four &x) { v = _mm512_dpbusd_epi32(v, w.v, x.v); }
  friend Ints operator+(Ints a, Ints b) { return {_mm512_add_epi32(a.v, b.v)}; }
  Floats floats() const { return {_mm512_cvtepi32_ps(v)}; }
};

// Sixteen activations.
struct Row16 {
  __m512 v;
  static Row16 load(const float *p) { return {_mm512_loadu_ps(p)}; }
  __m512 magnitude() const { return _mm512_abs_ps(v); }
};

// Twelve sums, so that no dot product waits for another. As 6 rows by 2 tiles they take 8 loads, as 12 rows by a tile
// 13, and two loads a cycle are what two dot products a cycle allow.
constexpr int kLaneRows = 6;
constexpr int kLaneTiles = 2;
constexpr int kDirectRows = 4;

// The largest magnitude of 128 values; NaN or infinite if one of them is.
inline float largest(const float *x) {
  __m512 most = _mm512_setzero_ps(), probe = _mm512_setzero_ps();
  for (int i = 0; i < 128; i += 16) {
    const __m512 v = _mm512_loadu_ps(x + i);
    most = _mm512_max_ps(most, _mm512_abs_ps(v));
    probe = _mm512_add_ps(probe, _mm512_mul_ps(v, _mm512_setzero_ps()));
  }
  return _mm512_reduce_max_ps(most) + _mm512_reduce_add_ps(probe);
}

// Stores 64 small integers as bytes, and the sums of each 16. The bytes are not read back: a load that spans several
// stores waits for them.
inline void store_bytes(const __m512i (&q)[4], std::int8_t *out, std::int32_t *sums) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i turned = _mm512_packs_epi16(_mm512_packs_epi32(q[0], q[1]), _mm512_packs_epi32(q[2], q[3]));
  const __m512i bytes = _mm512_permutexvar_epi32(order, turned);
  _mm512_storeu_si512(out, bytes);
  const __m512i fours = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), bytes);
  const __m512i eights = _mm512_add_epi32(fours, _mm512_shuffle_epi32(fours, _MM_PERM_CDAB));
  const __m512i all = _mm512_add_epi32(eights, _mm512_shuffle_epi32(eights, _MM_PERM_BADC));
  _mm_storeu_si128(reinterpret_cast<__m128i *>(sums), _mm512_castsi512_si128(_mm512_maskz_compress_epi32(0x1111, all)));
}

// 64 values times factor, rounded to the nearest even, as bytes; and the sums of each 16.
inline void round64(const float *x, float factor, std::int8_t *out, std::int32_t *sums) {
  __m512i q[4];
  for (int i = 0; i < 4; ++i)
    q[i] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16 * i), _mm512_set1_ps(factor)));
  store_bytes(q, out, sums);
}

// 64 values times factor, rounded to the nearest even q = 254 high + low, both within 127; and their sums.
inline void round64_split(const float *x, float factor, std::int8_t *high, std::int32_t *high_sums, std::int8_t *low,
                          std::int32_t *low_sums) {
  __m512i a[4], b[4];
  for (int i = 0; i < 4; ++i) {
    const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16 * i), _mm512_set1_ps(factor)));
    a[i] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(q), _mm512_set1_ps(1.0f / 254.0f)));
    b[i] = _mm512_sub_epi32(q, _mm512_mullo_epi32(a[i], _mm512_set1_epi32(254)));
  }
  store_bytes(a, high, high_sums);
  store_bytes(b, low, low_sums);
}

} // namespace
} // namespace abyssal::cpu
