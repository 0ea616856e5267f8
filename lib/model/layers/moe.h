// A mixture of experts: router, routed experts, shared experts.
#pragma once

#include "model/layers/layer_part.h"

namespace abyssal {

struct MoeSpec final : FeedForwardSpec {
  std::int32_t n_routed_experts = 0, n_shared_experts = 0, num_experts_per_tok = 0, moe_intermediate_size = 0;
  std::int32_t n_group = 1, topk_group = 1;
  abk_scoring scoring = ABK_SCORING_SOFTMAX;
  abk_topk_method topk_method = ABK_TOPK_GREEDY;
  bool norm_topk_prob = false;
  float routed_scaling_factor = 1.0f;

  RoutedExperts routed() const override { return {n_routed_experts, num_experts_per_tok}; }
  std::uint64_t arena_bytes(const PassShape &shape) const override;
  std::vector<abk_op_desc> ops(const PassShape &shape) const override;
  std::unique_ptr<const FeedForward> load(const WeightScope &mlp, std::int32_t hidden) const override;
};

} // namespace abyssal
