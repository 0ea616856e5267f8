// Products of packed weights as backends/cpu/packed defines them, bit for bit, without its kernels.
#pragma once

#include "op_fixture.h"

namespace abyssal::test {

constexpr std::int64_t kActivationGroup = 32;

// x [rows, k] times the first matrix of w, a block format whose compute is I8 or I16; [rows, n].
Values packed_linear(const Values &x, std::int64_t rows, const WeightData &w);

} // namespace abyssal::test
