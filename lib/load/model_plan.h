// What opening a model would take, and what is settled before: types that were left open, sizes of cache and passes.
#pragma once

#include "load/model_options.h"
#include "load/weight_loader.h"
#include "model/workspace.h"

#include <cstdint>

namespace abyssal {

struct ModelPlan {
  WeightTotals totals;
  std::uint64_t active_parameters = 0;
  std::uint64_t cache_bytes_per_token = 0;
  std::uint64_t cache_tokens = 0;
  std::uint64_t scratch_bytes = 0;
  std::uint32_t chunk = 0; // tokens of a pass, unless the caller says
};

// The options with the types of rows and cache settled. Left open, both are bfloat16 where most weights are stored in
// bf16 or fp8: such a model was trained and published to run with such activations. f16 counts too, since what is
// stored so of these architectures was bf16 before. Quantised weights, whose products round activations anyway, have
// float32 rows and bfloat16 cached ones, float32 weights float32 for both.
ModelOptions settled(ModelOptions options, const TensorSource &source);

Arithmetic arithmetic_of(const ModelOptions &options) noexcept;

// Whole blocks. Left open, the cache may grow to a share of the device's memory: the pages of a host's are only taken
// as blocks are used.
std::uint64_t cache_tokens_of(const ModelSpec &spec, const ModelOptions &options, const Device &device);

Workspace make_workspace(const DevicePtr &device, const ModelSpec &spec, const ModelOptions &options);

// Checks the checkpoint against the spec; reads headers only.
ModelPlan make_plan(const ModelSpec &spec, const TensorSource &source, const DevicePtr &device,
                    const ModelOptions &options, const Workspace &workspace);

} // namespace abyssal
