// Loops of integer products that stay in registers: what kernels of packed weights cannot be faster than. They stand in
// for a matrix product where oneDNN's of 8 bits is not made of the processor's best instructions.
#pragma once

#include <cstdint>
#include <span>

namespace abyssal::cpu {

struct RegisterLoop {
  const char *name; // of its instructions
  int weight_bits;  // of the weights that kernels can multiply so: 4, 8 or 16
  std::int64_t ops; // of a round: two for each product and its addition
  // Adds products of x and w for so many rounds and gives the sum of all of them, in the arithmetic of 32 bits. x is at
  // most 127, w 15 where weights have 4 bits.
  std::int32_t (*run)(std::int64_t rounds, std::int8_t x, std::int8_t w);
};

// Only to be run where there is AVX2, or AVX-VNNI.
std::span<const RegisterLoop> avx2_register_loops() noexcept;
std::span<const RegisterLoop> avx_vnni_register_loops() noexcept;

} // namespace abyssal::cpu
