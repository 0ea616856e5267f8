#include "engine/loaded_model.h"

#include "base/dtype.h"
#include "base/status.h"
#include "engine/checkpoint.h"
#include "model/quantisable.h"
#include "weights/memory_source.h"

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

DevicePtr device_of(const ModelOptions &options) {
  return options.device ? options.device : Device::open(options.device_options);
}

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

// The options with the types of rows and cache settled. Left open, both are bfloat16 where most weights are stored in
// bf16 or fp8: such a model was trained and published to run with such activations. f16 counts too, since what is
// stored so of these architectures was bf16 before. Quantised weights, whose products round activations anyway, have
// float32 rows and bfloat16 cached ones, float32 weights float32 for both.
ModelOptions settled(ModelOptions options, const TensorSource &source) {
  const StoredTypes types = stored_types(source);
  const bool quantised = options.weights != ABY_WEIGHTS_STORED || types.quantised;
  const bool open = options.activations != ABY_DTYPE_F32 && options.activations != ABY_DTYPE_BF16;
  options.rows = !open ? options.activations : !quantised && types.narrow > types.wide ? ABY_DTYPE_BF16 : ABY_DTYPE_F32;
  if (options.cache_dtype == ABY_DTYPE_AUTO)
    options.cache_dtype = quantised && options.activations != ABY_DTYPE_F32 ? ABY_DTYPE_BF16 : options.rows;
  return options;
}

// Null where no cache is asked for, or the device has no images of weights.
std::unique_ptr<PackedCache> packed_cache_of(const Checkpoint &checkpoint, const ModelOptions &options,
                                             const Device &device) {
  const std::string layout = device.info().layout;
  if (!options.packed_cache.folder || layout.empty())
    return nullptr;
  constexpr const char *kWeights[] = {"stored", "int8", "int4"};
  PackedKey key;
  key.checkpoint = checkpoint.path;
  key.variant = concat(kWeights[options.weights], options.mtp ? ".mtp" : "");
  key.identity = concat("abyssal ", ABY_VERSION_MAJOR, ".", ABY_VERSION_MINOR, ".", ABY_VERSION_PATCH, ", ", layout,
                        ", ", key.variant, options.weights == ABY_WEIGHTS_STORED ? "" : concat(", ", kRounding), "\n",
                        checkpoint.identity, checkpoint.source->identity());
  return std::make_unique<PackedCache>(options.packed_cache, std::move(key));
}

unsigned threads_of(const Device &device) { return std::max(device.info().threads, 1u); }

// What one sequence is sure to find room for, unless cache_tokens says otherwise.
std::uint64_t least_cache_tokens(const ModelConfig &config) {
  return std::min(static_cast<std::uint64_t>(config.max_position_embeddings), kLeastCacheTokens);
}

// Left open, the cache may grow to a share of the device's memory: the pages of a host's are only taken as blocks are
// used.
std::uint64_t cache_tokens_of(const ModelConfig &config, const ModelOptions &options, const Device &device) {
  std::uint64_t tokens = options.cache_tokens;
  if (tokens == 0) {
    const std::uint64_t bytes = cache_bytes_per_token(config, options.cache_dtype, options.mtp);
    tokens = std::min(device.info().memory_bytes / kCacheShare / bytes, kMostCacheTokens);
    tokens = std::max(tokens / ABK_BLOCK_TOKENS * ABK_BLOCK_TOKENS, least_cache_tokens(config));
  }
  if (tokens > kMostCacheTokens)
    fail(ABY_ERROR_INVALID_ARGUMENT, "cache_tokens is ", tokens, "; at most 2^31 - 65 tokens are supported");
  return (tokens + ABK_BLOCK_TOKENS - 1) / ABK_BLOCK_TOKENS * ABK_BLOCK_TOKENS;
}

void report(const ModelOptions &options, aby_stage stage, std::uint64_t done, std::uint64_t total) {
  if (options.progress && !options.progress(stage, done, total))
    fail(ABY_ERROR_CANCELLED, "opening the model was cancelled");
}

ModelPlan make_plan(const ModelConfig &config, const TensorSource &source, const DevicePtr &device,
                    const ModelOptions &options, const Workspace &workspace) {
  WeightReader reader(device, source, arithmetic_of(options), config.fp8.block_n, config.fp8.block_k,
                      config.fp8.enabled);
  visit_weights(config, options.mtp, reader);
  ModelPlan plan;
  plan.totals = reader.totals();
  plan.active_parameters = plan.totals.parameters - plan.totals.outer_parameters;
  if (config.n_routed_experts > 0)
    plan.active_parameters -= plan.totals.routed_parameters / static_cast<std::uint64_t>(config.n_routed_experts) *
                              static_cast<std::uint64_t>(config.n_routed_experts - config.num_experts_per_tok);
  plan.cache_bytes_per_token = cache_bytes_per_token(config, options.cache_dtype, options.mtp);
  plan.cache_tokens = cache_tokens_of(config, options, *device);
  WorkspaceSize size;
  const std::uint64_t context = options.cache_tokens != 0 ? plan.cache_tokens : least_cache_tokens(config);
  size.context =
      static_cast<std::int32_t>(std::min(context, static_cast<std::uint64_t>(config.max_position_embeddings)));
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

Workspace make_workspace(const DevicePtr &device, const ModelConfig &config, const ModelOptions &options) {
  return {device, config, options.rows, options.absorb_below, options.mtp};
}

} // namespace

ModelPlan LoadedModel::plan(const std::string &path, const ModelOptions &given, ModelConfig &config_out) {
  report(given, ABY_STAGE_READ, 0, 1);
  const Checkpoint checkpoint = open_checkpoint(path);
  const ModelOptions options = settled(given, *checkpoint.source);
  const DevicePtr device = device_of(options);
  config_out = checkpoint.config;
  const auto source = quantised_source(checkpoint.source, config_out, options.mtp, options.weights, 1);
  return make_plan(config_out, *source, device, options, make_workspace(device, config_out, options));
}

