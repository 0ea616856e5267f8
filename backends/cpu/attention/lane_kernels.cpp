#include "backends/cpu/attention/lane_kernels.h"

namespace abyssal::cpu {

const LaneKernels &lane_kernels_for(Isa isa) {
  if (isa >= Isa::kAvx512Bf16)
    return avx512_bf16_lane_kernels();
  if (isa >= Isa::kAvx512Vnni)
    return avx512_vnni_lane_kernels();
  if (isa >= Isa::kAvx512)
    return avx512_lane_kernels();
  return isa >= Isa::kAvxVnni ? avx_vnni_lane_kernels() : avx2_lane_kernels();
}

} // namespace abyssal::cpu
