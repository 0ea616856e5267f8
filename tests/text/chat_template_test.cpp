#include "text/chat_template.h"

#include "text_data.h"

#include <ctime>
#include <doctest/doctest.h>
#include <thread>

using abyssal::chat_template_of_config;
using abyssal::ChatInput;
using abyssal::ChatTemplate;
using abyssal::test::error_of;
using abyssal::test::read_data;
using abyssal::test::read_json;
using nlohmann::ordered_json;

namespace {

std::string render(const std::string &text, const std::string &messages = "[]", const std::string &variables = "",
                   const std::string &tools = "") {
  return ChatTemplate::create(text, "")->render({messages, tools, variables, true});
}

std::string template_error(const std::string &text, const std::string &messages = "[]",
                           const std::string &variables = "", const std::string &tools = "") {
  const auto error = error_of([&] { (void)render(text, messages, variables, tools); });
  REQUIRE(error);
  CHECK(error->status() == ABY_ERROR_TEMPLATE);
  return error->text();
}

bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("every rendering equals Jinja2's as transformers sets it up") {
  const ordered_json reference = read_json("text/chat.json");
  for (const ordered_json &entry : reference["cases"]) {
    const auto shared = [&](const char *name) -> const ordered_json & {
      return reference["shared"][name][entry[name].get<std::size_t>()];
    };
    const std::string messages = shared("messages").dump();
    const std::string tools = shared("tools").is_null() ? "" : shared("tools").dump();
    const std::string variables = shared("variables").dump();
    std::string rendered;
    const auto error = error_of([&] {
      const auto compiled =
          ChatTemplate::create(shared("template").get<std::string>(), shared("special_tokens").dump());
      rendered = compiled->render({messages, tools, variables, entry["add_generation_prompt"].get<bool>()});
    });
    CAPTURE(entry["name"].get<std::string>());
    if (entry.contains("error")) {
      INFO("expected: ", entry["error"].get<std::string>(), ", got: ", rendered);
      REQUIRE(error);
      CHECK(error->status() == ABY_ERROR_TEMPLATE);
    } else {
      INFO("error: ", error ? error->text() : "none");
      CHECK(rendered == entry["expected"].get<std::string>());
    }
  }
}

TEST_CASE("a conformance checkpoint's own template") {
  const std::string config = read_data("conformance/tiny-v3/tokenizer_config.json");
  const auto compiled = ChatTemplate::create(chat_template_of_config(config, "tiny-v3"), config);
  CHECK(compiled->render({R"([{"role":"user","content":"Hi"}])", "", "", true}) ==
        "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜><think>\n");
}

TEST_CASE("the template of a config") {
  CHECK(chat_template_of_config("", "x").empty());
  CHECK(chat_template_of_config("{}", "x").empty());
  CHECK(chat_template_of_config(R"({"chat_template": null})", "x").empty());
  CHECK(chat_template_of_config(R"({"chat_template": "a"})", "x") == "a");
  CHECK(chat_template_of_config(
            R"({"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]})",
            "x") == "d");
  CHECK(chat_template_of_config(R"({"chat_template": [{"name": "tool_use", "template": "t"}]})", "x").empty());
  for (const char *config : {"{", "[]", "\xff", R"({"chat_template": 3})", R"({"chat_template": [3]})",
                             R"({"chat_template": [{"name": "default"}]})"}) {
    CAPTURE(config);
    const auto error = error_of([&] { (void)chat_template_of_config(config, "model/folder"); });
    REQUIRE(error);
    CHECK(error->status() == ABY_ERROR_FORMAT);
    CHECK(contains(error->text(), "model/folder"));
  }
}

TEST_CASE("special tokens become variables") {
  const char *config =
      R"({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": null, "image_token": "<i>",
                           "add_bos_token": true, "additional_special_tokens": ["<x>", {"content": "<y>"}]})";
  const auto compiled = ChatTemplate::create("{{ bos_token }}{{ eos_token }}{{ image_token }}{{ pad_token is defined }}"
                                             "{{ add_bos_token is defined }}{{ additional_special_tokens }}",
                                             config);
  CHECK(compiled->render({"[]", "", "", true}) == "<s></s><i>FalseFalse['<x>', '<y>']");
  CHECK(compiled->render({"[]", "", R"({"bos_token": "other"})", true}).starts_with("other</s>"));
}

TEST_CASE("errors name the line") {
  CHECK(contains(template_error("a\nb\n{% if %}"), "line 3"));
  CHECK(contains(template_error("a\n{{ raise_exception('no ' ~ 1) }}"), "no 1"));
  CHECK(contains(template_error("a\n{{ raise_exception('no') }}"), "line 2"));
  CHECK(contains(template_error("\n\n{% set ns = namespace() %}{% set ns.x = 1 %}\n{{ none.upper() }}"), "line 4"));
  CHECK(contains(template_error("{{ x"), "line 1"));
}

