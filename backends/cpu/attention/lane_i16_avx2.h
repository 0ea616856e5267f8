// Sixteen lanes in two registers. Included only by files compiled for AVX2 and FMA.
#pragma once

#include <cstdint>
#include <cstring>
#include <immintrin.h>

namespace abyssal::cpu {
namespace { // each instruction set's file has its own

constexpr std::int64_t kScoreRows = 4;  // rows of keys whose scores are made at a time
constexpr std::int64_t kValueLanes = 4; // lanes whose values are summed at a time,
constexpr std::int64_t kValueTiles = 1; // and sixteens of their columns

struct Floats {
  __m256 a, b;
  static Floats zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Floats all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Floats load(const float *p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  void store(float *p) const {
    _mm256_storeu_ps(p, a);
    _mm256_storeu_ps(p + 8, b);
  }
  friend Floats operator+(Floats x, Floats y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
  friend Floats operator-(Floats x, Floats y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
  friend Floats operator*(Floats x, Floats y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
  friend Floats operator/(Floats x, Floats y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
  static Floats fma(Floats x, Floats y, Floats z) {
    return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
  }
  // y where x is not a number
  static Floats max(Floats x, Floats y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
  static Floats round(Floats x) {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_round_ps(x.a, kNearest), _mm256_round_ps(x.b, kNearest)};
  }
  // x where y >= z, else 0
  static Floats where_at_least(Floats y, Floats z, Floats x) {
    return {_mm256_and_ps(_mm256_cmp_ps(y.a, z.a, _CMP_GE_OQ), x.a),
            _mm256_and_ps(_mm256_cmp_ps(y.b, z.b, _CMP_GE_OQ), x.b)};
  }
  // x * 2^n for whole n from -126 to 0; any n where x is 0
  static Floats times_power(Floats x, Floats n) { return {times_power(x.a, n.a), times_power(x.b, n.b)}; }

private:
  static __m256 times_power(__m256 x, __m256 n) {
    const __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(x, _mm256_castsi256_ps(power));
  }
};

// Which lanes see a row: those whose number of rows is above it.
struct Seen {
  __m256i a, b;
  static Seen load(const std::int32_t *rows) {
    const auto *at = reinterpret_cast<const __m256i *>(rows);
    return {_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
  }
  // x in lanes that see row t, else y
  Floats select(std::int64_t t, Floats x, Floats y) const {
    const __m256i row = _mm256_set1_epi32(static_cast<std::int32_t>(t));
    return {_mm256_blendv_ps(y.a, x.a, _mm256_castsi256_ps(_mm256_cmpgt_epi32(a, row))),
            _mm256_blendv_ps(y.b, x.b, _mm256_castsi256_ps(_mm256_cmpgt_epi32(b, row)))};
  }
};

// Two integers of 16 bits in each lane; one pair for all lanes.
struct Pairs {
  __m256i a, b;
  static Pairs load(const void *p) {
    const auto *at = static_cast<const __m256i *>(p);
    __m256i a = _mm256_loadu_si256(at), b = _mm256_loadu_si256(at + 1);
    asm("" : "+x"(a), "+x"(b)); // used several times: not to be read from memory again
    return {a, b};
  }
  // even and odd, rounded to the nearest
  static Pairs rounded(Floats even, Floats odd) { return {rounded(even.a, odd.a), rounded(even.b, odd.b)}; }
  void store(void *p) const {
    auto *at = static_cast<__m256i *>(p);
    _mm256_storeu_si256(at, a);
    _mm256_storeu_si256(at + 1, b);
  }

private:
  static __m256i rounded(__m256 even, __m256 odd) {
    return _mm256_blend_epi16(_mm256_cvtps_epi32(even), _mm256_slli_epi32(_mm256_cvtps_epi32(odd), 16), 0xaa);
  }
};
struct Pair {
  explicit Pair(const void *p) {
    std::int32_t two;
    std::memcpy(&two, p, sizeof two);
    v = _mm256_set1_epi32(two);
  }
  __m256i v;
};

struct Sums {
  __m256i a, b;
  static Sums zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  void add_products(Pairs x, Pair y) {
    a = plus_products(a, x.a, y.v);
    b = plus_products(b, x.b, y.v);
  }
  Floats floats() const { return {_mm256_cvtepi32_ps(a), _mm256_cvtepi32_ps(b)}; }

private:
  static __m256i plus_products(__m256i sum, __m256i x, __m256i y) {
#ifdef __AVXVNNI__
    return _mm256_dpwssd_avx_epi32(sum, x, y);
#else
    // As an instruction, so that no compiler moves the sum to another register and back.
    const __m256i products = _mm256_madd_epi16(x, y);
    asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(products));
    return sum;
#endif
  }
};

} // namespace
} // namespace abyssal::cpu
