// Grouped-query attention over a bfloat16 or int8 cache. The queries of the heads that share a head of keys stand side
// by side, token after token, sixteen to a tile: a cached row is read once for them all, and a prompt's tiles are full.
//
// A context is cut into chunks of 512 tokens by position, each with a softmax of its own, and the chunks are merged in
// order: a row has the same bits whatever is beside it, however a prompt is cut and however many threads there are.
#pragma once

#include "backends/cpu/attention/lane_kernels.h"
#include "backends/cpu/device/cpu_device.h"
#include "backends/host/attention_checks.h"

#include <vector>

namespace abyssal::cpu {

class GqaLanes {
public:
  // Whether it can run these sizes and this cache.
  static bool takes(const GqaAttendCall &call, const abk_gqa_attend_args &args);

  GqaLanes(CpuDevice &device, const HostBatch &batch, const GqaAttendCall &call, const abk_gqa_attend_args &args);
  void run();

private:
  // Tiles of one sequence with heads of keys: what a task is made of. Either is one.
  struct Part {
    std::int32_t sequence;
    std::int64_t tile, tiles, head, heads;
    std::int64_t size() const noexcept { return tiles * heads; }
  };
  // The queries of a tile, and how many cached tokens the first and the last of them see.
  struct Tile {
    std::int64_t first, lanes, least, most;
  };
  std::int64_t tiles(std::int32_t sequence) const;
  Tile tile(std::int32_t sequence, std::int64_t index) const;
  std::int64_t chunks(const Part &part) const;
  std::vector<Part> parts(std::int64_t size) const;

  void take_in(Worker &worker, const Part &part, std::uint32_t *queries) const;
  void attend(Worker &worker, const Part &part, std::int64_t chunk, const std::uint32_t *queries, float *states) const;
  void attend_tile(const Tile &tile, std::int64_t at, LaneBlock &block, const std::uint32_t *query, bool first,
                   float *state) const;
  void merge(const Part &part, std::int64_t chunk, float *states, float *more) const;
  void take_out(Worker &worker, const Part &part, float *states) const;
  void attend_all(Worker &worker, const Part &part) const;
  void attend_chunks(const std::vector<Part> &parts) const;

  LaneAhead ahead(const HostCache &cache, const Part &part, std::int64_t head, std::int64_t at, std::int64_t end) const;

  CpuDevice &device_;
  const LaneKernels &lanes_;
  const HostBatch &batch_;
  const GqaAttendCall &call_;
  std::vector<std::int32_t> active_; // sequences with new tokens
  std::int64_t kv_heads_, shared_;   // heads of keys; heads that share one
  std::int64_t d_;
  float scale_;
  std::int64_t query_words_, state_floats_; // of a tile
};

} // namespace abyssal::cpu
