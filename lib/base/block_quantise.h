// Floats rounded to the two simplest block formats: q8_0 and q4_0, 32 elements that share a float16 scale.
#pragma once

#include <abyssal/abyssal.h>

#include <cstdint>

namespace abyssal {

// Elements of a block of either format.
constexpr std::int64_t kQuantBlock = 32;

// blocks = x[0, count) in a format, ABY_DTYPE_Q8_0 or ABY_DTYPE_Q4_0; count is a multiple of kQuantBlock. Each block is
// symmetrical about zero and rounded to its own scale, a float16: of eight, the one that loses least, as a sum of
// squares. q8_0: they make the largest magnitude 123 to 128 steps. q4_0: 7 to 9 steps, towards the side that has eight;
// the best scale is then fitted once to its quants by least squares, where that loses less. A block with a NaN or an
// infinity becomes NaN. blocks may start at any address.
void quantise_blocks(aby_dtype format, const float *x, std::int64_t count, void *blocks) noexcept;

} // namespace abyssal
