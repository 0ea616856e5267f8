#include "backends/cpu/device/isa.h"

#include <algorithm>
#include <cpuid.h>
#include <cstdlib>
#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace abyssal::cpu {

namespace {

// __builtin_cpu_supports also asks the operating system whether it keeps the registers.
Isa hardware_isa() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c"))
    return Isa::kNone;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
    return Isa::kAvx2;
  if (!__builtin_cpu_supports("avx512vnni"))
    return Isa::kAvx512;
  // Every processor with bf16 products has VBMI too, but for one series, which counts as without both.
  if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512vbmi"))
    return Isa::kAvx512Vnni;
  return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-int8") ? Isa::kAmxInt8 : Isa::kAvx512Bf16;
}

// Only for processors that have AVX2, whose registers the operating system then keeps.
bool hardware_avx_vnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return hardware_isa() >= Isa::kAvx2 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1) != 0;
}

Isa asked_isa(const char *name) {
  constexpr std::pair<const char *, Isa> kNames[] = {{"avx2", Isa::kAvx2},
                                                     {"avx_vnni", Isa::kAvxVnni},
                                                     {"avx512", Isa::kAvx512},
                                                     {"avx512_vnni", Isa::kAvx512Vnni},
                                                     {"avx512_bf16", Isa::kAvx512Bf16}};
  for (const auto &[known, isa] : kNames) {
    if (name != nullptr && std::strcmp(name, known) == 0)
      return isa;
  }
  return Isa::kAmxInt8;
}

// Linux keeps the 8 KiB of tile data only for processes that ask, and ends one that uses them unasked. Asking fails on
// a system that is too old, that forbids it, or where a thread's signal stack has no room for them.
bool tiles_allowed() {
  constexpr int kRequest = 0x1023, kTileData = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool allowed = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return allowed;
}

} // namespace

Isa capped_isa(Isa hardware, bool avx_vnni, const char *asked) {
  if (hardware == Isa::kAvx2 && avx_vnni)
    hardware = Isa::kAvxVnni;
  const Isa isa = std::min(hardware, asked_isa(asked));
  return isa == Isa::kAvxVnni && !avx_vnni ? Isa::kAvx2 : isa;
}

Isa detect_isa() {
  const Isa isa = capped_isa(hardware_isa(), hardware_avx_vnni(), std::getenv("ABYSSAL_ISA"));
  return isa == Isa::kAmxInt8 && !tiles_allowed() ? Isa::kAvx512Bf16 : isa;
}

bool has_avx_vnni() { return detect_isa() >= Isa::kAvxVnni && hardware_avx_vnni(); }

std::string isa_text(Isa isa) {
  std::string text;
  if (isa >= Isa::kAvx2)
    text += "avx2";
  if (isa == Isa::kAvxVnni)
    text += " avx_vnni";
  if (isa >= Isa::kAvx512)
    text += " avx512";
  if (isa >= Isa::kAvx512Vnni)
    text += " avx512_vnni";
  if (isa >= Isa::kAvx512Bf16)
    text += " avx512_bf16";
  if (isa >= Isa::kAmxInt8)
    text += " amx_int8";
  return text;
}

std::string processor_name() {
  unsigned words[12] = {};
  for (unsigned i = 0; i < 3; ++i) {
    unsigned *at = words + 4 * i;
    if (__get_cpuid(0x80000002u + i, at, at + 1, at + 2, at + 3) == 0)
      return "x86-64";
  }
  char text[sizeof words + 1] = {};
  std::memcpy(text, words, sizeof words);
  std::string name = text;
  name.erase(0, name.find_first_not_of(' '));
  name.erase(name.find_last_not_of(' ') + 1);
  return name;
}

} // namespace abyssal::cpu
