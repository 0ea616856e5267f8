// Reads a checkpoint's tokenizer and chat template.
#pragma once

#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "weights/gguf_metadata.h"

#include <memory>
#include <string>

namespace abyssal {

// Either part may be null. A template that does not compile does not keep a model from opening: the reason is kept.
struct TextParts {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const ChatTemplate> chat_template;
  std::string template_error;
  std::string tokenizer_config; // text of tokenizer_config.json, or ""
};

// From tokenizer.json, tokenizer_config.json and chat_template.jinja in a folder. required: throws NOT_FOUND when there
// is no tokenizer.json; else the parts are null then.
TextParts read_text_parts(const std::string &folder, bool required);

// From the metadata of a GGUF file. The parts are null when it has no tokenizer; one that is not supported throws.
TextParts read_text_parts(const GgufMetadata &metadata);

} // namespace abyssal
