// clang-format off: the lanes come before the kernels that are written over them
#include "backends/cpu/attention/lane_i16_avx2.h"
#include "backends/cpu/attention/lane_i16_bodies.h"
// clang-format on

namespace abyssal::cpu {

const LaneKernels &avx2_lane_kernels() { return kLaneKernels; }

} // namespace abyssal::cpu
