#include "load/model_plan.h"

#include "base/dtype.h"
#include "base/status.h"
#include "model/cache_rows.h"
#include "model/model_weights.h"

#include <algorithm>
#include <limits>

namespace abyssal {

namespace {

constexpr std::uint64_t kLeastCacheTokens = 32768; // unless the context is less
constexpr std::uint64_t kCacheShare = 4;           // one of so many parts of the device's memory
constexpr std::uint64_t kMostCacheTokens = std::uint64_t{std::numeric_limits<std::int32_t>::max()} - ABK_BLOCK_TOKENS;
// Tokens that a prompt is evaluated in at a time, unless the caller says: in a larger chunk more rows share what
// reading and widening an expert costs. The first one whose scratch is small enough, else the last.
constexpr std::uint32_t kChunks[] = {1024, 512};
constexpr std::uint64_t kChunkScratch = 288 << 20; // bytes

// What a checkpoint stores, as far as arithmetic that is left open depends on it.
struct StoredTypes {
  bool quantised = false;
  std::uint64_t narrow = 0, wide = 0; // elements in bf16, f16 or fp8, and in f32
};

StoredTypes stored_types(const TensorSource &source) {
  StoredTypes types;
  for (const std::string &name : source.names()) {
    const TensorSource::Stored stored = source.stored(name);
    types.quantised = types.quantised || stored.quantised();
    const aby_dtype dtype = stored.dtypes.empty() ? ABY_DTYPE_AUTO : stored.dtypes.front();
    if (dtype == ABY_DTYPE_F32)
      types.wide += stored.bytes / dtype_size(dtype);
    else if (dtype == ABY_DTYPE_BF16 || dtype == ABY_DTYPE_F16 || dtype == ABY_DTYPE_F8_E4M3)
      types.narrow += stored.bytes / dtype_size(dtype);
  }
  return types;
}

// What one sequence is sure to find room for, unless cache_tokens says otherwise.
std::uint64_t least_cache_tokens(const ModelSpec &spec) {
  return std::min(static_cast<std::uint64_t>(spec.max_position_embeddings), kLeastCacheTokens);
}

} // namespace

// Weights that are rounded to 8 bits are near enough to the stored ones that activations of 8 bits would be most of the
// error.
Arithmetic arithmetic_of(const ModelOptions &options) noexcept {
  switch (options.activations) {
  case ABY_DTYPE_F32:
  case ABY_DTYPE_I8:
  case ABY_DTYPE_I16:
    return {options.rows, options.activations};
  default:
    return {options.rows, options.weights == ABY_WEIGHTS_INT8 ? ABY_DTYPE_I16 : ABY_DTYPE_I8};
  }
}

ModelOptions settled(ModelOptions options, const TensorSource &source) {
  const StoredTypes types = stored_types(source);
  const bool quantised = options.weights != ABY_WEIGHTS_STORED || types.quantised;
  const bool open = options.activations != ABY_DTYPE_F32 && options.activations != ABY_DTYPE_BF16;
  options.rows = !open ? options.activations : !quantised && types.narrow > types.wide ? ABY_DTYPE_BF16 : ABY_DTYPE_F32;
  if (options.cache_dtype == ABY_DTYPE_AUTO)
    options.cache_dtype = quantised && options.activations != ABY_DTYPE_F32 ? ABY_DTYPE_BF16 : options.rows;
  return options;
}

std::uint64_t cache_tokens_of(const ModelSpec &spec, const ModelOptions &options, const Device &device) {
  std::uint64_t tokens = options.cache_tokens;
  if (tokens == 0) {
    const std::uint64_t bytes = cache_bytes_per_token(device, spec, options.cache_dtype, options.mtp);
    tokens = std::min(device.info().memory_bytes / kCacheShare / bytes, kMostCacheTokens);
    tokens = std::max(tokens / ABK_BLOCK_TOKENS * ABK_BLOCK_TOKENS, least_cache_tokens(spec));
  }
  if (tokens > kMostCacheTokens)
    fail(ABY_ERROR_INVALID_ARGUMENT, "cache_tokens is ", tokens, "; at most 2^31 - 65 tokens are supported");
  return (tokens + ABK_BLOCK_TOKENS - 1) / ABK_BLOCK_TOKENS * ABK_BLOCK_TOKENS;
}

Workspace make_workspace(const DevicePtr &device, const ModelSpec &spec, const ModelOptions &options) {
  return {device, spec, options.rows, options.absorb_below, options.mtp};
}

ModelPlan make_plan(const ModelSpec &spec, const TensorSource &source, const DevicePtr &device,
                    const ModelOptions &options, const Workspace &workspace) {
  WeightReader reader(device, source, arithmetic_of(options), spec.fp8.block_n, spec.fp8.block_k, spec.fp8.enabled);
  visit_weights(spec, options.mtp, reader);
  ModelPlan plan;
  plan.totals = reader.totals();
  plan.active_parameters = plan.totals.parameters - plan.totals.outer_parameters;
  if (const auto [experts, top_k] = spec.routed(); experts > 0)
    plan.active_parameters -= plan.totals.routed_parameters / static_cast<std::uint64_t>(experts) *
                              static_cast<std::uint64_t>(experts - top_k);
  plan.cache_bytes_per_token = cache_bytes_per_token(*device, spec, options.cache_dtype, options.mtp);
  plan.cache_tokens = cache_tokens_of(spec, options, *device);
  WorkspaceSize size;
  const std::uint64_t context = options.cache_tokens != 0 ? plan.cache_tokens : least_cache_tokens(spec);
  size.context = static_cast<std::int32_t>(std::min(context, static_cast<std::uint64_t>(spec.max_position_embeddings)));
  size.logits_rows = 1;
  for (const std::uint32_t chunk : kChunks) {
    plan.chunk = chunk;
    size.rows = static_cast<std::int32_t>(chunk);
    plan.scratch_bytes = workspace.bytes_for(size);
    if (plan.scratch_bytes <= kChunkScratch)
      break;
  }
  return plan;
}

} // namespace abyssal
