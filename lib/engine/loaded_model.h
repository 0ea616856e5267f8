// A model ready to run: spec, prepared weights, text, and the cache that its sequences share.
#pragma once

#include "engine/paged_cache.h"
#include "load/model_plan.h"
#include "load/packed_cache.h"
#include "load/text_parts.h"
#include "model/forward.h"
#include "text/constraint.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

namespace abyssal {

class LoadedModel {
public:
  static std::shared_ptr<LoadedModel> open(const std::string &path, const ModelOptions &options);
  static std::shared_ptr<LoadedModel>
  open_tensors(const std::string &config_json, std::shared_ptr<const TensorSource> source, const ModelOptions &options);
  // What open would need; reads headers only.
  static ModelPlan plan(const std::string &path, const ModelOptions &options, ModelSpec &spec_out);

  // Replaces weights. Throws BUSY while an evaluation runs, NOT_FOUND for a tensor that the model does not have.
  void update(const std::shared_ptr<const TensorSource> &replacements);

  const ModelSpec &spec() const noexcept { return spec_; }
  const ModelPlan &plan() const noexcept { return plan_; }
  const DevicePtr &device() const noexcept { return device_; }
  const TextParts &text() const noexcept { return text_; }
  // What constraints of replies are compiled with; made when it is first asked for. Throws without a tokenizer.
  const ConstraintCompiler &constraints();
  const Rope &rope() const noexcept { return rope_; }
  PagedCache &cache() noexcept { return cache_; }
  Workspace &workspace() noexcept { return workspace_; } // under the device's queue mutex
  aby_dtype activations() const noexcept { return workspace_.activations(); }
  bool from_packed_cache() const noexcept { return images_ != nullptr; }
  const Arithmetic &arithmetic() const noexcept { return arithmetic_; }
  bool mtp() const noexcept { return mtp_; }
  ForwardModel forward_model() noexcept;

  // Starts measuring evaluations anew, or stops. What was measured stays until the next start.
  void profile(bool on);
  Profile &profile() noexcept { return profile_; }

  // Counts the replacements of weights; a sequence made with another count is stale.
  std::uint64_t epoch() const noexcept { return epoch_.load(std::memory_order_acquire); }
  // Held shared while an evaluation runs.
  std::shared_mutex &weights_mutex() noexcept { return weights_mutex_; }

private:
  LoadedModel(ModelSpec spec, std::shared_ptr<const TensorSource> source, const ModelOptions &options, DevicePtr device,
              TextParts text);
  // cache: null for none.
  void load(const ModelOptions &options, std::unique_ptr<PackedCache> cache);
  // The source as the weights are made from it.
  std::shared_ptr<const TensorSource> prepared(const std::shared_ptr<const TensorSource> &source) const;

  ModelSpec spec_;
  std::shared_ptr<const TensorSource> source_; // as stored, and replaced
  DevicePtr device_;
  TextParts text_;
  std::mutex constraints_mutex_;
  std::unique_ptr<ConstraintCompiler> constraints_;
  bool mtp_;
  std::uint32_t absorb_below_;
  Arithmetic arithmetic_;
  aby_weights_kind quantised_; // how weights are held
  Rope rope_;
  ModelPlan plan_;
  Workspace workspace_;
  PagedCache cache_;
  std::shared_ptr<const PackedFile> images_; // that weights lie in; null for none
  WeightMap weight_map_;
  ModelWeights weights_;
  std::shared_mutex weights_mutex_;
  std::atomic<std::uint64_t> epoch_{0};
  Profile profile_;
};

} // namespace abyssal