TEST_CASE("bad input is named") {
  CHECK(contains(template_error("x", ""), "messages"));
  CHECK(contains(template_error("x", "{}"), "messages"));
  CHECK(contains(template_error("x", "\"text\""), "messages"));
  CHECK(contains(template_error("x", "[1]"), "item 0"));
  CHECK(contains(template_error("x", "[{}, null]"), "item 1"));
  CHECK(contains(template_error("x", "[{]"), "column 3"));
  CHECK(contains(template_error("x", "[\"\xff\"]"), "byte 2"));
  CHECK(contains(template_error("x", "[]", "[]"), "variables"));
  CHECK(contains(template_error("x", "[]", "{"), "variables"));
  CHECK(contains(template_error("x", "[]", R"({"messages": 1})"), "messages"));
  CHECK(contains(template_error("x", "[]", "", "{}"), "tools"));
  CHECK(contains(template_error("x", "[]", "", "[1]"), "item 0"));
  CHECK(contains(template_error("x\xff"), "byte 1"));
  std::string deep(100'000, '[');
  CHECK(contains(template_error("x", deep), "messages"));
  const auto error = error_of([] { (void)ChatTemplate::create("x", "{"); });
  REQUIRE(error);
  CHECK(error->status() == ABY_ERROR_TEMPLATE);
}

TEST_CASE("tools may be absent, null or empty") {
  const std::string text = "{{ tools is none }} {% if tools %}y{% else %}n{% endif %}";
  CHECK(render(text) == "True n");
  CHECK(render(text, "[]", "", "null") == "True n");
  CHECK(render(text, "[]", "", "[]") == "False n");
  CHECK(render(text, "[]", "", "[{}]") == "False y");
}

TEST_CASE("the date") {
  const std::string now = render("{{ strftime_now('%Y-%m-%d') }}");
  CHECK(now.size() == 10);
  CHECK(std::stoi(now) >= 2024);
  CHECK(render("{{ strftime_now('') }}|{{ strftime_now('%%') }}") == "|%");
}

TEST_CASE("templates that would not end, or eat all memory, are stopped") {
  const char *doubling =
      "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}";
  for (const std::string &text : {
           std::string("{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}"),
           std::string("{% for a in range(100000) %}{% for b in range(100000) %}{{ a }}{% endfor %}{% endfor %}"),
           std::string(doubling),
           std::string("{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% "
                       "endfor %}"),
           std::string(
               "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}"),
           std::string("{% macro m(x) %}{{ m(x ~ x) }}{% endmacro %}{{ m('aaaa') }}"),
           std::string("{{ 'a' * 10000000000 }}"),
           std::string("{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor "
                       "%}{{ ns.x }}"),
           std::string("{% set ns = namespace(x=1) %}{% set ns.x = [ns] %}{{ ns.x }}"),
           std::string("{% set ns = namespace(x=1) %}{% set ns.x = ns %}{{ ns.x | tojson }}"),
           std::string(
               "{% set ns = namespace() %}{% macro m() %}{{ ns.x }}{% endmacro %}{% set ns.x = m %}{{ ns.x() }}"),
           std::string("{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = [{'k': b}] %}{{ a }}"),
           std::string("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}"),
           "{{ " + std::string(100'000, '(') + " }}",
           "{{ " + std::string(100'000, '[') + " }}",
           "{{ a" + std::string(100'000, '.') + " }}",
           std::string("{% for i in range(1000000) %}{% endfor %}"),
           std::string("{{ 'abc'.count('') }}{{ 'x'.ljust(100000000000) }}"),
       }) {
    CAPTURE(text.substr(0, 120));
    CHECK_FALSE(template_error(text).empty());
  }
  // A chain of signs is no nesting: whether it is admitted is not our concern, as long as nothing breaks.
  (void)error_of([] { (void)render("{{ " + std::string(100'000, '-') + "1 }}"); });
  std::string nested;
  for (int i = 0; i < 5000; ++i)
    nested += "{% if true %}";
  CHECK_FALSE(template_error(nested).empty());
}

TEST_CASE("a long conversation is rendered") {
  ordered_json messages = ordered_json::array();
  for (int i = 0; i < 3000; ++i)
    messages.push_back({{"role", i % 2 == 0 ? "user" : "assistant"}, {"content", "message " + std::to_string(i)}});
  const std::string text = render(read_data("text/templates/line_style.jinja"), messages.dump());
  CHECK(contains(text, "message 0"));
  CHECK(contains(text, "message 2999"));
}

TEST_CASE("many threads may use one template") {
  const auto compiled = ChatTemplate::create(read_data("text/templates/reasoner.jinja"), "");
  const ChatInput input{R"([{"role":"user","content":"Hi"}])", "", "", true};
  const std::string expected = compiled->render(input);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int &misses : wrong)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i)
        misses += compiled->render(input) != expected;
    });
  for (std::thread &thread : threads)
    thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
}
