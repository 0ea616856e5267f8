#include "backends/cpu/attention/gqa_lanes.h"

#include "backends/cpu/attention/rows.h"

#include <array>
#include <numbers>

namespace abyssal::cpu {

namespace {

// Tiles that pass over a block of keys and values one after another, while it is in the nearer caches.
constexpr std::int64_t kMostTiles = 8;

std::int64_t parts_of(std::int64_t count, std::int64_t size) noexcept { return (count + size - 1) / size; }

} // namespace

bool GqaLanes::takes(const GqaAttendCall &call, const abk_gqa_attend_args &args) {
  return call.k_cache.layout.dtype != ABY_DTYPE_F32 && args.head_dim % 16 == 0;
}

GqaLanes::GqaLanes(CpuDevice &device, const HostBatch &batch, const GqaAttendCall &call,
                   const abk_gqa_attend_args &args)
    : device_(device), lanes_(device.lane_kernels()), batch_(batch), call_(call), kv_heads_(args.kv_heads),
      shared_(args.heads / args.kv_heads), d_(args.head_dim), scale_(args.scale * std::numbers::log2e_v<float>),
      query_words_(lane_query_words(d_)), state_floats_(lane_state_floats(d_)) {
  for (std::int32_t i = 0; i < batch.sequences; ++i) {
    if (batch.new_tokens(i) > 0)
      active_.push_back(i);
  }
}

// Parts are as large as leaves two tasks to a thread. Where even the smallest are fewer, each is cut by chunks.
void GqaLanes::run() {
  const auto wanted = 2 * static_cast<std::int64_t>(device_.threads());
  std::int64_t count = 0, cut = 0;
  for (const std::int32_t sequence : active_) {
    count += tiles(sequence) * kv_heads_;
    cut += tiles(sequence) * kv_heads_ * parts_of(batch_.total_tokens(sequence), kLaneChunk);
  }
  if (count < wanted)
    return attend_chunks(parts(cut / wanted));
  const std::vector<Part> tasks = parts(count / wanted);
  device_.run(static_cast<std::int64_t>(tasks.size()),
              [&](std::int64_t i, Worker &worker) { attend_all(worker, tasks[static_cast<std::size_t>(i)]); });
}

std::int64_t GqaLanes::tiles(std::int32_t sequence) const {
  return parts_of(batch_.new_tokens(sequence) * shared_, kLanes);
}

GqaLanes::Tile GqaLanes::tile(std::int32_t sequence, std::int64_t index) const {
  const std::int64_t first = index * kLanes, end = std::min(first + kLanes, batch_.new_tokens(sequence) * shared_);
  const std::int64_t context = batch_.context[static_cast<std::size_t>(sequence)];
  return {first, end - first, context + first / shared_ + 1, context + (end - 1) / shared_ + 1};
}

std::int64_t GqaLanes::chunks(const Part &part) const {
  return parts_of(tile(part.sequence, part.tile + part.tiles - 1).most, kLaneChunk);
}

// Of about `size` tiles, or heads where a sequence has one tile: rows are then read whole.
std::vector<GqaLanes::Part> GqaLanes::parts(std::int64_t size) const {
  std::vector<Part> parts;
  for (const std::int32_t sequence : active_) {
    const std::int64_t all = tiles(sequence);
    const std::int64_t tiles = std::clamp<std::int64_t>(size, 1, std::min(kMostTiles, all));
    const std::int64_t heads = all == 1 ? std::clamp<std::int64_t>(size, 1, kv_heads_) : 1;
    for (std::int64_t head = 0; head < kv_heads_; head += heads) {
      for (std::int64_t tile = 0; tile < all; tile += tiles)
        parts.push_back({sequence, tile, std::min(tiles, all - tile), head, std::min(heads, kv_heads_ - head)});
    }
  }
  return parts;
}

// The queries of a part, scaled, in their lanes: [heads, tiles] of sixteen.
void GqaLanes::take_in(Worker &worker, const Part &part, std::uint32_t *queries) const {
  float *row = worker.middle.take<float>(d_);
  const std::int64_t row0 = batch_.row_begin[static_cast<std::size_t>(part.sequence)];
  for (std::int64_t i = 0; i < part.size(); ++i, queries += query_words_) {
    const Tile at = tile(part.sequence, part.tile + i % part.tiles);
    const std::int64_t head0 = (part.head + i / part.tiles) * shared_;
    if (at.lanes < kLanes)
      std::fill_n(queries, query_words_, 0u);
    for (std::int64_t lane = 0; lane < at.lanes; ++lane) {
      const std::int64_t token = (at.first + lane) / shared_, head = head0 + (at.first + lane) % shared_;
      load_floats(device_.kernels(), call_.q.row(row0 + token), call_.q.dtype, head * d_, d_, row);
      device_.kernels().scale(row, scale_, d_);
      lanes_.put_query(row, d_, d_, lane, queries);
    }
  }
}

// The part of a head in the rows that come `ABK_BLOCK_TOKENS` after `at`, if there are any before `end`.
LaneAhead GqaLanes::ahead(const HostCache &cache, const Part &part, std::int64_t head, std::int64_t at,
                          std::int64_t end) const {
  if (at + ABK_BLOCK_TOKENS >= end)
    return {};
  const CachedRow &layout = cache.layout;
  const bool bf16 = layout.dtype == ABY_DTYPE_BF16;
  const auto bytes = static_cast<std::int64_t>(bf16 ? sizeof(std::uint16_t) : sizeof(std::int8_t)) * d_;
  const std::int64_t place = static_cast<std::int64_t>(bf16 ? 0 : layout.quants_at()) + head * bytes;
  return {cache.row(batch_, part.sequence, at + ABK_BLOCK_TOKENS) + place, static_cast<std::int64_t>(cache.row_bytes),
          bytes};
}

// One chunk of a context into new states of a part. States: [heads, tiles]; of a tile that sees nothing of the chunk
// there is none.
void GqaLanes::attend(Worker &worker, const Part &part, std::int64_t chunk, const std::uint32_t *queries,
                      float *states) const {
  const std::int64_t first = chunk * kLaneChunk;
  const std::int64_t end = std::min(tile(part.sequence, part.tile + part.tiles - 1).most, first + kLaneChunk);
  LaneBlock block;
  block.d_qk = block.split = block.d_v = d_;
  auto *memory = worker.tile.take<std::byte>(lanes_.row_bytes(block));
  for (std::int64_t at = first; at < end; at += ABK_BLOCK_TOKENS) {
    const std::byte *keys = call_.k_cache.row(batch_, part.sequence, at);
    const std::byte *values = call_.v_cache.row(batch_, part.sequence, at);
    for (std::int64_t i = 0; i < part.heads; ++i) {
      const std::int64_t head = part.head + i;
      block.count = std::min<std::int64_t>(ABK_BLOCK_TOKENS, end - at);
      lanes_.head_rows(block, call_.k_cache.layout, keys, values, head, memory);
      block.next_keys = block.next_values = {};
      for (std::int64_t j = 0; j < part.tiles; ++j) {
        if (j == part.tiles - 1) {
          block.next_keys = ahead(call_.k_cache, part, head, at, end);
          block.next_values = ahead(call_.v_cache, part, head, at, end);
        }
        const std::int64_t place = i * part.tiles + j;
        attend_tile(tile(part.sequence, part.tile + j), at, block, queries + place * query_words_, at == first,
                    states + place * state_floats_);
      }
    }
  }
}

// A block of rows from position `at` on, of which the later tokens of a tile may see more than the earlier ones.
void GqaLanes::attend_tile(const Tile &tile, std::int64_t at, LaneBlock &block, const std::uint32_t *query, bool first,
                           float *state) const {
  if (at >= tile.most)
    return;
  block.count = std::min<std::int64_t>(ABK_BLOCK_TOKENS, tile.most - at);
  std::array<std::int32_t, kLanes> seen{};
  const bool all = tile.least >= at + block.count;
  for (std::int64_t lane = 0; !all && lane < tile.lanes; ++lane) {
    const std::int64_t token = (tile.first + lane) / shared_ - tile.first / shared_;
    seen[static_cast<std::size_t>(lane)] =
        static_cast<std::int32_t>(std::clamp<std::int64_t>(tile.least + token - at, 0, block.count));
  }
  block.seen = all ? nullptr : seen.data();
  lanes_.add(block, query, tile.lanes, first, lane_state(state));
}

void GqaLanes::merge(const Part &part, std::int64_t chunk, float *states, float *more) const {
  for (std::int64_t i = 0; i < part.size(); ++i) {
    const Tile at = tile(part.sequence, part.tile + i % part.tiles);
    if (at.most > chunk * kLaneChunk)
      lanes_.merge(lane_state(states + i * state_floats_), lane_state(more + i * state_floats_), at.lanes, d_);
  }
}

void GqaLanes::take_out(Worker &worker, const Part &part, float *states) const {
  const Kernels &kernels = device_.kernels();
  float *row = worker.middle.take<float>(d_);
  const std::int64_t row0 = batch_.row_begin[static_cast<std::size_t>(part.sequence)];
  for (std::int64_t i = 0; i < part.size(); ++i, states += state_floats_) {
    const Tile at = tile(part.sequence, part.tile + i % part.tiles);
    const LaneState from = lane_state(states);
    for (std::int64_t lane = 0; lane < at.lanes; ++lane) {
      const std::int64_t token = (at.first + lane) / shared_;
      const std::int64_t head = (part.head + i / part.tiles) * shared_ + (at.first + lane) % shared_;
      std::copy_n(from.mixed + lane * d_, d_, row);
      kernels.scale(row, 1.0f / from.total[lane], d_);
      store_floats(kernels, row, call_.out.row(row0 + token), call_.out.dtype, head * d_, d_);
    }
  }
}

void GqaLanes::attend_all(Worker &worker, const Part &part) const {
  float *states = worker.sums.take<float>(part.size() * (2 * state_floats_ + query_words_));
  float *more = states + part.size() * state_floats_;
  auto *queries = reinterpret_cast<std::uint32_t *>(more + part.size() * state_floats_);
  take_in(worker, part, queries);
  attend(worker, part, 0, queries, states);
  for (std::int64_t chunk = 1; chunk < chunks(part); ++chunk) {
    attend(worker, part, chunk, queries, more);
    merge(part, chunk, states, more);
  }
  take_out(worker, part, states);
}

// For few parts: a chunk of one to a task, merged afterwards in the same order.
void GqaLanes::attend_chunks(const std::vector<Part> &parts) const {
  struct Task {
    std::size_t part;
    std::int64_t chunk;
    float *states;
  };
  std::vector<Task> tasks;
  std::vector<std::size_t> begin; // of a part's tasks
  std::int64_t floats = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    begin.push_back(tasks.size());
    for (std::int64_t chunk = 0; chunk < chunks(parts[i]); ++chunk) {
      tasks.push_back({i, chunk, nullptr});
      floats += parts[i].size() * state_floats_;
    }
  }
  float *memory = device_.op_scratch().take<float>(floats);
  for (Task &task : tasks) {
    task.states = memory;
    memory += parts[task.part].size() * state_floats_;
  }
  device_.run(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t i, Worker &worker) {
    const Task &task = tasks[static_cast<std::size_t>(i)];
    const Part &part = parts[task.part];
    auto *queries = worker.sums.take<std::uint32_t>(part.size() * query_words_);
    take_in(worker, part, queries);
    attend(worker, part, task.chunk, queries, task.states);
  });
  device_.run(static_cast<std::int64_t>(parts.size()), [&](std::int64_t i, Worker &worker) {
    const Part &part = parts[static_cast<std::size_t>(i)];
    const Task *task = tasks.data() + begin[static_cast<std::size_t>(i)];
    for (std::int64_t chunk = 1; chunk < chunks(part); ++chunk)
      merge(part, chunk, task->states, task[chunk].states);
    take_out(worker, part, task->states);
  });
}

} // namespace abyssal::cpu
