// Writes a safetensors file, a tensor at a time.
#pragma once

#include "weights/tensor_source.h"

#include <functional>
#include <string>
#include <vector>

namespace abyssal {

// Writes the named tensors of a source to `path`, by way of a temporary name beside it. Block formats are written as
// the types "Q8_0" and so on. progress hears the bytes written so far, and throws to cancel. Throws IO, and what
// making a tensor throws; then no file is left.
void write_safetensors(const std::string &path, const TensorSource &source, const std::vector<std::string> &names,
                       const std::function<void(std::uint64_t done, std::uint64_t total)> &progress);

} // namespace abyssal
