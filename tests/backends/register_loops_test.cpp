// The loops that ceilings are measured with multiply as often as they say.
#include "backends/cpu/ceilings.h"
#include "backends/cpu/device/isa.h"
#include "backends/cpu/register_loops.h"

#include <doctest/doctest.h>

using namespace abyssal::cpu;

namespace {

void check_loops(std::span<const RegisterLoop> loops) {
  int before = 0;
  for (const RegisterLoop &loop : loops) {
    INFO(loop.name);
    CHECK(loop.weight_bits > before);
    before = loop.weight_bits;
    for (const std::int64_t rounds : {0, 1, 7}) {
      // The most that the sums of 16 bits hold, and a negative activation.
      CHECK(loop.run(rounds, 127, 15) == rounds * loop.ops / 2 * 127 * 15);
      CHECK(loop.run(rounds, -128, 15) == rounds * loop.ops / 2 * -128 * 15);
    }
    if (loop.weight_bits >= 8)
      CHECK(loop.run(3, -127, 127) == 3 * loop.ops / 2 * -127 * 127);
  }
}

} // namespace

TEST_CASE("loops in registers make the products that they count") {
  if (detect_isa() >= Isa::kAvx2)
    check_loops(avx2_register_loops());
  if (has_avx_vnni())
    check_loops(avx_vnni_register_loops());
}

TEST_CASE("integer loops are measured where oneDNN's product of 8 bits is no ceiling") {
  const auto rates = measure_integer_loops(1);
  CHECK(rates.empty() == (detect_isa() >= Isa::kAvx512));
  for (const LoopRate &rate : rates)
    CHECK(rate.ops_per_second > 0);
}
