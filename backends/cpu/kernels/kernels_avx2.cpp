// clang-format off: the vector comes before the kernels that are written over it
#include "backends/cpu/kernels/vector_avx2.h"
#include "backends/cpu/kernels/kernel_bodies.h"
// clang-format on

namespace abyssal::cpu {

const Kernels &avx2_kernels() { return kKernels; }

} // namespace abyssal::cpu
