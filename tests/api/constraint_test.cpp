// Constrained replies: they match, unconstrained ones of the same model do not; with reasoning, with masks, and
// refused.
#include "support/api.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <memory>
#include <string>

#include <regex.h>

namespace {

using namespace test;
using Ids = std::vector<std::int32_t>;
using Json = nlohmann::json;

constexpr const char *kSchema = R"({"type": "object", "properties": {
  "name": {"type": "string", "pattern": "^[a-z]{1,8}$"}, "n": {"type": "integer", "minimum": 10, "maximum": 99},
  "done": {"type": "boolean"}}, "required": ["name", "n", "done"], "additionalProperties": false,
  "x-guidance": {"whitespace_flexible": false}})";
constexpr const char *kRegex = "[a-f]{3}-[0-9]{2}(x|yz)";
constexpr const char *kGrammar = R"(start: item ("," item)?
item: NAME "=" DIGIT
NAME: /[a-c]{2}/
DIGIT: /[0-9]/
)";

// Whether the whole text matches an extended regular expression. The C library's: GCC 12 warns of std::regex itself.
bool matches(const std::string &text, const char *expression) {
  regex_t compiled;
  REQUIRE(regcomp(&compiled, ("^(" + std::string(expression) + ")$").c_str(), REG_EXTENDED | REG_NOSUB) == 0);
  const std::unique_ptr<regex_t, void (*)(regex_t *)> owner(&compiled, regfree);
  return text.find('\n') == std::string::npos && regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
}

struct Reply {
  std::string content, reasoning;
  Event end;
};

Generation start(const Sequence &s, const Ids &prompt, const aby_reply_options &options) {
  aby_generation *raw = nullptr;
  ABY_REQUIRE(aby_generation_create(&raw, s.get(), prompt.data(), prompt.size(), &options));
  return Generation(raw);
}

Event step(const Generation &generation, Reply &reply) {
  Event event;
  ABY_REQUIRE(step(&event, generation.get()));
  (event.text_kind == ABY_TEXT_REASONING ? reply.reasoning : reply.content).append(event.text);
  reply.end = event;
  return event;
}

Reply finish(const Generation &generation) {
  Reply reply;
  while (step(generation, reply).kind != ABY_EVENT_END) {
  }
  return reply;
}

Reply reply(const Model &model, const aby_reply_options &options, const Ids &prompt = {5, 6, 7}) {
  const Sequence s = sequence(model);
  return finish(start(s, prompt, options));
}

Constraint compile(const Model &model, aby_constraint_kind kind, const std::string &text) {
  aby_constraint *raw = nullptr;
  ABY_REQUIRE(aby_constraint_compile(&raw, model.get(), kind, text.data(), text.size()));
  return Constraint(raw);
}

// The constraint has to live until a reply is started.
aby_reply_options constrained(const Constraint &constraint, std::uint64_t seed = 0) {
  aby_reply_options options = reply_options();
  options.max_tokens = 100;
  options.temperature = 1;
  options.top_p = 1;
  options.seed = seed;
  options.constraint = constraint.get();
  return options;
}

bool is_of_schema(const std::string &text) {
  const Json value = Json::parse(text, nullptr, false);
  return value.is_object() && value.size() == 3 && value.contains("name") && value["name"].is_string() &&
         matches(value["name"].get<std::string>(), "[a-z]{1,8}") && value.contains("n") &&
         value["n"].is_number_integer() && value["n"] >= 10 && value["n"] <= 99 && value.contains("done") &&
         value["done"].is_boolean();
}

bool is_of_regex(const std::string &text) { return matches(text, kRegex); }

bool is_of_grammar(const std::string &text) { return matches(text, "[a-c]{2}=[0-9](,[a-c]{2}=[0-9])?"); }

struct Case {
  aby_constraint_kind kind;
  const char *text;
  bool (*holds)(const std::string &);
};
constexpr Case kCases[] = {{ABY_CONSTRAINT_JSON_SCHEMA, kSchema, is_of_schema},
                           {ABY_CONSTRAINT_REGEX, kRegex, is_of_regex},
                           {ABY_CONSTRAINT_GRAMMAR, kGrammar, is_of_grammar}};

std::size_t vocab_size(const Model &model) {
  aby_model_info info;
  ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
  return info.vocab_size;
}

