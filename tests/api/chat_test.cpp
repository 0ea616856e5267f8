// Chats: what messages may be, and tools that a template has no place for.
#include "support/api.h"

#include <cstring>

namespace {

using namespace test;

constexpr const char *kTools = R"([{"type": "function", "function": {"name": "look", "parameters": {}}}])";
// As DeepSeek's own: null tells a call of tools from an answer.
constexpr const char *kTellsNull =
    "{% for m in messages %}{% if m['content'] is none %}<call>{{ m['tool_calls'][0]['name'] }}"
    "</call>{% else %}{{ m['content'] + '!' }}{% endif %}{% endfor %}";
constexpr const char *kAdds = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }};{% endfor %}";
constexpr const char *kPrints = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }};{% endfor %}";
constexpr const char *kWithTools =
    "{% for t in tools %}[{{ t['function']['name'] }}]{% endfor %}{{ messages[0]['content'] }}";

aby_status render(const Model &model, const std::string &messages, const char *chat_template, const char *tools,
                  bool allow_dropped, std::string *out = nullptr) {
  auto options = make<aby_chat_options>(aby_chat_options_init);
  options.chat_template = chat_template;
  options.tools_json = tools;
  options.allow_dropped_tools = allow_dropped ? 1 : 0;
  std::string text(4096, '\0');
  std::size_t length = 0;
  const aby_status status =
      aby_model_render_chat(text.data(), text.size(), &length, model.get(), messages.data(), messages.size(), &options);
  text.resize(length);
  if (out != nullptr)
    *out = text;
  return status;
}

std::string rendered(const Model &model, const std::string &messages, const char *chat_template,
                     const char *tools = nullptr) {
  std::string text;
  ABY_REQUIRE(render(model, messages, chat_template, tools, false, &text));
  return text;
}

} // namespace

TEST_CASE("content may be null, also where the template fails on it") {
  const Model model = open(checkpoint("tiny-v3"), "cpu");
  const std::string messages = R"([{"role": "user", "content": "None of it"},
    {"role": "assistant", "content": null, "tool_calls": [{"name": "look"}]}])";
  CHECK(rendered(model, messages, kTellsNull) == "None of it!<call>look</call>");
  CHECK(rendered(model, messages, kAdds) == "user: None of it;assistant: ;");
  CHECK(rendered(model, messages, kPrints) == "user: None of it;assistant: None;");  // as Hugging Face
  CHECK(rendered(model, messages, nullptr).find("None of it") != std::string::npos); // the checkpoint's own
  // An error that null has no part in is told.
  CHECK(render(model, messages, "{{ raise_exception('never') }}", nullptr, false) == ABY_ERROR_TEMPLATE);
}

TEST_CASE("tools that the template drops are an error, unless that is allowed") {
  const Model model = open(checkpoint("tiny-v3"), "cpu");
  const std::string messages = R"([{"role": "user", "content": "Hi"}])";
  CHECK(rendered(model, messages, kWithTools, kTools) == "[look]Hi");
  CHECK(render(model, messages, kPrints, kTools, false) == ABY_ERROR_UNSUPPORTED);
  CHECK(std::string(aby_last_error()).find("no place for tools") != std::string::npos);
  CHECK(std::string(aby_last_error()).find("allow_dropped_tools") != std::string::npos);
  std::string text;
  ABY_REQUIRE(render(model, messages, kPrints, kTools, true, &text));
  CHECK(text == "user: Hi;");
  // One that has no text without tools.
  CHECK(rendered(model, messages, "{{ tools[0].function.name }}", kTools) == "look");
  for (const char *none : {"[]", "null", " [ ] "}) { // nothing is dropped
    CAPTURE(none);
    CHECK(rendered(model, messages, kPrints, none) == "user: Hi;");
  }
}

TEST_CASE("a model's info says whether its template has a place for tools") {
  const auto takes_tools = [](const std::string &path) {
    const Model model = open(path, "cpu");
    aby_model_info info;
    ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
    const bool dropped =
        render(model, R"([{"role": "user", "content": "Hi"}])", nullptr, kTools, false) == ABY_ERROR_UNSUPPORTED;
    CHECK(dropped == (info.tools == 0));
    return info.tools;
  };
  CHECK(takes_tools(std::string(ABYSSAL_TEST_DATA) + "/../../examples/models/abyssal-tiny-r1") == 0);
  takes_tools(checkpoint("tiny-v3"));
}
