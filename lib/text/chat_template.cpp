#include "text/chat_template.h"

#include "base/status.h"
#include "text/text_call.h"

#include <mutex>
#include <nlohmann/json.hpp>

namespace abyssal {

using nlohmann::ordered_json;

namespace {

struct TemplateDeleter {
  void operator()(abytext_template *compiled) const noexcept { abytext_template_destroy(compiled); }
};

// The special tokens that a tokenizer_config names, as transformers gives them to a template: bos_token and so on as
// text, the additional ones as a list.
ordered_json special_tokens(const std::string &tokenizer_config) {
  ordered_json tokens = ordered_json::object();
  if (tokenizer_config.empty())
    return tokens;
  const ordered_json config = ordered_json::parse(tokenizer_config, nullptr, false);
  if (!config.is_object())
    fail(ABY_ERROR_TEMPLATE, "tokenizer_config: a JSON object is expected");
  const auto content = [](const ordered_json &token) -> const ordered_json * {
    if (token.is_object() && token.contains("content"))
      return token["content"].is_string() ? &token["content"] : nullptr;
    return token.is_string() ? &token : nullptr;
  };
  for (const auto &[name, value] : config.items()) {
    if (name.ends_with("_token")) {
      if (const ordered_json *text = content(value))
        tokens[name] = *text;
    } else if (name == "additional_special_tokens" && value.is_array()) {
      ordered_json list = ordered_json::array();
      for (const ordered_json &token : value)
        if (const ordered_json *text = content(token))
          list.push_back(*text);
      tokens[name] = std::move(list);
    }
  }
  return tokens;
}

} // namespace

struct ChatTemplate::State {
  std::unique_ptr<abytext_template, TemplateDeleter> handle;
  std::once_flag tools_tried;
  bool takes_tools = false;
};

ChatTemplate::ChatTemplate(std::unique_ptr<State> state) : state_(std::move(state)) {}
ChatTemplate::~ChatTemplate() = default;

std::shared_ptr<const ChatTemplate> ChatTemplate::create(const std::string &template_text,
                                                         const std::string &tokenizer_config) {
  const std::string globals = special_tokens(tokenizer_config).dump();
  auto state = std::make_unique<State>();
  abytext_template *handle = nullptr;
  RustText error;
  const std::int32_t result = abytext_template_create(template_text.data(), template_text.size(), globals.data(),
                                                      globals.size(), &handle, error.out());
  if (result != ABYTEXT_OK)
    fail(status_of_call(result, ABY_ERROR_TEMPLATE), "chat template: ", error.view());
  state->handle.reset(handle);
  return std::shared_ptr<const ChatTemplate>(new ChatTemplate(std::move(state)));
}

std::string ChatTemplate::render(const ChatInput &input) const {
  RustText text;
  RustText error;
  const std::int32_t result = abytext_template_render(
      state_->handle.get(), input.messages_json.data(), input.messages_json.size(), input.tools_json.data(),
      input.tools_json.size(), input.variables_json.data(), input.variables_json.size(),
      input.add_generation_prompt ? 1 : 0, text.out(), error.out());
  if (result != ABYTEXT_OK)
    fail(status_of_call(result, ABY_ERROR_TEMPLATE), "chat template: ", error.view());
  return std::string(text.view());
}

bool ChatTemplate::drops_tools(ChatInput input, const std::string &text) const {
  if (input.tools_json.empty() || ordered_json::parse(input.tools_json, nullptr, false).empty()) // null is empty too
    return false;
  input.tools_json = {};
  try {
    return render(input) == text;
  } catch (const Error &error) { // without tools it has no text at all
    if (error.status() != ABY_ERROR_TEMPLATE)
      throw;
    return false;
  }
}

bool ChatTemplate::takes_tools() const {
  std::call_once(state_->tools_tried, [this] {
    ChatInput input;
    input.messages_json = R"([{"role": "user", "content": "Hi"}])";
    input.tools_json = R"([{"type": "function", "function": {"name": "look", "description": "Looks.",
                            "parameters": {"type": "object", "properties": {}}}}])";
    try {
      state_->takes_tools = !drops_tools(input, render(input));
    } catch (const Error &) { // not even such a chat
    }
  });
  return state_->takes_tools;
}

std::string chat_template_of_config(const std::string &tokenizer_config, const std::string &origin) {
  if (tokenizer_config.empty())
    return {};
  ordered_json config;
  try {
    config = ordered_json::parse(tokenizer_config);
  } catch (const ordered_json::exception &error) {
    fail(ABY_ERROR_FORMAT, origin, ": tokenizer_config: ", error.what());
  }
  if (!config.is_object())
    fail(ABY_ERROR_FORMAT, origin, ": tokenizer_config: a JSON object is expected");
  const auto entry = config.find("chat_template");
  if (entry == config.end() || entry->is_null())
    return {};
  if (entry->is_string())
    return entry->get<std::string>();
  if (!entry->is_array())
    fail(ABY_ERROR_FORMAT, origin, ": tokenizer_config: chat_template is neither a string nor a list");
  for (const ordered_json &named : *entry) {
    if (!named.is_object() || !named.contains("name") || !named.contains("template") || !named["template"].is_string())
      fail(ABY_ERROR_FORMAT, origin, ": tokenizer_config: an entry of chat_template lacks its name or template");
    if (named["name"] == "default")
      return named["template"].get<std::string>();
  }
  return {};
}

} // namespace abyssal
