// A checkpoint whose matrices are rounded to a block format when they are asked for, one at a time.
#pragma once

#include "weights/tensor_source.h"

#include <map>
#include <memory>

namespace abyssal {

// What is to be rounded, by published names, and to which format: Q8_0 or Q4_0. Tensors that are not named stay as they
// are.
struct QuantiseList {
  std::map<std::string, aby_dtype> matrices; // [n, k], of f32, f16, bf16 or f8_e4m3; k a multiple of 32
  // kv_b_proj is rounded as absorbed attention multiplies with it: in halves, a head to a matrix, the key half
  // transposed: self_attn.k_b_proj.HEAD.weight [lora, nope] and v_b_proj.HEAD.weight [v, lora]. kv_b_proj itself is
  // then joined from them (see join_halves): whichever form a backend uses, it is the same model.
  struct KvB {
    aby_dtype format;
    std::int64_t heads, nope, v, lora;
  };
  std::map<std::string, KvB> kv_b;
  std::int64_t scale_n = 128, scale_k = 128; // blocks of the scales of f8_e4m3, NAME_scale_inv
  unsigned threads = 1;                      // that round a large matrix
};

// The tensors that the list names must be there with those shapes and types, scales included.
std::shared_ptr<const TensorSource> quantise_source(std::shared_ptr<const TensorSource> source, QuantiseList list);

} // namespace abyssal
