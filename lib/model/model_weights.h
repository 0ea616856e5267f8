// The weights of a model, by their place in the forward pass. Null where a model has none.
#pragma once

#include "model/spec.h"
#include "model/weight_visitor.h"

#include <memory>
#include <optional>
#include <vector>

namespace abyssal {

struct LayerWeights {
  WeightPtr input_norm, post_attention_norm;
  std::unique_ptr<const Attention> attention;
  std::unique_ptr<const FeedForward> feed_forward;
};

// The multi-token-prediction layer, stored as one more layer.
struct MtpWeights {
  WeightPtr embed, enorm, hnorm, eh_proj;
  LayerWeights layer;
  WeightPtr head_norm, head;
};

struct ModelWeights {
  WeightPtr embed;
  std::vector<LayerWeights> layers;
  WeightPtr norm;
  WeightPtr head; // when tied, embed itself or the same in another layout
  std::optional<MtpWeights> mtp;
};

// Visits every weight that the spec asks for, the MTP layer only with mtp, and returns what the visitor gave.
ModelWeights visit_weights(const ModelSpec &spec, bool mtp, WeightVisitor &visitor);

} // namespace abyssal
