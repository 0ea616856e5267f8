// Sums of products of bytes with AVX-VNNI; included after lanes_avx2.h by files compiled for it.
#pragma once

namespace abyssal::cpu {
namespace {

struct ByteSums {
  __m256i a, b;
  static ByteSums start(std::int32_t init) {
    const __m256i v = _mm256_set1_epi32(init);
    return {v, v};
  }
  void dot(Quants w, const Spread &x) {
    a = _mm256_dpbusd_avx_epi32(a, w.a, x.v);
    b = _mm256_dpbusd_avx_epi32(b, w.b, x.v);
  }
  friend ByteSums operator+(ByteSums x, ByteSums y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
  Ints ints() const { return {a, b}; }
};

constexpr bool kSumsInPairs = false; // what a sum starts from: one of 32 bits
constexpr bool kLaneWords = false;   // all weights are multiplied as bytes

} // namespace
} // namespace abyssal::cpu
