#include "backends/cpu/attention/flash.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace abyssal::cpu {

namespace {

constexpr std::int64_t kFewQueries = 4; // values are then added one by one, without a padded product

std::int64_t padded(std::int64_t tokens) noexcept { return (tokens + kTileStep - 1) / kTileStep * kTileStep; }

} // namespace

std::int64_t Flash::floats(std::int64_t queries, std::int64_t d_qk, std::int64_t d_v) noexcept {
  return queries * (d_qk + d_v + 2) + kChunkTokens * (d_qk + d_v) + kQueryTile * (kChunkTokens + d_v);
}

Flash::Flash(CpuDevice &device, Worker &worker, float *memory, std::int64_t queries, std::int64_t d_qk, std::int64_t d_v)
    : device_(device), worker_(worker), queries_(queries), d_qk_(d_qk), d_v_(d_v) {
  const auto take = [&](std::int64_t count) {
    float *at = memory;
    memory += count;
    return at;
  };
  k_ = take(kChunkTokens * d_qk);
  v_ = take(kChunkTokens * d_v);
  scores_ = take(kQueryTile * kChunkTokens);
  part_ = take(kQueryTile * d_v);
  q_ = take(queries * d_qk);
  sum_ = take(queries * d_v);
  top_ = take(queries);
  total_ = take(queries);
  std::fill_n(sum_, queries * d_v, 0.0f);
  std::fill_n(top_, queries, -std::numeric_limits<float>::infinity());
  std::fill_n(total_, queries, 0.0f);
}

void Flash::chunk(std::int64_t first, std::int64_t count, std::int64_t context, float scale) {
  const std::int64_t tokens = padded(count);
  std::fill_n(k_ + count * d_qk_, (tokens - count) * d_qk_, 0.0f);
  std::fill_n(v_ + count * d_v_, (tokens - count) * d_v_, 0.0f);
  if (first == 0) // the scale goes into the queries, once
    device_.kernels().scale(q_, scale, queries_ * d_qk_);
  for (std::int64_t begin = 0; begin < queries_; begin += kQueryTile) {
    const std::int64_t in_tile = std::min(kQueryTile, queries_ - begin);
    if (context + begin + in_tile - 1 >= first) // else fully masked
      tile(begin, in_tile, first, tokens, context);
  }
}

void Flash::tile(std::int64_t begin, std::int64_t count, std::int64_t first, std::int64_t tokens, std::int64_t context) {
  const Kernels &kernels = device_.kernels();
  const MatrixView keys{k_, ABY_DTYPE_F32, tokens, d_qk_};
  Operand q;
  q.f32 = q_ + begin * d_qk_;
  q.rows = count;
  q.k = q.ld = d_qk_;
  product(device_, worker_, keys, 0, tokens, q, scores_, kChunkTokens);
  for (std::int64_t i = 0; i < count; ++i) {
    float *row = scores_ + i * kChunkTokens;
    const std::int64_t t = begin + i;
    // Padding is behind every position that a query can see.
    const std::int64_t seen = std::clamp<std::int64_t>(context + t + 1 - first, 0, tokens);
    std::fill_n(row + seen, tokens - seen, 0.0f);
    if (seen == 0)
      continue;
    const float top = std::max(top_[t], kernels.max(row, seen));
    const float correction = std::exp(top_[t] - top); // 0 at the first chunk
    top_[t] = top;
    total_[t] = total_[t] * correction + kernels.exp_sum(row, top, seen);
    kernels.scale(sum_ + t * d_v_, correction, d_v_);
  }
  add_values(begin, count, tokens);
}

// sum += scores values
void Flash::add_values(std::int64_t begin, std::int64_t count, std::int64_t tokens) {
  const Kernels &kernels = device_.kernels();
  float *sum = sum_ + begin * d_v_;
  if (count <= kFewQueries) {
    for (std::int64_t j = 0; j < tokens; ++j) {
      for (std::int64_t i = 0; i < count; ++i)
        kernels.axpy(sum + i * d_v_, scores_[i * kChunkTokens + j], v_ + j * d_v_, d_v_);
    }
    return;
  }
  const std::int64_t rows = padded(count);
  std::fill_n(scores_ + count * kChunkTokens, (rows - count) * kChunkTokens, 0.0f);
  const MatmulShape shape{rows, d_v_, tokens, kChunkTokens, d_v_, d_v_, ABY_DTYPE_F32, false};
  worker_.matmul.run(shape, scores_, v_, part_);
  kernels.add(sum, part_, count * d_v_);
}

const float *Flash::finish(std::int64_t t) {
  device_.kernels().scale(sum_ + t * d_v_, 1.0f / total_[t], d_v_);
  return sum_ + t * d_v_;
}

} // namespace abyssal::cpu
