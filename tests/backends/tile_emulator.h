// The processor's matrix tiles without one: the interface of backends/cpu/packed/tiles_amx.h over plain arrays, which
// refuses what the processor would, or would answer with a fault.
#pragma once

#include "backends/cpu/packed/packed_kernels.h"

#include <cstdint>

namespace abyssal::test {

// Of the calling thread. Misuse throws std::logic_error.
namespace emulated {
void configure(const void *config);
void release();
bool configured(); // between the two
void zero(int tile);
void load(int tile, const void *from, std::int64_t stride);
void store(int tile, void *to, std::int64_t stride);
void dot(int sum, int a, int b);
} // namespace emulated

// The packed kernels of backends/cpu/packed/packed_amx.cpp with these tiles, over the lanes of an instruction set.
const cpu::PackedKernels &tiles_over_avx2();
const cpu::PackedKernels &tiles_over_avx512_vnni();
// Those of packed_avx_vnni.cpp, with their instruction written out.
const cpu::PackedKernels &avx_vnni_over_avx2();

} // namespace abyssal::test

namespace abyssal::cpu {
namespace { // like those of the processor

struct Tiles {
  static void configure(const void *config) { test::emulated::configure(config); }
  static void release() { test::emulated::release(); }
  template <int Tile> static void zero() { test::emulated::zero(Tile); }
  template <int Tile> static void load(const void *from, std::int64_t stride) {
    test::emulated::load(Tile, from, stride);
  }
  template <int Tile> static void store(void *to, std::int64_t stride) { test::emulated::store(Tile, to, stride); }
  template <int Sum, int A, int B> static void dot() { test::emulated::dot(Sum, A, B); }
};

} // namespace
} // namespace abyssal::cpu
