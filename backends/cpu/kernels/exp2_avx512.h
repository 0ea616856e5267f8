// 2^x of sixteen floats. Included only by files that are compiled for AVX-512 F and DQ.
#pragma once

#include <immintrin.h>

namespace abyssal::cpu {
namespace { // each instruction set's file has its own

// 2^x for x <= 0; 0 below -126, and of what is not a number. A polynomial on [-1/2, 1/2], relative error about 2e-7.
inline __m512 exp2_of(__m512 x) {
  const __mmask16 normal = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-126.0f), _CMP_GE_OQ);
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = _mm512_sub_ps(x, n);
  __m512 p = _mm512_set1_ps(1.54035304e-4f);
  for (const float c : {1.33335581e-3f, 9.61812911e-3f, 5.55041087e-2f, 2.40226507e-1f, 6.93147181e-1f, 1.0f})
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
  return _mm512_maskz_scalef_ps(normal, p, n);
}

} // namespace
} // namespace abyssal::cpu
