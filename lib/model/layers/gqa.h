// Grouped-query attention.
#pragma once

#include "model/layers/layer_part.h"

namespace abyssal {

struct GqaSpec final : AttentionSpec {
  std::int32_t heads = 0, kv_heads = 0, head_dim = 0;
  bool qkv_bias = false, o_bias = false;

  std::vector<CacheSpec> caches() const override; // keys, values
  AttentionInfo info() const override { return {"gqa", heads, kv_heads, 0}; }
  std::uint64_t arena_bytes(const PassShape &shape) const override;
  std::vector<abk_op_desc> ops(const PassShape &shape) const override;
  std::unique_ptr<const Attention> load(const WeightScope &attention, std::int32_t hidden) const override;
};

} // namespace abyssal
