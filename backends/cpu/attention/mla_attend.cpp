// mla_attend in its two forms. Absorbed: queries are taken into the latent space and the cached rows serve as keys and
// values, an MQA of width kv_lora + rope; least work for few new tokens. Un-absorbed: keys and values of each head are
// made from the cached rows, then flash attention; least work for many. Tasks are (row, heads) and (sequence, heads),
// so that no sum crosses a task and the result does not depend on the thread count. Over a bf16 or int8 cache the first
// form is LatentAttention's, the second ExpandedAttention's in bf16 tiles and ExpandedLanes' without bf16 hardware;
// here are both in float32, and for sizes that those do not take.
#include "backends/cpu/attention/expanded_attention.h"
#include "backends/cpu/attention/expanded_lanes.h"
#include "backends/cpu/attention/flash.h"
#include "backends/cpu/attention/latent_attention.h"
#include "backends/cpu/attention/rows.h"
#include "backends/cpu/cpu_ops.h"
#include "backends/host/attention_checks.h"

#include <cmath>
#include <limits>

namespace abyssal::cpu {

namespace {

constexpr std::int64_t kHeadsPerTask = 8; // absorbed: share the pass over the cached rows

struct MlaSizes {
  explicit MlaSizes(const abk_mla_attend_args &args)
      : heads(args.heads), nope(args.qk_nope), rope(args.rope_dim), lora(args.kv_lora), v(args.v_dim), qk(nope + rope),
        width(lora + rope) {}
  std::int64_t heads, nope, rope, lora, v, qk, width;
};

struct MlaAttend {
  CpuDevice &device;
  const Kernels &kernels;
  const HostBatch &batch;
  const MlaAttendCall &call;
  const MatrixView &kv_b; // [heads * (nope + v), lora]: rows of W_uk, then of W_uv, for each head
  MlaSizes size;
  float scale;

  std::int64_t first_row(std::int64_t head) const { return head * (size.nope + size.v); }
};

// One row's heads over the cached rows of its sequence.
class Absorbed {
public:
  Absorbed(const MlaAttend &op, Worker &worker, std::int64_t head0, std::int64_t heads)
      : op_(op), head0_(head0), heads_(heads) {
    const MlaSizes &s = op.size;
    float *memory = worker.sums.take<float>(heads * (s.width + s.lora + ABK_BLOCK_TOKENS + 2) + s.lora +
                                            ABK_BLOCK_TOKENS * s.width + s.qk);
    const auto take = [&](std::int64_t count) {
      float *at = memory;
      memory += count;
      return at;
    };
    query_ = take(heads * s.width);
    mixed_ = take(heads * s.lora);
    scores_ = take(heads * ABK_BLOCK_TOKENS);
    top_ = take(heads);
    total_ = take(heads);
    weight_row_ = take(s.lora);
    rows_ = take(ABK_BLOCK_TOKENS * s.width);
    q_ = take(s.qk);
  }

  void run(std::int64_t row, std::int32_t sequence) {
    make_queries(row);
    std::fill_n(mixed_, heads_ * op_.size.lora, 0.0f);
    std::fill_n(top_, heads_, -std::numeric_limits<float>::infinity());
    std::fill_n(total_, heads_, 0.0f);
    const std::int64_t seen = position_of(op_.batch, sequence, row) + 1;
    for (std::int64_t first = 0; first < seen; first += ABK_BLOCK_TOKENS)
      block(op_.call.cache.row(op_.batch, sequence, first), std::min<std::int64_t>(ABK_BLOCK_TOKENS, seen - first));
    store(row);
  }

private:
  // [W_uk^T q_nope | q_rope] * scale
  void make_queries(std::int64_t row) {
    const MlaSizes &s = op_.size;
    for (std::int64_t h = 0; h < heads_; ++h) {
      float *query = query_ + h * s.width;
      load_floats(op_.kernels, op_.call.q.row(row), op_.call.q.dtype, (head0_ + h) * s.qk, s.qk, q_);
      std::fill_n(query, s.lora, 0.0f);
      for (std::int64_t i = 0; i < s.nope; ++i) {
        op_.kernels.widen_row(op_.kv_b, op_.first_row(head0_ + h) + i, weight_row_);
        op_.kernels.axpy(query, q_[i], weight_row_, s.lora);
      }
      std::copy_n(q_ + s.nope, s.rope, query + s.lora);
      op_.kernels.scale(query, op_.scale, s.width);
    }
  }

