// A model's files, in whichever form they are: a published folder, or GGUF.
#pragma once

#include "families/config.h"
#include "load/text_parts.h"
#include "weights/gguf_model.h"
#include "weights/tensor_source.h"

#include <memory>
#include <string>

namespace abyssal {

struct Checkpoint {
  std::string path; // of the folder, or of the GGUF file
  ModelSpec spec;
  std::shared_ptr<const TensorSource> source;
  std::string identity;                  // what tells the config from another one; "" where the source's identity does
  std::shared_ptr<const GgufModel> gguf; // null for a folder with config.json
};

// path: a folder with config.json and *.safetensors, a GGUF file or a part of one, or a folder with one GGUF model and
// no config.json. Reads headers only. Throws NOT_FOUND, IO, FORMAT or UNSUPPORTED.
Checkpoint open_checkpoint(const std::string &path);

// The checkpoint's own tokenizer and chat template. What is wrong with them is kept in the result.
TextParts read_text_parts(const Checkpoint &checkpoint);

} // namespace abyssal
