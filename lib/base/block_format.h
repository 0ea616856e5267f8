// Exact conversion of the block formats of GGUF files to float32.
#pragma once

#include <abyssal/abyssal.h>

#include <cstdint>

namespace abyssal {

// out = elements [first, first + count) of an array of blocks, as float32: each operation of a format's definition
// rounded to float32, in its order. first and count are multiples of the block's elements. Blocks may start at any
// address. A type that is no block format gives NaN.
void dequantize(aby_dtype format, const void *blocks, std::int64_t first, std::int64_t count, float *out) noexcept;

// Most elements of a block of any format; every other format's divide it.
constexpr std::int64_t kMostBlockElements = 256;

} // namespace abyssal
