// The tensors of a GGUF model under the names and in the arrangement of the published checkpoints.
#pragma once

#include "weights/gguf_model.h"
#include "weights/tensor_source.h"

#include <memory>

namespace abyssal {

// Everything that can be read in place is: an expert is a slice of the file's stacked tensor. Two kinds are made when a
// weight is loaded (see TensorSource::make): kv_b_proj where the file has it in halves, in float32, and q_proj and
// k_proj of "llama", whose rows are stored permuted. Tensors of unknown names keep theirs. Throws FORMAT where a
// stacked, halved or permuted tensor has a shape that cannot be one.
std::shared_ptr<const TensorSource> make_gguf_source(std::shared_ptr<const GgufModel> model);

} // namespace abyssal
