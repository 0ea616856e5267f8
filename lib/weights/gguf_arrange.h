// Tensors that a GGUF file stores in another arrangement than the published checkpoints have.
#pragma once

#include "base/tensor_view.h"

#include <cstddef>
#include <vector>

namespace abyssal {

// kv_b_proj [heads * (nope + v), kv_lora] in float32 from its halves: keys [heads, kv_lora, nope], each head
// transposed, and values [heads, v, kv_lora], of any weight types. Takes the result's memory and one row.
std::vector<std::byte> join_kv_b(const TensorView &keys, const TensorView &values);

// The rows of q_proj or k_proj [n, k], or the elements of their biases [n], in the published order: row p * (d / 2) + j
// of a head is stored as its row 2j + p, so that pairs which rotate together are neighbours. Types stay, for rows are
// moved whole.
std::vector<std::byte> unpermute_rows(const TensorView &stored, std::int64_t head_dim);

} // namespace abyssal