void allow(const Generation &generation, std::size_t ids, const Ids &allowed) {
  std::vector<std::uint32_t> words((ids + 31) / 32);
  for (const std::int32_t id : allowed)
    words[static_cast<std::size_t>(id / 32)] |= std::uint32_t{1} << (id % 32);
  ABY_REQUIRE(aby_generation_set_mask(generation.get(), words.data(), ids));
}

Ids tokenize(const Model &model, const std::string &text) {
  Ids ids(text.size() + 1);
  std::size_t count = 0;
  ABY_REQUIRE(aby_model_tokenize(ids.data(), ids.size(), &count, model.get(), text.data(), text.size(), 0));
  ids.resize(count);
  return ids;
}

std::int32_t token_of(const Model &model, const std::string &text) {
  const Ids ids = tokenize(model, text);
  REQUIRE(ids.size() == 1);
  return ids[0];
}

std::string gguf(const std::string &name) {
  return std::string(ABYSSAL_TEST_DATA) + "/conformance-gguf/" + name + ".gguf";
}

} // namespace

TEST_CASE("a constrained reply is a text of its constraint, and an unconstrained one of the same seed is not") {
  for (const std::string &path : {checkpoint("tiny-v2-lite"), checkpoint("tiny-r1-distill-llama"),
                                  gguf("tiny-v2-lite-Q4_1"), gguf("tiny-qwen2-Q4_K_M")}) {
    CAPTURE(path);
    const Model model = open(path, "cpu");
    for (const Case &one : kCases) {
      for (const std::uint64_t seed : {1, 2, 3}) {
        const Constraint constraint = compile(model, one.kind, one.text);
        aby_reply_options options = constrained(constraint, seed);
        if (seed == 3)
          options.temperature = 0;
        options.ignore_eos = seed == 2 ? 1 : 0;
        const Reply bound = reply(model, options);
        CAPTURE(bound.content);
        CHECK(one.holds(bound.content));
        CHECK(bound.end.finish_reason == ABY_FINISH_STOP);
        options.constraint = nullptr;
        CHECK_FALSE(one.holds(reply(model, options).content));
      }
    }
  }
}

TEST_CASE("a reply that completes its constraint stops there, at max_tokens too, and without a token") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  const Constraint one = compile(model, ABY_CONSTRAINT_REGEX, "b"),
                   many = compile(model, ABY_CONSTRAINT_REGEX, "b{40}");
  aby_reply_options options = constrained(one);
  options.max_tokens = 1;
  const Reply done = reply(model, options);
  CHECK(done.content == "b");
  CHECK(done.end.finish_reason == ABY_FINISH_STOP);
  CHECK(done.end.token == -1);
  CHECK(done.end.completion_tokens == 1);
  options.constraint = many.get();
  options.max_tokens = 2;
  CHECK(reply(model, options).end.finish_reason == ABY_FINISH_LENGTH);
}

TEST_CASE("reasoning is free and cannot end the reply; the constraint begins behind it, markers are text") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  const std::size_t ids = vocab_size(model);
  const std::int32_t open_think = token_of(model, "<think>"), close_think = token_of(model, "</think>");
  Ids eos(1);
  std::size_t eos_count = 0;
  ABY_REQUIRE(aby_model_eos_tokens(eos.data(), 1, &eos_count, model.get()));
  REQUIRE(eos_count == 1);

  const Sequence s = sequence(model);
  const Generation generation =
      start(s, {5, open_think}, constrained(compile(model, ABY_CONSTRAINT_REGEX, "<think>[0-9]{3}</think>")));
  Reply got;
  for (int i = 0; i < 6; ++i)
    step(generation, got);
  CHECK(got.end.reasoning_tokens == 5);
  allow(generation, ids, {eos[0]});
  Event event;
  CHECK(step(&event, generation.get()) == ABY_ERROR_STATE);
  allow(generation, ids, {close_think});
  step(generation, got);
  ABY_REQUIRE(aby_generation_set_mask(generation.get(), nullptr, 0));
  CHECK(got.content.empty());
  const Reply rest = finish(generation);
  CHECK(rest.reasoning.empty());
  CHECK(matches(rest.content, "<think>[0-9]{3}</think>"));
  CHECK(rest.end.finish_reason == ABY_FINISH_STOP);
}

