#include "load/text_parts.h"

#include "base/mapped_file.h"
#include "base/status.h"
#include "text/gguf_tokenizer.h"

#include <filesystem>

namespace abyssal {

namespace {

std::string read_if_there(const std::filesystem::path &file) {
  return std::filesystem::exists(file) ? read_text_file(file.string()) : "";
}

// read gives the template's text, or "". Whatever is wrong with it matters to who asks for a chat.
template <typename Read> void add_template(TextParts &parts, Read &&read) {
  try {
    if (const std::string chat_template = read(); !chat_template.empty())
      parts.chat_template = ChatTemplate::create(chat_template, parts.tokenizer_config);
  } catch (const Error &error) {
    parts.template_error = error.text();
  }
}

std::string text_or_empty(const GgufMetadata &metadata, const char *key) {
  return std::string(metadata.text(key).value_or(""));
}

GgufVocabulary read_vocabulary(const GgufMetadata &metadata) {
  GgufVocabulary vocabulary;
  auto tokens = metadata.texts("tokenizer.ggml.tokens");
  if (!tokens)
    metadata.refuse("tokenizer.ggml.tokens", "the tokenizer needs it");
  // The tokenizer model of that name has one split.
  const bool gemma4 = text_or_empty(metadata, "tokenizer.ggml.model") == "gemma4";
  vocabulary.pre = gemma4 ? "gemma4" : text_or_empty(metadata, "tokenizer.ggml.pre");
  vocabulary.tokens = std::move(*tokens);
  vocabulary.merges = metadata.texts("tokenizer.ggml.merges");
  vocabulary.types = metadata.integers("tokenizer.ggml.token_type").value_or(std::vector<std::int64_t>());
  vocabulary.bos = metadata.integer("tokenizer.ggml.bos_token_id");
  vocabulary.eos = metadata.integer("tokenizer.ggml.eos_token_id");
  vocabulary.pad = metadata.integer("tokenizer.ggml.padding_token_id");
  vocabulary.add_bos = metadata.boolean("tokenizer.ggml.add_bos_token");
  return vocabulary;
}

} // namespace

const Tokenizer &TextParts::need_tokenizer() const {
  if (tokenizer_error)
    throw *tokenizer_error;
  if (!tokenizer)
    fail(ABY_ERROR_STATE, missing);
  return *tokenizer;
}

TextParts read_text_parts(const GgufMetadata &metadata) {
  TextParts parts;
  const std::string model = text_or_empty(metadata, "tokenizer.ggml.model");
  if (model.empty() || model == "no_vocab" || model == "none") {
    parts.missing = concat(metadata.path(), ": there is no tokenizer: tokenizer.ggml.model is ",
                           model.empty() ? "missing" : "\"" + model + "\"");
    return parts;
  }
  if (model != "gpt2" && model != "gemma4")
    fail(ABY_ERROR_UNSUPPORTED, metadata.path(), ": tokenizer.ggml.model \"", model,
         "\" is not supported; supported are: gpt2, gemma4 (BPE)");
  TokenizerTexts texts = gguf_tokenizer_texts(read_vocabulary(metadata), metadata.path());
  parts.tokenizer_config = std::move(texts.config);
  parts.tokenizer = Tokenizer::create(texts.tokenizer, parts.tokenizer_config, metadata.path());
  add_template(parts, [&] { return text_or_empty(metadata, "tokenizer.chat_template"); });
  return parts;
}

TextParts read_text_parts(const std::string &folder) {
  const std::filesystem::path base(folder);
  const std::filesystem::path file = base / "tokenizer.json", config = base / "tokenizer_config.json";
  if (!std::filesystem::exists(file))
    fail(ABY_ERROR_NOT_FOUND, file.string(), ": there is no such file");
  TextParts parts;
  parts.tokenizer_config = read_if_there(config);
  parts.tokenizer = Tokenizer::create(read_text_file(file.string()), parts.tokenizer_config, file.string());
  add_template(parts, [&] {
    std::string chat_template = read_if_there(base / "chat_template.jinja");
    return chat_template.empty() ? chat_template_of_config(parts.tokenizer_config, config.string()) : chat_template;
  });
  return parts;
}

} // namespace abyssal
