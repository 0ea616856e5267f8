// The processor's matrix tiles: eight of at most 16 rows of 64 bytes. Written as instructions, because the compiler's
// own functions take no template's tile number, and GCC 12's do not say which memory they read.
#pragma once

#include <cstdint>

namespace abyssal::cpu {
namespace { // like the lanes

struct Tiles {
  // config: 64 bytes. All tiles become zero.
  static void configure(const void *config) { asm volatile("ldtilecfg (%0)" : : "r"(config) : "memory"); }
  // Back to the state of a thread that never used tiles.
  static void release() { asm volatile("tilerelease" : : : "memory"); }
  template <int Tile> static void zero() { asm volatile("tilezero %%tmm%c0" : : "i"(Tile)); }
  // stride: bytes between rows in memory.
  template <int Tile> static void load(const void *from, std::int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(Tile) : "memory");
  }
  template <int Tile> static void store(void *to, std::int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(Tile) : "memory");
  }
  // Sum[m][n] += the products of row m of A with column n of B, both signed bytes; row i of B holds four consecutive
  // k of all columns.
  template <int Sum, int A, int B> static void dot() {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sum), "i"(A), "i"(B));
  }
};

} // namespace
} // namespace abyssal::cpu
