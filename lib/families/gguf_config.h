// The config of a GGUF model, from its metadata and from which tensors it has.
#pragma once

#include "families/config.h"
#include "weights/gguf_metadata.h"
#include "weights/tensor_source.h"

namespace abyssal {

// Throws UNSUPPORTED for an architecture that this library does not run, by name, before anything else is looked at.
void check_gguf_architecture(const GgufMetadata &metadata);

// Architectures deepseek2 (V2, V3, R1, Kimi-K2, ...), qwen2 and llama. The numbers are put into the terms of a
// config.json and checked as those are; messages name the keys of the file. source: the model's tensors under their
// published names. Throws FORMAT or UNSUPPORTED as parse_config.
ModelSpec parse_gguf_config(const GgufMetadata &metadata, const TensorSource &source);

} // namespace abyssal
