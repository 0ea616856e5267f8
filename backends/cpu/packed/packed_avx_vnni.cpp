// clang-format off: the lanes come before the kernels that are written over them
#include "backends/cpu/packed/lanes_avx2.h"
#include "backends/cpu/packed/sums_avx_vnni.h"
#include "backends/cpu/packed/multiply_lanes.h"
#include "backends/cpu/packed/packed_bodies.h"
// clang-format on

namespace abyssal::cpu {

const PackedKernels &avx_vnni_packed_kernels() { return kPackedKernels; }

} // namespace abyssal::cpu
