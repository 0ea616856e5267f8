#include "backends/cpu/attention/flash.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace abyssal::cpu {

namespace {

constexpr std::int64_t kSeenStep = 64;  // few shapes of products: each is made for its own
constexpr std::int64_t kFewQueries = 4; // values are then added one by one, without a padded product

std::int64_t padded(std::int64_t tokens) noexcept { return (tokens + kTileStep - 1) / kTileStep * kTileStep; }

} // namespace

Flash::Flash(CpuDevice &device, Worker &worker, std::int64_t queries, std::int64_t d_qk, std::int64_t d_v, bool bf16)
    : device_(device), worker_(worker), queries_(queries), d_qk_(d_qk), d_v_(d_v), bf16_(bf16) {
  // The last tile of queries is read in whole steps of rows.
  const std::int64_t rows = padded(queries);
  float *memory = worker.attention.take<float>(rows * (d_qk + d_v + 2) + kChunkTokens * (d_qk + d_v) +
                                               kQueryTile * (2 * kChunkTokens + d_v));
  const auto take = [&](std::int64_t count) {
    float *at = memory;
    memory += count;
    return at;
  };
  k_ = take(kChunkTokens * d_qk);
  v_ = take(kChunkTokens * d_v);
  scores_ = take(kQueryTile * kChunkTokens);
  weights_ = bf16 ? take(kQueryTile * kChunkTokens) : scores_;
  part_ = take(kQueryTile * d_v);
  q_ = take(rows * d_qk);
  sum_ = take(rows * d_v);
  top_ = take(rows);
  total_ = take(rows);
  clear(q_, queries * d_qk, (rows - queries) * d_qk);
  std::fill_n(sum_, queries * d_v, 0.0f);
  std::fill_n(top_, queries, -std::numeric_limits<float>::infinity());
  std::fill_n(total_, queries, 0.0f);
}

void Flash::store(void *to, std::int64_t place, const float *from, std::int64_t count) {
  if (bf16_)
    device_.kernels().f32_to_bf16(from, static_cast<std::uint16_t *>(to) + place, count);
  else
    std::copy_n(from, count, static_cast<float *>(to) + place);
}

void Flash::clear(void *to, std::int64_t place, std::int64_t count) {
  const std::size_t size = bf16_ ? sizeof(std::uint16_t) : sizeof(float);
  std::memset(static_cast<std::byte *>(to) + static_cast<std::size_t>(place) * size, 0,
              static_cast<std::size_t>(count) * size);
}

const void *Flash::at(const void *array, std::int64_t place) const {
  const std::size_t size = bf16_ ? sizeof(std::uint16_t) : sizeof(float);
  return static_cast<const std::byte *>(array) + static_cast<std::size_t>(place) * size;
}

void Flash::query(std::int64_t t, const float *q, float scale) {
  float *scaled = part_; // free until the first tile
  for (std::int64_t i = 0; i < d_qk_; i += kQueryTile * d_v_) {
    const std::int64_t count = std::min(kQueryTile * d_v_, d_qk_ - i);
    std::copy_n(q + i, count, scaled);
    device_.kernels().scale(scaled, scale, count);
    store(q_, t * d_qk_ + i, scaled, count);
  }
}

void Flash::chunk(std::int64_t first, std::int64_t count, std::int64_t context) {
  const std::int64_t tokens = padded(count);
  clear(k_, count * d_qk_, (tokens - count) * d_qk_);
  clear(v_, count * d_v_, (tokens - count) * d_v_);
  for (std::int64_t begin = 0; begin < queries_; begin += kQueryTile) {
    const std::int64_t in_tile = std::min(kQueryTile, queries_ - begin);
    const std::int64_t seen = context + begin + in_tile - first; // by the last query
    if (seen > 0)
      tile(begin, in_tile, first, std::min(tokens, (seen + kSeenStep - 1) / kSeenStep * kSeenStep), context);
  }
}

void Flash::tile(std::int64_t begin, std::int64_t count, std::int64_t first, std::int64_t tokens,
                 std::int64_t context) {
  const Kernels &kernels = device_.kernels();
  if (bf16_) {
    const MatmulShape shape{padded(count), tokens, d_qk_, d_qk_, d_qk_, kChunkTokens, ABY_DTYPE_BF16, true};
    worker_.matmul.run(shape, at(q_, begin * d_qk_), k_, scores_);
  } else {
    const MatrixView keys{k_, ABY_DTYPE_F32, tokens, d_qk_};
    Operand q;
    q.f32 = static_cast<const float *>(at(q_, begin * d_qk_));
    q.rows = count;
    q.k = q.ld = d_qk_;
    product(device_, worker_, keys, 0, tokens, q, scores_, kChunkTokens);
  }
  for (std::int64_t i = 0; i < count; ++i) {
    float *row = scores_ + i * kChunkTokens;
    const std::int64_t t = begin + i;
    // Padding is behind every position that a query can see.
    const std::int64_t seen = std::clamp<std::int64_t>(context + t + 1 - first, 0, tokens);
    std::fill_n(row + seen, tokens - seen, 0.0f);
    if (seen > 0) {
      const float top = std::max(top_[t], kernels.max(row, seen));
      const float correction = std::exp(top_[t] - top); // 0 at the first chunk
      top_[t] = top;
      total_[t] = total_[t] * correction + kernels.exp_sum(row, top, seen);
      kernels.scale(sum_ + t * d_v_, correction, d_v_);
    }
    if (bf16_)
      store(weights_, i * kChunkTokens, row, tokens);
  }
  add_values(begin, count, tokens);
}

// sum += weights values
void Flash::add_values(std::int64_t begin, std::int64_t count, std::int64_t tokens) {
  const Kernels &kernels = device_.kernels();
  float *sum = sum_ + begin * d_v_;
  if (!bf16_ && count <= kFewQueries) {
    for (std::int64_t j = 0; j < tokens; ++j) {
      for (std::int64_t i = 0; i < count; ++i)
        kernels.axpy(sum + i * d_v_, scores_[i * kChunkTokens + j], static_cast<const float *>(v_) + j * d_v_, d_v_);
    }
    return;
  }
  const std::int64_t rows = padded(count);
  clear(weights_, count * kChunkTokens, (rows - count) * kChunkTokens);
  const MatmulShape shape{rows, d_v_, tokens, kChunkTokens, d_v_, d_v_, bf16_ ? ABY_DTYPE_BF16 : ABY_DTYPE_F32, false};
  worker_.matmul.run(shape, weights_, v_, part_);
  kernels.add(sum, part_, count * d_v_);
}

const float *Flash::finish(std::int64_t t) {
  device_.kernels().scale(sum_ + t * d_v_, 1.0f / total_[t], d_v_);
  return sum_ + t * d_v_;
}

} // namespace abyssal::cpu
