// What the machine can do at most, measured beside a benchmark in the same run.
#pragma once

#include <abyssal/abyssal.h>

#include <cstdint>
#include <vector>

namespace abyssal::cpu {

struct ReadRate {
  double bytes_per_second = 0;
  std::uint64_t bytes = 0; // that were read at a time
};

// A plain read of 2 GB by all threads, or of half of the memory that is free where that is less; the best of three. The
// memory has large pages where the system gives them, as packed weights have.
ReadRate measure_read_rate(unsigned threads);

// Operations per second of oneDNN's matmul [512, 2048] x [2048, 8192], all threads, a column block each; the best of
// three. F32, BF16 or I8 (u8 x s8); 0 where the processor has no fast form of it.
double measure_matmul_rate(unsigned threads, aby_dtype dtype);

// Operations per second of a loop in registers, all threads: see register_loops.h.
struct LoopRate {
  const char *name;
  int weight_bits;
  double ops_per_second;
};

// Of the integer loops that products with quantised weights are made of, by weight_bits; the best of three. None where
// the ceiling of such products is oneDNN's matmul of I8.
std::vector<LoopRate> measure_integer_loops(unsigned threads);

} // namespace abyssal::cpu
