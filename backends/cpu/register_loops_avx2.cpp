#include "backends/cpu/register_loop_body.h"
#include "backends/cpu/register_loops.h"

namespace abyssal::cpu {

namespace {

constexpr int kSums = 6, kBytes = 32; // bytes of a register
constexpr int kSummed = 8;            // products of bytes that 16 bits hold where weights have 4

// Weights of 8 bits: pairs in 16 bits, and at once fours in 32.
std::int32_t eight_bits(std::int64_t rounds, std::int8_t x, std::int8_t w) {
  const __m256i activations = _mm256_set1_epi8(x), ones = _mm256_set1_epi16(1);
  __m256i weights = _mm256_set1_epi8(w);
  return run_rounds<kSums>(rounds, [&](__m256i sum) {
    renew(weights);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(weights, activations), ones));
  });
}

// Weights of 4 bits: 8 pairs of at most 2 * 15 * 127 are added in 16 bits first.
std::int32_t four_bits(std::int64_t rounds, std::int8_t x, std::int8_t w) {
  const __m256i activations = _mm256_set1_epi8(x), ones = _mm256_set1_epi16(1);
  __m256i weights = _mm256_set1_epi8(w);
  return run_rounds<kSums>(rounds, [&](__m256i sum) {
    renew(weights);
    __m256i pairs = _mm256_maddubs_epi16(weights, activations);
#pragma GCC unroll 8
    for (int i = 1; i < kSummed; ++i) {
      renew(weights);
      pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(weights, activations));
    }
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
  });
}

std::int32_t sixteen_bits(std::int64_t rounds, std::int8_t x, std::int8_t w) {
  const __m256i activations = _mm256_set1_epi16(x);
  __m256i weights = _mm256_set1_epi16(w);
  return run_rounds<kSums>(rounds, [&](__m256i sum) {
    renew(weights);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(weights, activations));
  });
}

constexpr RegisterLoop kLoops[] = {{"8 vpmaddubsw, vpmaddwd", 4, 2 * kSums * kSummed * kBytes, four_bits},
                                   {"vpmaddubsw, vpmaddwd", 8, 2 * kSums * kBytes, eight_bits},
                                   {"vpmaddwd", 16, 2 * kSums * kBytes / 2, sixteen_bits}};

} // namespace

std::span<const RegisterLoop> avx2_register_loops() noexcept { return kLoops; }

} // namespace abyssal::cpu