TEST_CASE("a token that would end the reasoning and begin the content is not drawn") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  const std::size_t ids = vocab_size(model);
  const Ids marker = tokenize(model, "</"); // written in pieces, as text
  const Sequence s = sequence(model);
  const Generation generation =
      start(s, {5, token_of(model, "<think>")}, constrained(compile(model, ABY_CONSTRAINT_REGEX, "[a-z]{3}")));
  Reply got;
  step(generation, got);
  for (const std::string piece : {"<", "/", "t", "h", "i", "n", "k"}) {
    allow(generation, ids, {token_of(model, piece)});
    step(generation, got);
  }
  // Of what may follow, ">" is the one that ends the marker.
  Ids all(ids);
  for (std::size_t i = 0; i < ids; ++i)
    all[i] = static_cast<std::int32_t>(i);
  const std::int32_t end = token_of(model, ">");
  Ids closing;
  for (const std::int32_t id : all) {
    char text[64];
    std::size_t length = 0;
    if (aby_model_detokenize(text, sizeof text, &length, model.get(), &id, 1, 0) == ABY_OK && length > 0 &&
        text[0] == '>')
      closing.push_back(id);
  }
  allow(generation, ids, closing);
  step(generation, got);
  ABY_REQUIRE(aby_generation_set_mask(generation.get(), nullptr, 0));
  CHECK(got.end.token == end);
  CHECK(matches(finish(generation).content, "[a-z]{3}"));
}

TEST_CASE("mask and constraint: what is in both; a step without any token fails and changes nothing") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  const std::size_t ids = vocab_size(model);
  const std::int32_t a = token_of(model, "a"), b = token_of(model, "b"), digit = token_of(model, "7");
  const Sequence s = sequence(model);
  const Generation generation = start(s, {5, 6}, constrained(compile(model, ABY_CONSTRAINT_REGEX, "[ab]{4}")));
  Reply got;
  step(generation, got);
  allow(generation, ids, {a, digit});
  step(generation, got);
  step(generation, got);
  allow(generation, ids, {digit});
  Event event;
  for (int i = 0; i < 2; ++i) {
    CHECK(step(&event, generation.get()) == ABY_ERROR_STATE);
    CHECK(std::string(aby_last_error()) ==
          "no token is left to draw: the constraint admits none of those that the mask allows");
  }
  allow(generation, ids, {b});
  const Reply rest = finish(generation);
  CHECK(got.content + rest.content == "aabb");
  CHECK(rest.end.finish_reason == ABY_FINISH_STOP);
  CHECK(rest.end.completion_tokens == 4);
}

TEST_CASE("constraints that cannot be are refused with the reason") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  aby_constraint *raw = nullptr;
  const auto refused = [&](aby_constraint_kind kind, const std::string &text) {
    CHECK(aby_constraint_compile(&raw, model.get(), kind, text.data(), text.size()) == ABY_ERROR_INVALID_ARGUMENT);
    return std::string(aby_last_error());
  };
  CHECK(refused(ABY_CONSTRAINT_JSON_SCHEMA, "{\"type\": \"integr\"}").find("integr") != std::string::npos);
  CHECK(refused(ABY_CONSTRAINT_REGEX, "a(").find("regular expression: ") == 0);
  CHECK(refused(ABY_CONSTRAINT_GRAMMAR, "begin: \"a\"").find("grammar: ") == 0);
  CHECK(refused(ABY_CONSTRAINT_REGEX, "") == "regular expression: it is empty");
  CHECK(refused(0, "a") == "kind is 0; expected a value of aby_constraint_kind");
  CHECK(refused(4, "a") == "kind is 4; expected a value of aby_constraint_kind");
  CHECK(aby_constraint_compile(&raw, model.get(), ABY_CONSTRAINT_REGEX, nullptr, 1) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(std::string(aby_last_error()) == "text is NULL");
  CHECK(aby_constraint_compile(nullptr, model.get(), ABY_CONSTRAINT_REGEX, "a", 1) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_constraint_compile(&raw, nullptr, ABY_CONSTRAINT_REGEX, "a", 1) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_constraint_compile(&raw, model.get(), ABY_CONSTRAINT_REGEX, "\xff", 1) == ABY_ERROR_ENCODING);
  CHECK(raw == nullptr);
  aby_constraint_destroy(nullptr);
}

