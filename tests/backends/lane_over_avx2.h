// The integer lanes of AVX-VNNI with its instruction written out for AVX2, for any processor.
#pragma once

#include "backends/cpu/attention/lane_kernels.h"

namespace abyssal::test {

const cpu::LaneKernels &avx_vnni_lanes_over_avx2();

} // namespace abyssal::test
