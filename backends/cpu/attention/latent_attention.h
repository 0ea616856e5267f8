// Absorbed MLA over a bfloat16 or int8 cache on processors that multiply bfloat16: three parallel regions for all rows
// of a batch that run absorbed. Queries are taken into the latent space, a head to a task; chunks of cached rows are
// attended to, sixteen heads at a time; and the mixed rows are taken back out, a head to a task.
//
// A row's context is cut into chunks of 512 tokens by position, each with a softmax of its own, and the chunks are
// merged in order: the result has the same bits whatever else is in the batch and however many threads there are.
#pragma once

#include "backends/common/attention_checks.h"
#include "backends/cpu/attention/latent_kernels.h"
#include "backends/cpu/device/cpu_device.h"
#include "backends/cpu/packed/quant_rows.h"

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
  static bool takes(const CpuDevice &device, const MlaAttendCall &call, const abk_mla_attend_args &args);

  LatentAttention(CpuDevice &device, const HostBatch &batch, const MlaAttendCall &call, const abk_mla_attend_args &args,
                  std::vector<LatentRow> rows);
  void run();

private:
  std::int64_t seen(const LatentRow &row) const; // cached tokens that a row sees
  LatentState state(float *memory) const;
  void take_in(Worker &worker, std::int64_t head);
  void attend(Worker &worker, std::int64_t index, std::int64_t group, std::int64_t chunk, float *memory);
  const std::uint16_t *block(Worker &worker, const std::byte *rows, std::int64_t count) const;
  void attend_all(Worker &worker, std::int64_t index, std::int64_t group);
  void attend_chunks();
  void take_out(Worker &worker, std::int64_t head);
  QuantRows quantised(Worker &worker, const CpuWeight &w) const;

  CpuDevice &device_;
  const HostBatch &batch_;
  const MlaAttendCall &call_;
  std::vector<LatentRow> rows_;
  std::int64_t heads_, groups_, nope_, rope_, lora_, v_;
  float scale_;
  bool halves_;            // k_b and v_b are packed
  std::uint32_t *queries_; // [rows, groups, (lora + rope) / 2, 16]
  float *states_;          // [rows, groups] states
  std::int64_t state_floats_;
};

} // namespace abyssal::cpu
