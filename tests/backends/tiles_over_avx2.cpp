// clang-format off: the lanes and tiles come before the kernels that are written over them
#include "backends/cpu/packed/lanes_avx2.h"
#include "backends/cpu/packed/sums_avx2.h"
#include "tile_emulator.h"
#include "backends/cpu/packed/multiply_tiles.h"
#include "backends/cpu/packed/packed_bodies.h"
// clang-format on

namespace abyssal::test {

const cpu::PackedKernels &tiles_over_avx2() { return cpu::kPackedKernels; }

} // namespace abyssal::test
