// A checkpoint's chat template (Jinja), rendered as Hugging Face renders it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace abyssal {

struct ChatInput {
  std::string_view messages_json;  // JSON array
  std::string_view tools_json;     // JSON array or ""
  std::string_view variables_json; // JSON object of further variables or ""
  bool add_generation_prompt = true;
};

class ChatTemplate {
public:
  // template_text: Jinja. tokenizer_config: JSON text whose *_token entries become variables (bos_token, ...), or "".
  // Throws TEMPLATE on a syntax error, with its line.
  static std::shared_ptr<const ChatTemplate> create(const std::string &template_text,
                                                    const std::string &tokenizer_config);
  ~ChatTemplate();
  ChatTemplate(const ChatTemplate &) = delete;
  ChatTemplate &operator=(const ChatTemplate &) = delete;

  // Throws TEMPLATE: invalid JSON, raise_exception, or an error in the template, with its line.
  std::string render(const ChatInput &input) const;
  // Whether the input has tools, and is the same text without them.
  bool drops_tools(ChatInput input, const std::string &text) const;
  // Whether tools change what a plain chat becomes.
  bool takes_tools() const;

private:
  struct State;
  explicit ChatTemplate(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The template in tokenizer_config.json ("chat_template", a string, or a list with one named "default"), or "".
// Throws FORMAT on invalid JSON.
std::string chat_template_of_config(const std::string &tokenizer_config, const std::string &origin);

} // namespace abyssal
