// The decoder layer and its parts, in the order a paper describes them.
#pragma once

#include "model/forward.h"

namespace abyssal {

// What every op of a pass needs.
struct PassContext {
  Device &device;
  const abk_backend &api;
  const Workspace &workspace;
  const ForwardModel &model;
  const ModelConfig &config;
  std::int32_t rows;      // tokens of the batch
  const abk_batch *batch; // uploaded

  abk_rows residual() const { return f32(workspace.at().residual, config.hidden_size); }
  abk_rows delta() const { return f32(workspace.at().delta, config.hidden_size); }
  abk_rows normed() const { return act(workspace.at().normed, config.hidden_size); }
  abk_rows f32(const Buffer &buffer, std::int64_t cols) const { return Workspace::rows(buffer, ABY_DTYPE_F32, cols); }
  abk_rows act(const Buffer &buffer, std::int64_t cols) const {
    return Workspace::rows(buffer, workspace.activations(), cols);
  }
};

// residual += delta, unless this is the first use of the residual; then norm of it into out.
void norm_add(const PassContext &pass, bool add, const WeightPtr &weight, abk_rows out);

// Attention block on `normed` -> delta.
void attention(const PassContext &pass, const LayerWeights &layer, const LayerCache &cache);

// Router, experts or dense MLP on `normed` -> delta.
void feed_forward(const PassContext &pass, const LayerWeights &layer);

} // namespace abyssal
