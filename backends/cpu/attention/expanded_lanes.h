// Un-absorbed MLA in the lanes of attention (lane_kernels.h), for processors without products in bfloat16: keys and
// values of a few heads are made of a sequence's cached rows, a block of 64 tokens at a time, and its queries attend to
// them, sixteen at a time, with a running softmax. A block of cached rows is made ready once for the heads of a task.
//
// Rows of W_uk and W_uv are packed as queries are, so that what makes scores makes keys and values too. Blocks are cut
// by position: a query has the same bits whatever else is in the batch, however many threads there are, and however the
// prompt before it was cut.
#pragma once

#include "backends/cpu/attention/lane_kernels.h"
#include "backends/cpu/device/cpu_device.h"
#include "backends/host/attention_checks.h"

#include <cstddef>
#include <cstdint>

namespace abyssal::cpu {

class ExpandedLanes {
public:
  // Whether it can run these sizes, this cache and this arithmetic.
  static bool takes(const CpuDevice &device, const MlaAttendCall &call, const abk_mla_attend_args &args);

  ExpandedLanes(CpuDevice &device, const HostBatch &batch, const MlaAttendCall &call, const abk_mla_attend_args &args);

  // All queries of a sequence, heads [head, head + count), at most kMostExpandedHeads.
  void run(Worker &worker, std::int32_t sequence, std::int64_t head, std::int64_t count) const;

private:
  struct Memory;
  struct Head;
  void make_head(Worker &worker, const Head &at, std::int64_t row0, std::int64_t queries) const;
  void pack_weights(Worker &worker, std::int64_t first, std::int64_t count, std::uint32_t *tiles) const;
  LaneBlock expand(const Memory &memory, const Head &at, const LaneBlock &latent) const;
  void attend(const Head &at, LaneBlock &block, std::int64_t first, std::int64_t context, std::int64_t queries) const;
  void store(Worker &worker, const Head &at, std::int64_t row0, std::int64_t queries) const;

  CpuDevice &device_;
  const LaneKernels &lanes_;
  const HostBatch &batch_;
  const MlaAttendCall &call_;
  std::int64_t nope_, rope_, lora_, v_;
  std::int64_t key_, value_; // columns of keys before k_pe and of values, whole sixteens
  float scale_;              // of scores in powers of two
  std::int64_t weight_words_, query_words_, state_floats_;
};

} // namespace abyssal::cpu
