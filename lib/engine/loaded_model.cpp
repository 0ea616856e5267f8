#include "engine/loaded_model.h"

#include "base/status.h"
#include "engine/checkpoint.h"
#include "weights/memory_source.h"

#include <algorithm>
#include <limits>

namespace abyssal {

namespace {

constexpr std::uint64_t kDefaultCacheTokens = 32768;
constexpr std::int32_t kPlannedRows = 512; // the default chunk

DevicePtr device_of(const ModelOptions &options) {
  return options.device ? options.device : Device::open(options.device_options);
}

// Type of rows of activations.
aby_dtype row_dtype_of(const ModelOptions &options) noexcept {
  return options.activations == ABY_DTYPE_AUTO ? ABY_DTYPE_F32 : options.activations;
}

// The options with the cache's type settled: left open, quantised weights, whose products round activations anyway,
// have cached rows in bfloat16, others in the type of the activations.
ModelOptions settled(ModelOptions options, const TensorSource &source) {
  if (options.cache_dtype != ABY_DTYPE_AUTO)
    return options;
  const auto quantised = [&](const std::string &name) {
    const auto dtypes = source.stored(name).dtypes;
    return std::any_of(dtypes.begin(), dtypes.end(), is_block_format);
  };
  const auto names = source.names();
  const bool rounds = options.activations == ABY_DTYPE_AUTO && std::any_of(names.begin(), names.end(), quantised);
  options.cache_dtype = rounds ? ABY_DTYPE_BF16 : row_dtype_of(options);
  return options;
}

std::uint64_t cache_tokens_of(const ModelConfig &config, const ModelOptions &options) {
  const auto context = static_cast<std::uint64_t>(config.max_position_embeddings);
  const std::uint64_t asked = options.cache_tokens != 0 ? options.cache_tokens : std::min(context, kDefaultCacheTokens);
  if (asked > std::uint64_t{std::numeric_limits<std::int32_t>::max()} - ABK_BLOCK_TOKENS)
    fail(ABY_ERROR_INVALID_ARGUMENT, "cache_tokens is ", asked, "; at most 2^31 - 65 tokens are supported");
  return (asked + ABK_BLOCK_TOKENS - 1) / ABK_BLOCK_TOKENS * ABK_BLOCK_TOKENS;
}

void report(const ModelOptions &options, aby_stage stage, std::uint64_t done, std::uint64_t total) {
  if (options.progress && !options.progress(stage, done, total))
    fail(ABY_ERROR_CANCELLED, "opening the model was cancelled");
}

ModelPlan make_plan(const ModelConfig &config, const TensorSource &source, const DevicePtr &device,
                    const ModelOptions &options, const Workspace &workspace) {
  WeightReader reader(device, source, options.activations, config.fp8.block_n, config.fp8.block_k, config.fp8.enabled);
  visit_weights(config, options.mtp, reader);
  ModelPlan plan;
  plan.totals = reader.totals();
  plan.active_parameters = plan.totals.parameters - plan.totals.outer_parameters;
  if (config.n_routed_experts > 0)
    plan.active_parameters -= plan.totals.routed_parameters / static_cast<std::uint64_t>(config.n_routed_experts) *
                              static_cast<std::uint64_t>(config.n_routed_experts - config.num_experts_per_tok);
  plan.cache_bytes_per_token = cache_bytes_per_token(config, options.cache_dtype, options.mtp);
  plan.cache_tokens = cache_tokens_of(config, options);
  WorkspaceSize size;
  size.rows = kPlannedRows;
  size.context = static_cast<std::int32_t>(
      std::min(plan.cache_tokens, static_cast<std::uint64_t>(config.max_position_embeddings)));
  size.logits_rows = 1;
  plan.scratch_bytes = workspace.bytes_for(size);
  return plan;
}

Workspace make_workspace(const DevicePtr &device, const ModelConfig &config, const ModelOptions &options) {
  return {device, config, row_dtype_of(options), options.absorb_below, options.mtp};
}

} // namespace

ModelPlan LoadedModel::plan(const std::string &path, const ModelOptions &given, ModelConfig &config_out) {
  const Checkpoint checkpoint = open_checkpoint(path);
  const ModelOptions options = settled(given, *checkpoint.source);
  const DevicePtr device = device_of(options);
  config_out = checkpoint.config;
  return make_plan(config_out, *checkpoint.source, device, options, make_workspace(device, config_out, options));
}

std::shared_ptr<LoadedModel> LoadedModel::open(const std::string &path, const ModelOptions &given) {
  report(given, ABY_STAGE_READ, 0, 1);
  Checkpoint checkpoint = open_checkpoint(path);
  const ModelOptions options = settled(given, *checkpoint.source);
  TextParts text = options.tokenizer.empty() ? read_text_parts(checkpoint) : read_text_parts(options.tokenizer, true);
  report(options, ABY_STAGE_READ, 1, 1);
  std::shared_ptr<LoadedModel> model(new LoadedModel(std::move(checkpoint.config), std::move(checkpoint.source),
                                                     options, device_of(options), std::move(text)));
  model->load(options);
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
    text = read_text_parts(options.tokenizer, true);
  report(options, ABY_STAGE_READ, 1, 1);
  std::shared_ptr<LoadedModel> model(
      new LoadedModel(std::move(config), std::move(source), options, device_of(options), std::move(text)));
  model->load(options);
  return model;
}

LoadedModel::LoadedModel(ModelConfig config, std::shared_ptr<const TensorSource> source, const ModelOptions &options,
                         DevicePtr device, TextParts text)
    : config_(std::move(config)), source_(std::move(source)), device_(std::move(device)), text_(std::move(text)),
      mtp_(options.mtp), absorb_below_(options.absorb_below), arithmetic_(options.activations), rope_(config_),
      workspace_(make_workspace(device_, config_, options)),
      cache_(device_, config_, options.cache_dtype,
             static_cast<std::int32_t>(cache_tokens_of(config_, options) / ABK_BLOCK_TOKENS), options.mtp) {}

void LoadedModel::load(const ModelOptions &options) {
  plan_ = make_plan(config_, *source_, device_, options, workspace_);
  const std::uint64_t total = plan_.totals.file_bytes;
  report(options, ABY_STAGE_WEIGHTS, 0, total);
  WeightLoader loader(device_, *source_, options.activations, config_.fp8.block_n, config_.fp8.block_k,
                      config_.fp8.enabled,
                      [&](std::uint64_t done) { report(options, ABY_STAGE_WEIGHTS, done, total); });
  weights_ = visit_weights(config_, mtp_, loader);
  weight_map_ = std::move(loader.loaded());
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
  const auto source = overlay(source_, replacements);
  WeightLoader loader(device_, *source, arithmetic_, config_.fp8.block_n, config_.fp8.block_k, config_.fp8.enabled, {},
                      weight_map_, std::move(changed));
  ModelWeights weights = visit_weights(config_, mtp_, loader);
  profile_.rebind(loader.loaded()); // the last step that can fail
  weights_ = std::move(weights);
  weight_map_ = std::move(loader.loaded());
  source_ = source;
  epoch_.fetch_add(1, std::memory_order_release);
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
