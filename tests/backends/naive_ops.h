// What the ops must compute, written straight from their definitions in float64, apart from any backend's code.
#pragma once

#include "op_fixture.h"

namespace abyssal::test {

// x W^T (+ bias), x: [rows, k]; with a BF16 weight compute type x is rounded first.
Values naive_linear(const Values &x, std::int64_t rows, const WeightData &w, std::int64_t matrix = 0,
                    const WeightData *bias = nullptr);
Values naive_norm(const Values &x, std::int64_t rows, const WeightData &weight, double epsilon); // weight absent: one
Values naive_swiglu(const Values &x, std::int64_t rows, const WeightData &gate, const WeightData &up,
                    const WeightData &down, std::int64_t matrix = 0);

// softmax over scores q . k_j * scale, mixing v_j; keys [count, d_k], values [count, d_v]
Values naive_attention(const Values &q, const Values &keys, const Values &values, std::int64_t count, double scale);

// The pairs (2i, 2i + 1), or (i, i + d / 2), of values[first, first + d) turned by rope [d / 2, 2].
void naive_rope_interleaved(Values &values, std::size_t first, const float *rope, std::size_t d);
void naive_rope_halves(Values &values, std::size_t first, const float *rope, std::size_t d);

} // namespace abyssal::test
