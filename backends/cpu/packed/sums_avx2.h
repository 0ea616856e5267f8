// Sums of products of bytes without a dot product instruction; included after lanes_avx2.h.
#pragma once

namespace abyssal::cpu {
namespace {

// Weights of 16 steps times bytes, two sums of 16 bits a lane. A group of 32 columns fits: a half has 16 products of at
// most 15 * 128, and with the zero that it starts from, at the end, of 8 * 128. On the way a sum may wrap around.
// Weights of more steps are multiplied as words.
struct ByteSums {
  __m256i a, b;
  static ByteSums start(std::int32_t init) {
    const __m256i v = _mm256_set1_epi32(init);
    return {v, v};
  }
  void dot(Quants w, const Spread &x) {
    a = _mm256_add_epi16(a, _mm256_maddubs_epi16(w.a, x.v));
    b = _mm256_add_epi16(b, _mm256_maddubs_epi16(w.b, x.v));
  }
  friend ByteSums operator+(ByteSums x, ByteSums y) { return {_mm256_add_epi16(x.a, y.a), _mm256_add_epi16(x.b, y.b)}; }
  Ints ints() const {
    const __m256i ones = _mm256_set1_epi16(1);
    return {_mm256_madd_epi16(a, ones), _mm256_madd_epi16(b, ones)};
  }
};

constexpr bool kSumsInPairs = true; // what a sum starts from: two of 16 bits
constexpr bool kLaneWords = true;   // weights of more than 16 steps are multiplied as words

} // namespace
} // namespace abyssal::cpu
