#include "engine/text_parts.h"

#include "base/mapped_file.h"
#include "base/status.h"

#include <filesystem>

namespace abyssal {

namespace {

std::string read_if_there(const std::filesystem::path &file) {
  return std::filesystem::exists(file) ? read_text_file(file.string()) : "";
}

} // namespace

TextParts read_text_parts(const std::string &folder, bool required) {
  const std::filesystem::path base(folder);
  const std::filesystem::path file = base / "tokenizer.json";
  TextParts parts;
  if (!std::filesystem::exists(file)) {
    if (required)
      fail(ABY_ERROR_NOT_FOUND, file.string(), ": there is no such file");
    return parts;
  }
  const std::filesystem::path config = base / "tokenizer_config.json";
  parts.tokenizer_config = read_if_there(config);
  parts.tokenizer = Tokenizer::create(read_text_file(file.string()), parts.tokenizer_config, file.string());

  std::string chat_template = read_if_there(base / "chat_template.jinja");
  if (chat_template.empty())
    chat_template = chat_template_of_config(parts.tokenizer_config, config.string());
  if (chat_template.empty())
    return parts;
  try {
    parts.chat_template = ChatTemplate::create(chat_template, parts.tokenizer_config);
  } catch (const Error &error) {
    parts.template_error = error.text();
  }
  return parts;
}

} // namespace abyssal
