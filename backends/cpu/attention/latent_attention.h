// Absorbed MLA over a bfloat16 or int8 cache: three parallel regions for all rows of a batch that run absorbed. Queries
// are taken into the latent space, a head to a task; chunks of cached rows are attended to, sixteen heads at a time;
// and the mixed rows are taken back out, a head to a task.
//
// A row's context is cut into chunks of 512 tokens by position, each with a softmax of its own, and the chunks are
// merged in order: the result has the same bits whatever else is in the batch and however many threads there are. A
// task takes as many heads as leave work for every thread: a cached row is then read, and made ready for the kernels,
// once for them.
#pragma once

#include "backends/cpu/attention/lane_kernels.h"
#include "backends/cpu/device/cpu_device.h"
#include "backends/cpu/packed/quant_rows.h"
#include "backends/host/attention_checks.h"

#include <algorithm>
#include <vector>

namespace abyssal::cpu {

class CpuWeight;

// A row of the batch and its sequence.
struct LatentRow {
  std::int64_t row;
  std::int32_t sequence;
};

class LatentAttention {
public:
  // Whether it can run these sizes, this cache and this arithmetic.
  static bool takes(const MlaAttendCall &call, const abk_mla_attend_args &args);

  LatentAttention(CpuDevice &device, const HostBatch &batch, const MlaAttendCall &call, const abk_mla_attend_args &args,
                  std::vector<LatentRow> rows);
  void run();

private:
  // Heads of a row by groups of sixteen: what a task is made of.
  struct Part {
    std::int64_t index, group, groups;
  };
  std::int64_t chunks(std::int64_t index) const; // of a row's context
  std::int64_t groups_of_task(std::int64_t tasks) const;
  std::vector<Part> parts(std::int64_t groups) const;
  float *state(std::int64_t index, std::int64_t group) const {
    return states_ + (index * groups_ + group) * state_floats_;
  }
  std::int64_t lanes(std::int64_t group) const { return std::min(kLanes, heads_ - group * kLanes); }

  void take_in(Worker &worker, std::int64_t head);
  void attend(Worker &worker, const Part &part, std::int64_t chunk, float *states);
  void attend_all(Worker &worker, const Part &part);
  void attend_chunks();
  void take_out(Worker &worker, std::int64_t head);
  QuantRows quantised(Worker &worker, const CpuWeight &w, const float *x, std::int64_t stride) const;

  CpuDevice &device_;
  const LaneKernels &lanes_;
  const HostBatch &batch_;
  const MlaAttendCall &call_;
  std::vector<LatentRow> rows_;
  std::int64_t heads_, groups_, nope_, rope_, lora_, v_;
  float scale_;
  bool halves_;            // k_b and v_b are packed
  std::uint32_t *queries_; // [rows, groups] of sixteen queries
  float *states_;          // [rows, groups] states
  std::int64_t query_words_, state_floats_;
};

} // namespace abyssal::cpu
