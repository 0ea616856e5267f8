// Reads a checkpoint's tokenizer and chat template.
#pragma once

#include "base/status.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "weights/gguf_metadata.h"

#include <memory>
#include <optional>
#include <string>

namespace abyssal {

// Either part may be null, and the reason is kept. Nothing but text needs them.
struct TextParts {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::optional<Error> tokenizer_error; // why a tokenizer that is there cannot be used
  std::string missing = "the model was opened without a tokenizer: there is no tokenizer.json beside it";
  std::shared_ptr<const ChatTemplate> chat_template;
  std::string template_error;
  std::string tokenizer_config; // text of tokenizer_config.json, or ""

  // Throws tokenizer_error, or STATE with `missing` when there is none at all.
  const Tokenizer &need_tokenizer() const;
};

// From tokenizer.json, tokenizer_config.json and chat_template.jinja in a folder. Throws NOT_FOUND when there is no
// tokenizer.json, FORMAT or UNSUPPORTED for one that cannot be used, or IO.
TextParts read_text_parts(const std::string &folder);

// From the metadata of a GGUF file. The parts are null when it has no tokenizer; else as of a folder.
TextParts read_text_parts(const GgufMetadata &metadata);

} // namespace abyssal