  // One block of cached rows, contiguous, widened: scores as a product with the queries, then the weighted sum of the
  // rows.
  void block(const std::byte *rows, std::int64_t count) {
    const MlaSizes &s = op_.size;
    const HostCache &cache = op_.call.cache;
    for (std::int64_t j = 0; j < count; ++j)
      load_cached(op_.kernels, cache.layout, rows + static_cast<std::size_t>(j) * cache.row_bytes, 0, s.width,
                  rows_ + j * s.width);
    const MatrixView view{rows_, ABY_DTYPE_F32, count, s.width};
    for (std::int64_t h = 0; h < heads_; h += kGemvRows)
      op_.kernels.gemv(view, 0, count, query_ + h * s.width, s.width,
                       static_cast<int>(std::min<std::int64_t>(kGemvRows, heads_ - h)), scores_ + h * ABK_BLOCK_TOKENS,
                       ABK_BLOCK_TOKENS);
    for (std::int64_t h = 0; h < heads_; ++h) {
      float *score = scores_ + h * ABK_BLOCK_TOKENS;
      float *mixed = mixed_ + h * s.lora;
      const float top = std::max(top_[h], op_.kernels.max(score, count));
      const float correction = std::exp(top_[h] - top);
      top_[h] = top;
      total_[h] = total_[h] * correction + op_.kernels.exp_sum(score, top, count);
      op_.kernels.scale(mixed, correction, s.lora);
      for (std::int64_t j = 0; j < count; ++j)
        op_.kernels.axpy(mixed, score[j], rows_ + j * s.width, s.lora);
    }
  }

  // W_uv mixed / total
  void store(std::int64_t row) {
    const MlaSizes &s = op_.size;
    float *out = rows_; // free now
    for (std::int64_t h = 0; h < heads_; ++h) {
      op_.kernels.scale(mixed_ + h * s.lora, 1.0f / total_[h], s.lora);
      for (std::int64_t i = 0; i < s.v; i += ABK_BLOCK_TOKENS) {
        const std::int64_t count = std::min<std::int64_t>(ABK_BLOCK_TOKENS, s.v - i);
        op_.kernels.gemv(op_.kv_b, op_.first_row(head0_ + h) + s.nope + i, count, mixed_ + h * s.lora, s.lora, 1, out,
                         count);
        store_floats(op_.kernels, out, op_.call.out.row(row), op_.call.out.dtype, (head0_ + h) * s.v + i, count);
      }
    }
  }

