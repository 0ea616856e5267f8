// Un-absorbed MLA in bf16 hardware: keys and values of a few heads are made of a sequence's cached rows, a chunk of 256
// tokens at a time, and its queries attend to them with a running softmax. A chunk of cached rows is brought into the
// order of the kernels once for the heads of a task.
//
// Queries, cached rows, keys, values and probabilities are bfloat16; sums and the softmax float32. Chunks are cut by
// position, so that a query has the same bits whatever else is in the batch, however many threads there are, and
// however the prompt before it was cut.
#pragma once

#include "backends/cpu/attention/flash_tiles.h"
#include "backends/cpu/device/cpu_device.h"
#include "backends/host/attention_checks.h"

#include <cstddef>
#include <cstdint>

namespace abyssal::cpu {

// Of a task: their queries and sums wait in memory for the next chunk.
constexpr std::int64_t kMostExpandedHeads = 4;

class ExpandedAttention {
public:
  // Whether it can run these sizes and this arithmetic, and is what the processor is fastest with.
  static bool takes(const CpuDevice &device, const MlaAttendCall &call, const abk_mla_attend_args &args);

  ExpandedAttention(CpuDevice &device, const HostBatch &batch, const MlaAttendCall &call,
                    const abk_mla_attend_args &args);

  // All queries of a sequence, heads [head, head + count), at most kMostExpandedHeads.
  void run(Worker &worker, std::int32_t sequence, std::int64_t head, std::int64_t count) const;

private:
  struct Memory;
  struct Head;
  void weight_rows(Worker &worker, std::int64_t first, std::int64_t count, std::uint16_t *to) const;
  void make_head(Worker &worker, const Memory &memory, const Head &at, std::int64_t row0, std::int64_t queries) const;
  void load_rows(Worker &worker, const Memory &memory, std::int32_t sequence, std::int64_t first,
                 std::int64_t tokens) const;
  void expand(const Memory &memory, const Head &at, std::int64_t tokens) const;
  void attend(const Memory &memory, const Head &at, std::int64_t first, std::int64_t context,
              std::int64_t queries) const;
  void store(const Head &at, std::int64_t row0, std::int64_t queries) const;

  CpuDevice &device_;
  const HostBatch &batch_;
  const MlaAttendCall &call_;
  std::int64_t nope_, rope_, lora_, v_;
  std::int64_t v_strips_;
  float scale_; // of scores in powers of two
};

} // namespace abyssal::cpu
