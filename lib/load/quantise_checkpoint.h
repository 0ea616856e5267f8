// Writes a checkpoint with rounded weights, so that opening it costs what its size costs.
#pragma once

#include "load/model_options.h"

#include <string>

namespace abyssal {

// The checkpoint in the folder `path` into the folder `out`: model.safetensors with rounded matrices, and copies of the
// other files that a model is opened with. config.json comes last, so that an unfinished folder does not open. Uses
// weights, device_options.threads and progress. Throws as LoadedModel::open; UNSUPPORTED for GGUF; INVALID_ARGUMENT
// where `out` holds a checkpoint.
void quantise_checkpoint(const std::string &path, const std::string &out, const ModelOptions &options);

} // namespace abyssal