  const MlaAttend &op_;
  std::int64_t head0_, heads_;
  float *query_;      // [heads, width]
  float *mixed_;      // [heads, lora]: sum of p c
  float *scores_;     // [heads, ABK_BLOCK_TOKENS]
  float *top_;        // [heads]
  float *total_;      // [heads]
  float *weight_row_; // [lora]
  float *rows_;       // [ABK_BLOCK_TOKENS, width]
  float *q_;          // [qk]
};

// One head of one sequence, keys and values made chunk by chunk.
void attend_unabsorbed(const MlaAttend &op, Worker &worker, std::int32_t sequence, std::int64_t head) {
  const MlaSizes &s = op.size;
  const std::int64_t queries = op.batch.new_tokens(sequence),
                     context = op.batch.context[static_cast<std::size_t>(sequence)];
  const std::int64_t row0 = op.batch.row_begin[static_cast<std::size_t>(sequence)];
  const std::int64_t made = s.nope + s.v;
  const bool bf16 = op.device.has_bf16() && op.call.kv_b.compute != ABY_DTYPE_F32;
  Flash flash(op.device, worker, queries, s.qk, s.v, bf16);
  float *latent = worker.sums.take<float>(kChunkTokens * (2 * s.width + made) + s.qk); // [kChunkTokens, width]
  float *kv = latent + kChunkTokens * s.width;                                         // [kChunkTokens, nope + v]
  auto *rounded = reinterpret_cast<std::uint16_t *>(kv + kChunkTokens * made);         // [kChunkTokens, lora]
  float *q = kv + kChunkTokens * (made + s.width);
  for (std::int64_t t = 0; t < queries; ++t) {
    load_floats(op.kernels, op.call.q.row(row0 + t), op.call.q.dtype, head * s.qk, s.qk, q);
    flash.query(t, q, op.scale);
  }

  const std::int64_t total = context + queries;
  for (std::int64_t first = 0; first < total; first += kChunkTokens) {
    const std::int64_t count = std::min(kChunkTokens, total - first);
    for (std::int64_t j = 0; j < count; ++j) {
      load_cached(op.kernels, op.call.cache.layout, op.call.cache.row(op.batch, sequence, first + j), 0, s.width,
                  latent + j * s.width);
      if (bf16)
        op.kernels.f32_to_bf16(latent + j * s.width, rounded + j * s.lora, s.lora);
    }
    Operand rows;
    rows.f32 = bf16 ? nullptr : latent;
    rows.bf16 = bf16 ? rounded : nullptr;
    rows.rows = count;
    rows.k = s.lora;
    rows.ld = bf16 ? s.lora : s.width;
    product(op.device, worker, op.kv_b, op.first_row(head), made, rows, kv, made);
    for (std::int64_t j = 0; j < count; ++j) {
      flash.key(j, 0, s.nope, kv + j * made);
      flash.key(j, s.nope, s.rope, latent + j * s.width + s.lora);
      flash.value(j, kv + j * made + s.nope);
    }
    flash.chunk(first, count, context);
  }
  for (std::int64_t t = 0; t < queries; ++t)
    store_floats(op.kernels, flash.finish(t), op.call.out.row(row0 + t), op.call.out.dtype, head * s.v, s.v);
}

// A unit of parallel work: a row (absorbed) or a sequence, with some heads.
struct Task {
  std::int32_t sequence;
  std::int64_t row; // -1: un-absorbed
  std::int64_t head, heads;
};

std::int64_t expanded_sequences(const HostBatch &batch, std::uint32_t absorb_below) {
  std::int64_t count = 0;
  for (std::int32_t i = 0; i < batch.sequences; ++i)
    count += batch.new_tokens(i) >= std::max<std::int64_t>(absorb_below, 1) ? 1 : 0;
  return count;
}

// Heads of a task of expanded attention: as many as leave several tasks to each thread.
std::int64_t heads_of_task(const CpuDevice &device, std::int64_t heads, std::int64_t sequences) {
  const std::int64_t wanted = 4 * static_cast<std::int64_t>(device.threads());
  return std::clamp<std::int64_t>(sequences * heads / wanted, 1, kMostExpandedHeads);
}

// Rows that run absorbed go to `latent` where that is not null. heads_unabsorbed: of a task.
std::vector<Task> make_tasks(const HostBatch &batch, std::int64_t heads, std::uint32_t absorb_below,
                             std::int64_t heads_unabsorbed, std::vector<LatentRow> *latent) {
  std::vector<Task> tasks;
  for (std::int32_t i = 0; i < batch.sequences; ++i) {
    const std::int64_t fresh = batch.new_tokens(i), row0 = batch.row_begin[static_cast<std::size_t>(i)];
    if (fresh >= std::int64_t{absorb_below}) {
      for (std::int64_t h = 0; fresh > 0 && h < heads; h += heads_unabsorbed)
        tasks.push_back({i, -1, h, std::min(heads_unabsorbed, heads - h)});
      continue;
    }
    for (std::int64_t t = 0; t < fresh; ++t) {
      if (latent != nullptr) {
        latent->push_back({row0 + t, i});
        continue;
      }
      for (std::int64_t h = 0; h < heads; h += kHeadsPerTask)
        tasks.push_back({i, row0 + t, h, std::min(kHeadsPerTask, heads - h)});
    }
  }
  return tasks;
}

} // namespace

void mla_attend(CpuDevice &device, const HostBatch &batch, const abk_mla_attend_args &args) {
  const MlaAttendCall call = check_mla_attend(batch, args);
  const MlaAttend op{device,         device.kernels(), batch, call, CpuWeight::of(call.kv_b).matrix(),
                     MlaSizes(args), args.scale};
  std::vector<LatentRow> latent;
  const bool in_tiles = ExpandedAttention::takes(device, call, args);
  const bool in_lanes = !in_tiles && ExpandedLanes::takes(device, call, args);
  const ExpandedAttention expanded_tiles(device, batch, call, args);
  const ExpandedLanes expanded_lanes(device, batch, call, args);
  const std::int64_t heads =
      in_tiles || in_lanes ? heads_of_task(device, args.heads, expanded_sequences(batch, args.absorb_below)) : 1;
  const std::vector<Task> tasks =
      make_tasks(batch, args.heads, args.absorb_below, heads, LatentAttention::takes(call, args) ? &latent : nullptr);
  if (!latent.empty())
    LatentAttention(device, batch, call, args, std::move(latent)).run();
  device.run(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t i, Worker &worker) {
    const Task &task = tasks[static_cast<std::size_t>(i)];
    if (task.row < 0 && in_tiles)
      expanded_tiles.run(worker, task.sequence, task.head, task.heads);
    else if (task.row < 0 && in_lanes)
      expanded_lanes.run(worker, task.sequence, task.head, task.heads);
    else if (task.row < 0)
      attend_unabsorbed(op, worker, task.sequence, task.head);
    else
      Absorbed(op, worker, task.head, task.heads).run(task.row, task.sequence);
  });
}

} // namespace abyssal::cpu
