#include "engine/loaded_model.h"

#include "base/dtype.h"
#include "base/status.h"
#include "load/checkpoint.h"
#include "load/rounding.h"
#include "weights/memory_source.h"

#include <algorithm>
#include <limits>

namespace abyssal {

namespace {

unsigned threads_of(const Device &device) { return std::max(device.info().threads, 1u); }

DevicePtr device_of(const ModelOptions &options) {
  return options.device ? options.device : Device::open(options.device_options);
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

} // namespace

ModelPlan LoadedModel::plan(const std::string &path, const ModelOptions &given, ModelSpec &spec_out) {
  report(given, ABY_STAGE_READ, 0, 1);
  const Checkpoint checkpoint = open_checkpoint(path);
  const ModelOptions options = settled(given, *checkpoint.source);
  const DevicePtr device = device_of(options);
  spec_out = checkpoint.spec;
  const auto source = quantised_source(checkpoint.source, spec_out, options.mtp, options.weights, 1);
  return make_plan(spec_out, *source, device, options, make_workspace(device, spec_out, options));
}

std::shared_ptr<LoadedModel> LoadedModel::open(const std::string &path, const ModelOptions &given) {
  report(given, ABY_STAGE_READ, 0, 1);
  Checkpoint checkpoint = open_checkpoint(path);
  const ModelOptions options = settled(given, *checkpoint.source);
  TextParts text = options.tokenizer.empty() ? read_text_parts(checkpoint) : read_text_parts(options.tokenizer);
  report(options, ABY_STAGE_READ, 1, 1);
  DevicePtr device = device_of(options);
  auto cache = packed_cache_of(checkpoint, options, *device);
  std::shared_ptr<LoadedModel> model(new LoadedModel(std::move(checkpoint.spec), std::move(checkpoint.source), options,
                                                     std::move(device), std::move(text)));
  model->load(options, std::move(cache));
  return model;
}

std::shared_ptr<LoadedModel> LoadedModel::open_tensors(const std::string &config_json,
                                                       std::shared_ptr<const TensorSource> source,
                                                       const ModelOptions &given) {
  report(given, ABY_STAGE_READ, 0, 1);
  const ModelOptions options = settled(given, *source);
  ModelSpec spec = parse_config(config_json, "config_json");
  TextParts text;
  if (!options.tokenizer.empty())
    text = read_text_parts(options.tokenizer);
  report(options, ABY_STAGE_READ, 1, 1);
  std::shared_ptr<LoadedModel> model(
      new LoadedModel(std::move(spec), std::move(source), options, device_of(options), std::move(text)));
  model->load(options, nullptr);
  return model;
}

LoadedModel::LoadedModel(ModelSpec spec, std::shared_ptr<const TensorSource> source, const ModelOptions &options,
                         DevicePtr device, TextParts text)
    : spec_(std::move(spec)), source_(std::move(source)), device_(std::move(device)), text_(std::move(text)),
      mtp_(options.mtp), absorb_below_(options.absorb_below), arithmetic_(arithmetic_of(options)),
      quantised_(options.weights), rope_(spec_.rope), workspace_(make_workspace(device_, spec_, options)),
      cache_(device_, spec_, options.cache_dtype,
             static_cast<std::int32_t>(cache_tokens_of(spec_, options, *device_) / ABK_BLOCK_TOKENS), options.mtp) {}

void LoadedModel::load(const ModelOptions &options, std::unique_ptr<PackedCache> cache) {
  const auto source = prepared(source_);
  plan_ = make_plan(spec_, *source, device_, options, workspace_);
  const std::uint64_t total = plan_.totals.file_bytes;
  report(options, ABY_STAGE_WEIGHTS, 0, total);
  WeightLoader loader(device_, *source, arithmetic_, spec_.fp8.block_n, spec_.fp8.block_k, spec_.fp8.enabled,
                      [&](std::uint64_t done) { report(options, ABY_STAGE_WEIGHTS, done, total); });
  loader.use_images(cache.get());
  weights_ = visit_weights(spec_, mtp_, loader);
  weight_map_ = std::move(loader.loaded());
  if (cache == nullptr)
    return;
  cache->finish();
  images_ = cache->file();
  plan_.totals.mapped_bytes += loader.image_bytes();
}

std::shared_ptr<const TensorSource> LoadedModel::prepared(const std::shared_ptr<const TensorSource> &source) const {
  return quantised_source(source, spec_, mtp_, quantised_, threads_of(*device_));
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
  WeightLoader loader(device_, *held, arithmetic_, spec_.fp8.block_n, spec_.fp8.block_k, spec_.fp8.enabled, {},
                      weight_map_, std::move(changed));
  ModelWeights weights = visit_weights(spec_, mtp_, loader);
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
    constraints_ = std::make_unique<ConstraintCompiler>(*text_.tokenizer, static_cast<std::size_t>(spec_.vocab_size),
                                                        spec_.eos_token_ids);
  return *constraints_;
}

void LoadedModel::profile(bool on) {
  const std::shared_lock lock(weights_mutex_);
  if (on)
    profile_.start();
  else
    profile_.stop();
}

ForwardModel LoadedModel::forward_model() noexcept {
  return {&spec_, &weights_, &rope_, cache_.layers(), cache_.dtype(), absorb_below_, &profile_};
}

} // namespace abyssal
