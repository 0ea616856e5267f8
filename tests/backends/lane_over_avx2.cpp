#include <immintrin.h>

namespace {

// sum += the products of two signed words, in each lane.
__m256i word_products(__m256i sum, __m256i a, __m256i b) {
  const __m256i low = _mm256_mullo_epi32(_mm256_srai_epi32(_mm256_slli_epi32(a, 16), 16),
                                         _mm256_srai_epi32(_mm256_slli_epi32(b, 16), 16));
  const __m256i high = _mm256_mullo_epi32(_mm256_srai_epi32(a, 16), _mm256_srai_epi32(b, 16));
  return _mm256_add_epi32(sum, _mm256_add_epi32(low, high));
}

} // namespace

#define __AVXVNNI__ 1
#define _mm256_dpwssd_avx_epi32 word_products
// clang-format off: the lanes come before the kernels that are written over them
#include "backends/cpu/attention/lane_i16_avx2.h"
#include "backends/cpu/attention/lane_i16_bodies.h"
// clang-format on
#include "lane_over_avx2.h"

namespace abyssal::test {

const cpu::LaneKernels &avx_vnni_lanes_over_avx2() { return cpu::kLaneKernels; }

} // namespace abyssal::test
