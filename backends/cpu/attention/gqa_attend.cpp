// gqa_attend: RoPE and the cache write per row, then attention in lanes, or flash attention per (sequence, head).
#include "backends/cpu/attention/flash.h"
#include "backends/cpu/attention/gqa_lanes.h"
#include "backends/cpu/attention/rows.h"
#include "backends/cpu/cpu_ops.h"
#include "backends/host/attention_checks.h"

namespace abyssal::cpu {

namespace {

void rope_rows(const Kernels &kernels, const HostRows &rows, std::int64_t r, std::int64_t heads, std::int64_t d,
               const float *rope, float *memory) {
  for (std::int64_t h = 0; h < heads; ++h) {
    load_floats(kernels, rows.row(r), rows.dtype, h * d, d, memory);
    rope_halves(memory, rope, d);
    store_floats(kernels, memory, rows.row(r), rows.dtype, h * d, d);
  }
}

void write_cache(const Kernels &kernels, const HostRows &from, std::int64_t r, const CachedRow &layout, std::byte *to,
                 float *memory) {
  load_floats(kernels, from.row(r), from.dtype, 0, from.cols, memory);
  store_cached(kernels, layout, memory, to);
}

void attend_head(CpuDevice &device, Worker &worker, const HostBatch &batch, const GqaAttendCall &call,
                 const abk_gqa_attend_args &args, std::int32_t sequence, std::int64_t head) {
  const Kernels &kernels = device.kernels();
  const std::int64_t d = args.head_dim, kv_head = head / (args.heads / args.kv_heads);
  const std::int64_t queries = batch.new_tokens(sequence), context = batch.context[static_cast<std::size_t>(sequence)];
  const std::int64_t row0 = batch.row_begin[static_cast<std::size_t>(sequence)];
  Flash flash(device, worker, queries, d, d, false);
  float *row = worker.sums.take<float>(d);
  for (std::int64_t t = 0; t < queries; ++t) {
    load_floats(kernels, call.q.row(row0 + t), call.q.dtype, head * d, d, row);
    flash.query(t, row, args.scale);
  }
  const std::int64_t total = context + queries;
  for (std::int64_t first = 0; first < total; first += kChunkTokens) {
    const std::int64_t count = std::min(kChunkTokens, total - first);
    for (std::int64_t j = 0; j < count; ++j) {
      load_cached(kernels, call.k_cache.layout, call.k_cache.row(batch, sequence, first + j), kv_head * d, d, row);
      flash.key(j, 0, d, row);
      load_cached(kernels, call.v_cache.layout, call.v_cache.row(batch, sequence, first + j), kv_head * d, d, row);
      flash.value(j, row);
    }
    flash.chunk(first, count, context);
  }
  for (std::int64_t t = 0; t < queries; ++t)
    store_floats(kernels, flash.finish(t), call.out.row(row0 + t), call.out.dtype, head * d, d);
}

} // namespace

void gqa_attend(CpuDevice &device, const HostBatch &batch, const abk_gqa_attend_args &args) {
  const GqaAttendCall call = check_gqa_attend(batch, args);
  const Kernels &kernels = device.kernels();
  const std::vector<std::int32_t> sequence = sequence_of_rows(batch);
  device.run(batch.tokens, [&](std::int64_t r, Worker &worker) {
    float *memory = worker.sums.take<float>(call.k.cols);
    rope_rows(kernels, call.q, r, args.heads, args.head_dim, batch.rope_row(r), memory);
    rope_rows(kernels, call.k, r, args.kv_heads, args.head_dim, batch.rope_row(r), memory);
    const std::int32_t s = sequence[static_cast<std::size_t>(r)];
    const std::int64_t position = position_of(batch, s, r);
    write_cache(kernels, call.k, r, call.k_cache.layout, call.k_cache.row(batch, s, position), memory);
    write_cache(kernels, call.v, r, call.v_cache.layout, call.v_cache.row(batch, s, position), memory);
  });
  if (GqaLanes::takes(call, args)) {
    GqaLanes(device, batch, call, args).run();
    return;
  }
  std::vector<std::int32_t> active;
  for (std::int32_t i = 0; i < batch.sequences; ++i) {
    if (batch.new_tokens(i) > 0)
      active.push_back(i);
  }
  device.run(static_cast<std::int64_t>(active.size()) * args.heads, [&](std::int64_t task, Worker &worker) {
    attend_head(device, worker, batch, call, args, active[static_cast<std::size_t>(task / args.heads)],
                task % args.heads);
  });
}

} // namespace abyssal::cpu
