// The kernels of kernels.h for processors with AVX-512 VBMI, where tables in registers widen fp8.
#pragma once

#include "backends/cpu/kernels/kernels.h"

namespace abyssal::cpu {

const Kernels &avx512_vbmi_kernels();

// The best kernels of a level.
inline const Kernels &best_kernels_for(Isa isa) {
  return isa >= Isa::kAvx512Bf16 ? avx512_vbmi_kernels() : kernels_for(isa);
}

} // namespace abyssal::cpu
