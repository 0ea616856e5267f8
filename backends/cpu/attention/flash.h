// Attention of one head over keys and values that come in chunks, with a running softmax: nothing of the size
// [queries, context] is ever kept.
#pragma once

#include "backends/cpu/dense/product.h"

namespace abyssal::cpu {

// Keys and values of this many tokens are made at a time; queries are taken in tiles.
constexpr std::int64_t kChunkTokens = 256;
constexpr std::int64_t kQueryTile = 64;

class Flash {
public:
  // Floats of memory for `queries` rows.
  static std::int64_t floats(std::int64_t queries, std::int64_t d_qk, std::int64_t d_v) noexcept;

  Flash(CpuDevice &device, Worker &worker, float *memory, std::int64_t queries, std::int64_t d_qk, std::int64_t d_v);

  float *queries() noexcept { return q_; }      // [queries, d_qk], to be filled first
  float *keys() noexcept { return k_; }         // [kChunkTokens, d_qk], to be filled for each chunk
  float *values() noexcept { return v_; }       // [kChunkTokens, d_v]

  // Takes a chunk of `count` tokens from position `first` on. Query t stands at position context + t and sees positions
  // up to its own. Rows of keys and values behind count are cleared here.
  void chunk(std::int64_t first, std::int64_t count, std::int64_t context, float scale);

  // The result of query t: [d_v]
  const float *finish(std::int64_t t);

private:
  void tile(std::int64_t begin, std::int64_t count, std::int64_t first, std::int64_t tokens, std::int64_t context);
  void add_values(std::int64_t begin, std::int64_t count, std::int64_t tokens);

  CpuDevice &device_;
  Worker &worker_;
  std::int64_t queries_, d_qk_, d_v_;
  float *q_, *k_, *v_, *scores_, *part_, *sum_, *top_, *total_;
};

} // namespace abyssal::cpu
