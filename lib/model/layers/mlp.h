// A dense SwiGLU.
#pragma once

#include "device/device.h"
#include "model/layers/layer_part.h"

namespace abyssal {

// The three matrices of a SwiGLU, or of all experts', stacked.
struct MlpWeights {
  WeightPtr gate, up, down;
};

MlpWeights load_mlp(const WeightScope &scope, std::int64_t hidden, std::int64_t inter);

struct MlpSpec final : FeedForwardSpec {
  std::int32_t intermediate_size = 0;

  std::uint64_t arena_bytes(const PassShape &) const override { return 0; }
  std::vector<abk_op_desc> ops(const PassShape &shape) const override;
  std::unique_ptr<const FeedForward> load(const WeightScope &mlp, std::int32_t hidden) const override;
};

} // namespace abyssal
