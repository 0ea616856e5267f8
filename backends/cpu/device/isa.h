// The instruction sets of the processor that this runs on.
#pragma once

#include <string>

namespace abyssal::cpu {

// Each level includes those before it; kAvx512Bf16 VBMI too.
enum class Isa { kNone, kAvx2, kAvx512, kAvx512Vnni, kAvx512Bf16, kAmxInt8 };

// The best level that the processor and the operating system offer, capped by the environment variable ABYSSAL_ISA
// (avx2, avx512, avx512_vnni, avx512_bf16, amx); other values of it are ignored. Where the best is kAmxInt8, Linux is
// asked to let the process use matrix tiles, once; if it refuses, the level is the one before.
Isa detect_isa();

// Such as "avx2 avx512 avx512_vnni avx512_bf16 amx_int8": the sets in use.
std::string isa_text(Isa isa);

// Such as "AMD EPYC 9354".
std::string processor_name();

} // namespace abyssal::cpu
