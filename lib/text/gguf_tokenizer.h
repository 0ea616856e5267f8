// The tokenizer of a GGUF file, as the texts that a published checkpoint has for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace abyssal {

// The keys tokenizer.ggml.* of a BPE.
struct GgufVocabulary {
  std::string pre;                      // which pre-tokenizer; "" where the file does not say
  std::vector<std::string_view> tokens; // by id
  std::vector<std::int64_t> types;      // 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused; or none at all
  std::optional<std::vector<std::string_view>> merges; // "left right", the first ones first
  std::optional<std::int64_t> bos, eos, pad;
  std::optional<bool> add_bos;
};

struct TokenizerTexts {
  std::string tokenizer; // as tokenizer.json
  std::string config;    // as tokenizer_config.json, but for the chat template
};

// origin names the file in messages. Throws UNSUPPORTED for a pre-tokenizer that is not known, and FORMAT for what
// contradicts itself.
TokenizerTexts gguf_tokenizer_texts(const GgufVocabulary &vocabulary, const std::string &origin);

} // namespace abyssal
