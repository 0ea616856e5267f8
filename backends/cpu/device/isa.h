// The instruction sets of the processor that this runs on.
#pragma once

#include <string>

namespace abyssal::cpu {

// Each level includes those before it, and kAvx512Bf16 VBMI too. Only some processors with AVX-512 have AVX-VNNI: there
// has_avx_vnni says whether it can be used.
enum class Isa { kNone, kAvx2, kAvxVnni, kAvx512, kAvx512Vnni, kAvx512Bf16, kAmxInt8 };

// The best level that the processor and the operating system offer, capped by the environment variable ABYSSAL_ISA
// (avx2, avx_vnni, avx512, avx512_vnni, avx512_bf16, amx); other values of it are ignored. Where the best is kAmxInt8,
// Linux is asked to let the process use matrix tiles, once; if it refuses, the level is the one before.
Isa detect_isa();

// Whether the 256-bit dot products of AVX-VNNI are there, and detect_isa is not capped below them.
bool has_avx_vnni();

// What detect_isa makes of a processor's best level, whether it has AVX-VNNI, and the variable; null where it is unset.
Isa capped_isa(Isa hardware, bool avx_vnni, const char *asked);

// Such as "avx2 avx512 avx512_vnni avx512_bf16 amx_int8", or "avx2 avx_vnni": the sets in use. With AVX-512, AVX-VNNI
// is not.
std::string isa_text(Isa isa);

// Such as "AMD EPYC 9354".
std::string processor_name();

} // namespace abyssal::cpu
