#include "backends/cpu/register_loop_body.h"
#include "backends/cpu/register_loops.h"

namespace abyssal::cpu {

namespace {

constexpr int kSums = 12,
              kBytes = 32; // sums: more than the instruction's latency times two a cycle; bytes of a register

std::int32_t bytes(std::int64_t rounds, std::int8_t x, std::int8_t w) {
  const __m256i activations = _mm256_set1_epi8(x);
  __m256i weights = _mm256_set1_epi8(w);
  return run_rounds<kSums>(rounds, [&](__m256i sum) {
    renew(weights);
    return _mm256_dpbusd_avx_epi32(sum, weights, activations);
  });
}

std::int32_t sixteen_bits(std::int64_t rounds, std::int8_t x, std::int8_t w) {
  const __m256i activations = _mm256_set1_epi16(x);
  __m256i weights = _mm256_set1_epi16(w);
  return run_rounds<kSums>(rounds, [&](__m256i sum) {
    renew(weights);
    return _mm256_dpwssd_avx_epi32(sum, weights, activations);
  });
}

// Weights of 4 bits have no faster one.
constexpr RegisterLoop kLoops[] = {{"vpdpbusd", 8, 2 * kSums * kBytes, bytes},
                                   {"vpdpwssd", 16, 2 * kSums * kBytes / 2, sixteen_bits}};

} // namespace

std::span<const RegisterLoop> avx_vnni_register_loops() noexcept { return kLoops; }

} // namespace abyssal::cpu
