// Sixteen lanes in one register. Included only by files compiled for AVX-512 F, BW, VL and DQ.
#pragma once

#include <cstdint>
#include <cstring>
#include <immintrin.h>

namespace abyssal::cpu {
namespace { // each instruction set's file has its own

constexpr std::int64_t kScoreRows = 16; // rows of keys whose scores are made at a time
constexpr std::int64_t kValueLanes = 8; // lanes whose values are summed at a time,
constexpr std::int64_t kValueTiles = 2; // and sixteens of their columns

struct Floats {
  __m512 v;
  static Floats zero() { return {_mm512_setzero_ps()}; }
  static Floats all(float x) { return {_mm512_set1_ps(x)}; }
  static Floats load(const float *p) { return {_mm512_loadu_ps(p)}; }
  void store(float *p) const { _mm512_storeu_ps(p, v); }
  friend Floats operator+(Floats x, Floats y) { return {_mm512_add_ps(x.v, y.v)}; }
  friend Floats operator-(Floats x, Floats y) { return {_mm512_sub_ps(x.v, y.v)}; }
  friend Floats operator*(Floats x, Floats y) { return {_mm512_mul_ps(x.v, y.v)}; }
  friend Floats operator/(Floats x, Floats y) { return {_mm512_div_ps(x.v, y.v)}; }
  static Floats fma(Floats x, Floats y, Floats z) { return {_mm512_fmadd_ps(x.v, y.v, z.v)}; }
  // y where x is not a number
  static Floats max(Floats x, Floats y) { return {_mm512_max_ps(x.v, y.v)}; }
  static Floats round(Floats x) { return {_mm512_roundscale_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
  // x where y >= z, else 0
  static Floats where_at_least(Floats y, Floats z, Floats x) {
    return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(y.v, z.v, _CMP_GE_OQ), x.v)};
  }
  // x * 2^n for whole n from -126 to 0; any n where x is 0
  static Floats times_power(Floats x, Floats n) {
    const __m512i power = _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127)), 23);
    return {_mm512_mul_ps(x.v, _mm512_castsi512_ps(power))};
  }
};

// Which lanes see a row: those whose number of rows is above it.
struct Seen {
  __m512i v;
  static Seen load(const std::int32_t *rows) { return {_mm512_loadu_si512(rows)}; }
  // x in lanes that see row t, else y
  Floats select(std::int64_t t, Floats x, Floats y) const {
    return {_mm512_mask_mov_ps(y.v, _mm512_cmpgt_epi32_mask(v, _mm512_set1_epi32(static_cast<std::int32_t>(t))), x.v)};
  }
};

// Two integers of 16 bits in each lane; one pair for all lanes.
struct Pairs {
  __m512i v;
  static Pairs load(const void *p) { return {_mm512_loadu_si512(p)}; }
  // even and odd, rounded to the nearest
  static Pairs rounded(Floats even, Floats odd) {
    return {_mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_cvtps_epi32(even.v),
                                    _mm512_slli_epi32(_mm512_cvtps_epi32(odd.v), 16))};
  }
  void store(void *p) const { _mm512_storeu_si512(p, v); }
};
struct Pair {
  explicit Pair(const void *p) {
    std::int32_t two;
    std::memcpy(&two, p, sizeof two);
    v = _mm512_set1_epi32(two);
  }
  __m512i v;
};

struct Sums {
  __m512i v;
  static Sums zero() { return {_mm512_setzero_si512()}; }
  void add_products(Pairs x, Pair y) {
#ifdef __AVX512VNNI__
    v = _mm512_dpwssd_epi32(v, x.v, y.v);
#else
    v = _mm512_add_epi32(v, _mm512_madd_epi16(x.v, y.v));
#endif
  }
  Floats floats() const { return {_mm512_cvtepi32_ps(v)}; }
};

} // namespace
} // namespace abyssal::cpu
