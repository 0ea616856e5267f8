// The instruction sets of the processor that this runs on.
#pragma once

#include <string>

namespace abyssal::cpu {

// Each level includes those before it; the last one VBMI too.
enum class Isa { kNone, kAvx2, kAvx512, kAvx512Vnni, kAvx512Bf16 };

// The best level that the processor and the operating system offer, capped by the environment variable ABYSSAL_ISA
// (avx2, avx512, avx512_vnni, avx512_bf16); other values of it are ignored.
Isa detect_isa();

// Such as "avx2 avx512 avx512_vnni avx512_bf16": the sets in use.
std::string isa_text(Isa isa);

// Such as "AMD EPYC 9354".
std::string processor_name();

} // namespace abyssal::cpu
