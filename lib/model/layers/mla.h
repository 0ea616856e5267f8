// Multi-head latent attention (DeepSeek-V2, section 2.1).
#pragma once

#include "model/layers/layer_part.h"

namespace abyssal {

struct MlaSpec final : AttentionSpec {
  std::int32_t heads = 0;
  std::int32_t q_lora_rank = 0; // 0: queries come from one matrix, q_proj
  std::int32_t kv_lora_rank = 0, qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
  bool bias = false; // on q_a_proj, kv_a_proj_with_mqa and o_proj

  std::vector<CacheSpec> caches() const override;
  AttentionInfo info() const override { return {"mla", heads, 0, kv_lora_rank}; }
  std::uint64_t arena_bytes(const PassShape &shape) const override;
  std::vector<abk_op_desc> ops(const PassShape &shape) const override;
  std::unique_ptr<const Attention> load(const WeightScope &attention, std::int32_t hidden) const override;
};

} // namespace abyssal
