// The block formats of GGUF files: quants, scales and their exact value as float32.
#pragma once

#include <abyssal/abyssal.h>

#include <cstdint>

namespace abyssal {

// Most elements of a block of any format; every other format's divide it.
constexpr std::int64_t kMostBlockElements = 256;

// A block taken apart: element i of group g = i / groups is scale[g] * quants[i], plus bias[g] in formats that have
// one. Products of two stored scales are exact in float32.
struct BlockQuants {
  std::int8_t quants[kMostBlockElements];
  float scale[16], bias[16];
};

struct BlockGroups {
  int size; // elements of a group: 16 or 32
  bool bias;
};
BlockGroups block_groups(aby_dtype format) noexcept;

// Takes one block of a block format apart. It may start at any address.
void read_block(aby_dtype format, const void *block, BlockQuants &out) noexcept;

// The steps that the quants of iq4_nl and iq4_xs are, and those of mxfp4: fp4 (e2m1), doubled.
constexpr std::int8_t kUnevenSteps[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr std::int8_t kFp4Steps[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// The 6-bit scale and minimum of sub-block s in the 12 bytes of q4_k and q5_k: the first four whole in bytes 0-3 and
// 4-7, the low halves of the others in bytes 8-11, their upper two bits above the first four.
struct SixBits {
  SixBits(const std::uint8_t *packed, int s) noexcept;
  std::uint8_t scale, least;
};

// out = elements [first, first + count) of an array of blocks, as float32: each operation of a format's definition
// rounded to float32, in its order. first and count are multiples of the block's elements. Blocks may start at any
// address. A type that is no block format gives NaN.
void dequantise(aby_dtype format, const void *blocks, std::int64_t first, std::int64_t count, float *out) noexcept;

} // namespace abyssal
