// What the machine can do at most, measured beside a benchmark in the same run.
#pragma once

#include <abyssal/abyssal.h>

namespace abyssal::cpu {

// Bytes per second of a plain read of 1 GB by all threads; the best of three.
double measure_read_bandwidth(unsigned threads);

// Operations per second of oneDNN's matmul [512, 2048] x [2048, 8192], all threads, a column block each; the best of
// three. F32, BF16 or I8 (u8 x s8); 0 where the processor has no fast form of it.
double measure_matmul_rate(unsigned threads, aby_dtype dtype);

} // namespace abyssal::cpu
