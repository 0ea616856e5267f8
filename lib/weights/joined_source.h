// kv_b_proj for checkpoints that store it in halves only, a head to a matrix.
#pragma once

#include "weights/tensor_source.h"

#include <memory>

namespace abyssal {

// The source with self_attn.kv_b_proj.weight, in float32, for every layer that has self_attn.k_b_proj.HEAD.weight
// [lora, nope] and v_b_proj.HEAD.weight [v, lora] for HEAD = 0, 1, ... but not the whole; the source itself where there
// is none. Throws FORMAT for halves that do not fit each other, and NOT_FOUND for one that is missing.
std::shared_ptr<const TensorSource> join_halves(std::shared_ptr<const TensorSource> source);

// self_attn.k_b_proj.HEAD.weight from self_attn.kv_b_proj.weight; which is "k_b_proj" or "v_b_proj".
std::string half_name(const std::string &kv_b, const char *which, std::int64_t head);

} // namespace abyssal
