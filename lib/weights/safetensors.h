// Hugging Face safetensors, one file or a folder with shards, memory-mapped.
#pragma once

#include "weights/tensor_source.h"

#include <memory>
#include <string>

namespace abyssal {

// Opens the checkpoint in a folder: model.safetensors.index.json and the shards it names, or model.safetensors, or the
// only *.safetensors file there (not *.expected). Checks every header completely before returning: length, JSON,
// dtypes, shapes against byte ranges, overlaps, holes, the end of the file, shards and tensors that the index names.
// Throws NOT_FOUND, IO, FORMAT or UNSUPPORTED with file, tensor and offset.
std::shared_ptr<const TensorSource> open_safetensors_folder(const std::string &folder);

// Opens one file.
std::shared_ptr<const TensorSource> open_safetensors_file(const std::string &path);

} // namespace abyssal
