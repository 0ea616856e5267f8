// Rotary position embedding: frequencies of every scaling in use, and the table of one pass.
#pragma once

#include "model/spec.h"

#include <cstdint>
#include <vector>

namespace abyssal {

class Rope {
public:
  explicit Rope(const RopeConfig &rope);

  std::int32_t dim() const noexcept { return static_cast<std::int32_t>(2 * inverse_frequency_.size()); }
  const std::vector<float> &inverse_frequency() const noexcept { return inverse_frequency_; }

  // Factor of the attention scores: head size^-0.5, and YaRN's m^2 for MLA when mscale_all_dim is set.
  float score_scale() const noexcept { return score_scale_; }

  // Appends cos and sin of each frequency at a position: dim floats.
  void append(std::vector<float> &table, std::int32_t position) const;

private:
  std::vector<float> inverse_frequency_; // [dim / 2]
  float attention_factor_ = 1.0f;        // on cos and sin
  float score_scale_ = 1.0f;
};

} // namespace abyssal
