// Tensors in memory: copies of the caller's arrays, and replacements laid over another source.
#pragma once

#include "weights/tensor_source.h"

#include <memory>
#include <span>

namespace abyssal {

// Copies the tensors. Throws INVALID_ARGUMENT (naming the tensor) for one without name or data, a name given twice, a
// type, rank or shape that cannot be, or bytes that do not fit the shape.
std::shared_ptr<const TensorSource> make_memory_source(std::span<const aby_tensor> tensors);

// The tensors of base, except those that replacements has. A source is let go as soon as no tensor of it is left, so
// that replacing the same tensors again and again does not gather memory.
std::shared_ptr<const TensorSource> overlay(const std::shared_ptr<const TensorSource> &base,
                                            const std::shared_ptr<const TensorSource> &replacements);

} // namespace abyssal
