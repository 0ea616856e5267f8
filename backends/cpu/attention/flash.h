// Attention of one head over keys and values that come in chunks, with a running softmax: nothing of the size
// [queries, context] is ever kept.
#pragma once

#include "backends/cpu/dense/product.h"

namespace abyssal::cpu {

// Keys and values of this many tokens are made at a time; queries are taken in tiles.
constexpr std::int64_t kChunkTokens = 256;
constexpr std::int64_t kQueryTile = 128;

class Flash {
public:
  // In bfloat16, where the processor multiplies it, queries, keys, values and probabilities are rounded to it; sums and
  // the softmax stay in float32.
  Flash(CpuDevice &device, Worker &worker, std::int64_t queries, std::int64_t d_qk, std::int64_t d_v, bool bf16);

  // Query t, [d_qk]; all are given first. scale: of its scores.
  void query(std::int64_t t, const float *q, float scale);
  // Columns [first, first + count) of key j of the chunk, and its value [d_v].
  void key(std::int64_t j, std::int64_t first, std::int64_t count, const float *k) {
    store(k_, j * d_qk_ + first, k, count);
  }
  void value(std::int64_t j, const float *v) { store(v_, j * d_v_, v, d_v_); }

  // Takes a chunk of `count` tokens from position `first` on. Query t stands at position context + t and sees positions
  // up to its own.
  void chunk(std::int64_t first, std::int64_t count, std::int64_t context);

  // The result of query t: [d_v]
  const float *finish(std::int64_t t);

private:
  void store(void *to, std::int64_t place, const float *from, std::int64_t count);
  void clear(void *to, std::int64_t place, std::int64_t count);
  void tile(std::int64_t begin, std::int64_t count, std::int64_t first, std::int64_t tokens, std::int64_t context);
  void add_values(std::int64_t begin, std::int64_t count, std::int64_t tokens);
  const void *at(const void *array, std::int64_t place) const;

  CpuDevice &device_;
  Worker &worker_;
  std::int64_t queries_, d_qk_, d_v_;
  bool bf16_;
  void *q_, *k_, *v_;   // [queries, d_qk], [kChunkTokens, d_qk], [kChunkTokens, d_v], float or bf16
  float *scores_;       // [kQueryTile, kChunkTokens]
  void *weights_;       // the same, after the softmax: in place, or bf16
  float *part_;         // [kQueryTile, d_v]
  float *sum_;          // [queries, d_v]
  float *top_, *total_; // [queries]
};

} // namespace abyssal::cpu