TEST_CASE("one constraint serves many replies in turns, outlives its model's handle, and fits no other model") {
  Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  const Model other = open(checkpoint("tiny-v2-lite"), "cpu");
  const std::string text = std::string(kRegex) + "beyond";
  aby_constraint *raw = nullptr;
  ABY_REQUIRE(aby_constraint_compile(&raw, model.get(), ABY_CONSTRAINT_REGEX, text.data(), std::strlen(kRegex)));
  Constraint constraint(raw);
  std::vector<Sequence> sequences;
  std::vector<Generation> replies;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    sequences.push_back(sequence(model));
    replies.push_back(start(sequences.back(), {5, 6}, constrained(constraint, seed)));
  }
  const aby_reply_options options = constrained(constraint);
  aby_generation *refused = nullptr;
  const std::int32_t prompt = 5;
  const Sequence of_other = sequence(other);
  CHECK(aby_generation_create(&refused, of_other.get(), &prompt, 1, &options) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(std::string(aby_last_error()) == "constraint: it was compiled for another model");
  constraint.reset(); // the replies keep what they need
  model.reset();
  std::vector<Reply> got(3);
  for (bool running = true; running;) {
    running = false;
    for (std::size_t i = 0; i < replies.size(); ++i)
      running = step(replies[i], got[i]).kind != ABY_EVENT_END || running;
  }
  for (const Reply &one : got) {
    CAPTURE(one.content);
    CHECK(is_of_regex(one.content));
    CHECK(one.end.finish_reason == ABY_FINISH_STOP);
  }
}

TEST_CASE("a model without a tokenizer says that a constraint needs one") {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "abyssal_constraint_test";
  std::filesystem::create_directories(folder);
  for (const char *name : {"config.json", "generation_config.json", "model.safetensors"})
    std::filesystem::copy_file(std::filesystem::path(checkpoint("tiny-v2-lite")) / name, folder / name,
                               std::filesystem::copy_options::overwrite_existing);
  const Model model = open(folder.string(), "cpu");
  aby_constraint *raw = nullptr;
  CHECK(aby_constraint_compile(&raw, model.get(), ABY_CONSTRAINT_REGEX, "a", 1) == ABY_ERROR_STATE);
  CHECK(std::string(aby_last_error()) == "a constraint needs a tokenizer, and the model has none");
  std::filesystem::remove_all(folder);
}

TEST_CASE("cancelling ends a constrained reply as any other") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  const Sequence s = sequence(model);
  const Generation generation = start(s, {5, 6}, constrained(compile(model, ABY_CONSTRAINT_JSON_SCHEMA, kSchema)));
  Reply got;
  for (int i = 0; i < 3; ++i)
    step(generation, got);
  ABY_REQUIRE(aby_generation_cancel(generation.get()));
  CHECK(step(generation, got).finish_reason == ABY_FINISH_CANCELLED);
}

TEST_CASE("a trained model reasons freely and then answers as its constraint says") {
  const Model model = open(std::string(ABYSSAL_TEST_DATA) + "/../../examples/models/abyssal-tiny-r1", "cpu");
  const std::string messages = R"([{"role": "user", "content": "What is 47 * 6 + 12?"}])";
  std::string prompt(4096, '\0');
  std::size_t length = 0;
  ABY_REQUIRE(aby_model_render_chat(prompt.data(), prompt.size(), &length, model.get(), messages.data(),
                                    messages.size(), nullptr));
  prompt.resize(length);
  const Constraint answer = compile(model, ABY_CONSTRAINT_JSON_SCHEMA, R"({"type": "object",
    "properties": {"answer": {"type": "integer", "minimum": 0, "maximum": 9999}}, "required": ["answer"], "additionalProperties": false,
    "x-guidance": {"whitespace_flexible": false}})");
  aby_reply_options options = constrained(answer);
  options.temperature = 0;
  options.max_tokens = 200;
  const Reply bound = reply(model, options, tokenize(model, prompt));
  CAPTURE(bound.reasoning);
  CHECK(bound.end.finish_reason == ABY_FINISH_STOP);
  const Json value = Json::parse(bound.content, nullptr, false);
  CAPTURE(bound.content);
  REQUIRE(value.is_object());
  CHECK(value["answer"].is_number_integer());
  options.constraint = nullptr;
  const Reply free = reply(model, options, tokenize(model, prompt));
  CHECK(free.reasoning == bound.reasoning);
  CHECK_FALSE(Json::parse(free.content, nullptr, false).is_object());
}
