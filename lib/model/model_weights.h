// The weights of a model, by their place in the forward pass. Null where a model has none.
#pragma once

#include "model/config.h"
#include "model/weight_visitor.h"

#include <optional>
#include <vector>

namespace abyssal {

struct MlaWeights {
  WeightPtr q_a, q_a_norm; // null without q_lora_rank
  WeightPtr q_b;           // q_b_proj, or q_proj without q_lora_rank
  WeightPtr kv_a, kv_a_norm, kv_b;
  WeightPtr k_b, v_b; // kv_b in halves, a head to a matrix, where the checkpoint stores them so
  WeightPtr q_a_bias, kv_a_bias;
};

struct GqaWeights {
  WeightPtr q, k, v;
  WeightPtr q_bias, k_bias, v_bias;
};

struct MlpWeights {
  WeightPtr gate, up, down;
};

struct MoeWeights {
  WeightPtr router;      // gate.weight [experts, hidden]
  WeightPtr router_bias; // e_score_correction_bias, noaux_tc only
  MlpWeights experts;    // stacked
  MlpWeights shared;     // null without shared experts
};

struct LayerWeights {
  WeightPtr input_norm, post_attention_norm;
  std::optional<MlaWeights> mla;
  std::optional<GqaWeights> gqa;
  WeightPtr o, o_bias;
  std::optional<MlpWeights> mlp; // dense layers
  std::optional<MoeWeights> moe;
};

// The multi-token-prediction layer, stored as layer num_hidden_layers.
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

// Visits every weight that the config asks for, the MTP layer only with mtp, and returns what the visitor gave.
ModelWeights visit_weights(const ModelConfig &config, bool mtp, WeightVisitor &visitor);

} // namespace abyssal