std::shared_ptr<LoadedModel> LoadedModel::open(const std::string &path, const ModelOptions &given) {
  report(given, ABY_STAGE_READ, 0, 1);
  Checkpoint checkpoint = open_checkpoint(path);
  const ModelOptions options = settled(given, *checkpoint.source);
  TextParts text = options.tokenizer.empty() ? read_text_parts(checkpoint) : read_text_parts(options.tokenizer);
  report(options, ABY_STAGE_READ, 1, 1);
  DevicePtr device = device_of(options);
  auto cache = packed_cache_of(checkpoint, options, *device);
  std::shared_ptr<LoadedModel> model(new LoadedModel(std::move(checkpoint.config), std::move(checkpoint.source),
                                                     options, std::move(device), std::move(text)));
  model->load(options, std::move(cache));
  return model;
}

std::shared_ptr<LoadedModel> LoadedModel::open_tensors(const std::string &config_json,
                                                       std::shared_ptr<const TensorSource> source,
                                                       const ModelOptions &given) {
  report(given, ABY_STAGE_READ, 0, 1);
  const ModelOptions options = settled(given, *source);
  ModelConfig config = parse_config(config_json, "config_json");
  TextParts text;
  if (!options.tokenizer.empty())
    text = read_text_parts(options.tokenizer);
  report(options, ABY_STAGE_READ, 1, 1);
  std::shared_ptr<LoadedModel> model(
      new LoadedModel(std::move(config), std::move(source), options, device_of(options), std::move(text)));
  model->load(options, nullptr);
  return model;
}

LoadedModel::LoadedModel(ModelConfig config, std::shared_ptr<const TensorSource> source, const ModelOptions &options,
                         DevicePtr device, TextParts text)
    : config_(std::move(config)), source_(std::move(source)), device_(std::move(device)), text_(std::move(text)),
      mtp_(options.mtp), absorb_below_(options.absorb_below), arithmetic_(arithmetic_of(options)),
      quantised_(options.weights), rope_(config_), workspace_(make_workspace(device_, config_, options)),
      cache_(device_, config_, options.cache_dtype,
             static_cast<std::int32_t>(cache_tokens_of(config_, options, *device_) / ABK_BLOCK_TOKENS), options.mtp) {}

void LoadedModel::load(const ModelOptions &options, std::unique_ptr<PackedCache> cache) {
  const auto source = prepared(source_);
  plan_ = make_plan(config_, *source, device_, options, workspace_);
  const std::uint64_t total = plan_.totals.file_bytes;
  report(options, ABY_STAGE_WEIGHTS, 0, total);
  WeightLoader loader(device_, *source, arithmetic_, config_.fp8.block_n, config_.fp8.block_k, config_.fp8.enabled,
                      [&](std::uint64_t done) { report(options, ABY_STAGE_WEIGHTS, done, total); });
  loader.use_images(cache.get());
  weights_ = visit_weights(config_, mtp_, loader);
  weight_map_ = std::move(loader.loaded());
  if (cache == nullptr)
    return;
  cache->finish();
  images_ = cache->file();
  plan_.totals.mapped_bytes += loader.image_bytes();
}

std::shared_ptr<const TensorSource> LoadedModel::prepared(const std::shared_ptr<const TensorSource> &source) const {
  return quantised_source(source, config_, mtp_, quantised_, threads_of(*device_));
}

void LoadedModel::update(const std::shared_ptr<const TensorSource> &replacements) {
  const std::unique_lock lock(weights_mutex_, std::try_to_lock);
  if (!lock.owns_lock())
    fail(ABY_ERROR_BUSY, "the model's weights cannot be replaced while an evaluation runs");
  std::set<std::string> changed;
  for (std::string &name : replacements->names()) {
    if (source_->find(name) == nullptr)
      fail(ABY_ERROR_NOT_FOUND, "tensor ", name, ": the model has none of that name");
    changed.insert(std::move(name));
  }
  const auto source = overlay(source_, replacements), held = prepared(source);
  WeightLoader loader(device_, *held, arithmetic_, config_.fp8.block_n, config_.fp8.block_k, config_.fp8.enabled, {},
                      weight_map_, std::move(changed));
  ModelWeights weights = visit_weights(config_, mtp_, loader);
  profile_.rebind(loader.loaded()); // the last step that can fail
  weights_ = std::move(weights);
  weight_map_ = std::move(loader.loaded());
  source_ = source;
  epoch_.fetch_add(1, std::memory_order_release);
}

const ConstraintCompiler &LoadedModel::constraints() {
  if (text_.tokenizer_error)
    fail(text_.tokenizer_error->status(), "a constraint needs a tokenizer: ", text_.tokenizer_error->text());
  if (!text_.tokenizer)
    fail(ABY_ERROR_STATE, "a constraint needs a tokenizer, and the model has none");
  const std::lock_guard lock(constraints_mutex_);
  if (!constraints_)
    constraints_ = std::make_unique<ConstraintCompiler>(*text_.tokenizer, static_cast<std::size_t>(config_.vocab_size),
                                                        config_.eos_token_ids);
  return *constraints_;
}

void LoadedModel::profile(bool on) {
  const std::shared_lock lock(weights_mutex_);
  if (on)
    profile_.start(weight_map_);
  else
    profile_.stop();
}

ForwardModel LoadedModel::forward_model() noexcept {
  return {&config_, &weights_, &rope_, cache_.layers(), cache_.dtype(), absorb_below_, &profile_};
}

} // namespace abyssal
