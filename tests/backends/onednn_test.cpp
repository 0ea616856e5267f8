// The products that the cpu backend leaves to oneDNN are served by its fast implementations.
#if ABYSSAL_TEST_CPU
#include "backends/cpu/device/isa.h"
#include "backends/cpu/device/matmul.h"
#include "base/dtype.h"
#include "base/status.h"

#include <doctest/doctest.h>

#include <vector>

using namespace abyssal;
using namespace abyssal::cpu;

namespace {

// "brg:avx512_core", "gemm:jit"; oneDNN's plain loops are "ref:any" and "ref_..".
void check_fast(Matmul &matmul, const MatmulShape &s) {
  INFO(dtype_name(s.dtype), " [", s.m, ", ", s.k, "] x [", s.k, ", ", s.n, "] ld ", s.ldx, " ", s.ldw, " ", s.ldo,
       s.transposed ? " transposed" : "");
  const std::string implementation = matmul.implementation(s);
  INFO(implementation);
  CHECK(implementation != "");
  CHECK(implementation.find("ref") == std::string::npos);
}

void check_tiles(aby_dtype dtype, const std::vector<bool> &forms) {
  const SingleOpenMpThread single;
  Matmul matmul;
  std::int64_t i = 0;
  for (std::int64_t m = kTileStep; m <= kTileRows; m += kTileStep) {
    for (const std::int64_t n : {1, 2, 7, 16, 31, 64, 100, 255, 256}) {
      for (const std::int64_t k : {1, 2, 15, 16, 63, 64, 192, 257, 576}) {
        for (const bool transposed : forms) {
          const std::int64_t pad = i++ % 3 * 8; // of the leading dimensions
          const std::int64_t w_cols = transposed ? k : n;
          check_fast(matmul, {m, n, k, k + pad, w_cols + pad / 2, n + pad, dtype, transposed});
        }
      }
    }
  }
}

} // namespace

TEST_CASE("oneDNN does not take its plain loops for f32 tiles") { check_tiles(ABY_DTYPE_F32, {true, false}); }

TEST_CASE("oneDNN does not take its plain loops for bf16 tiles") {
  if (detect_isa() >= Isa::kAvx512Bf16)
    check_tiles(ABY_DTYPE_BF16, {true, false});
}
#endif
