// clang-format off: the lanes and tiles come before the kernels that are written over them
#include "backends/cpu/packed/lanes_avx512_vnni.h"
#include "backends/cpu/packed/tiles_amx.h"
#include "backends/cpu/packed/multiply_tiles.h"
#include "backends/cpu/packed/packed_bodies.h"
// clang-format on

namespace abyssal::cpu {

const PackedKernels &amx_packed_kernels() { return kPackedKernels; }

} // namespace abyssal::cpu
