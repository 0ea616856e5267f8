// The kernels of AVX-VNNI with its instruction written out for AVX2, for any processor.
#include <immintrin.h>

namespace {

// sum += the products of four unsigned bytes with four signed ones, in each lane.
__m256i dot_product(__m256i sum, __m256i u, __m256i s) {
  for (int k = 0; k < 4; ++k) {
    const __m256i a = _mm256_and_si256(_mm256_srli_epi32(u, 8 * k), _mm256_set1_epi32(255));
    const __m256i b = _mm256_srai_epi32(_mm256_slli_epi32(s, 24 - 8 * k), 24);
    sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(a, b));
  }
  return sum;
}

} // namespace

#define _mm256_dpbusd_avx_epi32 dot_product
// clang-format off: the lanes come before the kernels that are written over them
#include "backends/cpu/packed/lanes_avx2.h"
#include "backends/cpu/packed/sums_avx_vnni.h"
#include "backends/cpu/packed/multiply_lanes.h"
#include "backends/cpu/packed/packed_bodies.h"
// clang-format on
#include "tile_emulator.h"

namespace abyssal::test {

const cpu::PackedKernels &avx_vnni_over_avx2() { return cpu::kPackedKernels; }

} // namespace abyssal::test
