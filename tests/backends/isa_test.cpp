// Levels of instruction sets: what a processor has, and what ABYSSAL_ISA makes of it.
#include "backends/cpu/device/isa.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>

using namespace abyssal::cpu;

TEST_CASE("ABYSSAL_ISA caps the level, and AVX-VNNI is its own property") {
  CHECK(capped_isa(Isa::kAvx2, false, nullptr) == Isa::kAvx2);
  CHECK(capped_isa(Isa::kAvx2, true, nullptr) == Isa::kAvxVnni);
  CHECK(capped_isa(Isa::kAvx2, true, "avx2") == Isa::kAvx2);
  CHECK(capped_isa(Isa::kAvx2, false, "avx_vnni") == Isa::kAvx2);
  CHECK(capped_isa(Isa::kNone, false, "avx_vnni") == Isa::kNone);
  // With AVX-512 the level does not say whether there is AVX-VNNI.
  for (const bool avx_vnni : {false, true}) {
    CHECK(capped_isa(Isa::kAvx512Bf16, avx_vnni, nullptr) == Isa::kAvx512Bf16);
    CHECK(capped_isa(Isa::kAvx512Bf16, avx_vnni, "avx512") == Isa::kAvx512);
    CHECK(capped_isa(Isa::kAvx512Bf16, avx_vnni, "another") == Isa::kAvx512Bf16);
    CHECK(capped_isa(Isa::kAmxInt8, avx_vnni, "avx_vnni") == (avx_vnni ? Isa::kAvxVnni : Isa::kAvx2));
  }
}

TEST_CASE("AVX-VNNI is told where it is in use, and taken only where Linux names it") {
  CHECK(isa_text(Isa::kAvx2) == "avx2");
  CHECK(isa_text(Isa::kAvxVnni) == "avx2 avx_vnni");
  CHECK(isa_text(Isa::kAvx512Vnni) == "avx2 avx512 avx512_vnni");
  std::ifstream file("/proc/cpuinfo");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  CHECK((text.find("avx_vnni") != std::string::npos || !has_avx_vnni()));
  CHECK((detect_isa() != Isa::kAvxVnni || has_avx_vnni()));
  CHECK((detect_isa() != Isa::kAvx2 || !has_avx_vnni()));
}
