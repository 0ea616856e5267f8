// Constraints on the tokenizers of checkpoints: which tokens may come next, and what does not compile.
#include "text/constraint.h"

#include "text_data.h"

#include <doctest/doctest.h>

using abyssal::Constraint;
using abyssal::ConstraintCompiler;
using abyssal::ConstraintKind;
using abyssal::Tokenizer;
using abyssal::test::error_of;
using abyssal::test::read_data;

namespace {

constexpr std::size_t kMoreRows = 70; // a head has more rows than the vocabulary has tokens

struct Vocabulary {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::size_t size;
  std::vector<std::int32_t> ends;
  ConstraintCompiler compiler;

  explicit Vocabulary(const std::string &name, std::vector<std::int32_t> end_ids = {})
      : tokenizer(Tokenizer::create(read_data(name), "", name)), size(tokenizer->vocab_size() + kMoreRows),
        ends(std::move(end_ids)), compiler(*tokenizer, size, ends) {}

  std::unique_ptr<Constraint> compile(ConstraintKind kind, const std::string &text) const {
    return compiler.compile(kind, text)->begin();
  }
};

bool allows(Constraint &constraint, std::int32_t token) {
  const auto id = static_cast<std::size_t>(token);
  return (constraint.mask()[id / 32] >> (id % 32) & 1) != 0;
}

const std::vector<std::string> kTokenizers = {
    "text/tiny-deepseek-llm.tokenizer.json", "text/tiny-deepseek-r1-qwen.tokenizer.json",
    "text/tiny-deepseek-v3.tokenizer.json", "text/tiny-llama-bpe.tokenizer.json", "conformance/tiny-v3/tokenizer.json"};

} // namespace

TEST_CASE("the tokens that a text is made of are those that its constraint takes, and it ends with them") {
  const std::string text = "{\"name\": \"Zoë 李 \\n\", \"n\": [1, 20, true]}";
  const std::string schema = R"({"type": "object", "properties": {"name": {"type": "string"},
    "n": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}}},
    "required": ["name", "n"], "additionalProperties": false})";
  for (const std::string &name : kTokenizers) {
    CAPTURE(name);
    const Vocabulary vocabulary(name);
    const auto constraint = vocabulary.compile(ConstraintKind::kJsonSchema, schema);
    for (const std::int32_t token : vocabulary.tokenizer->encode(text, true)) {
      CAPTURE(vocabulary.tokenizer->token_bytes(token));
      CHECK_FALSE(constraint->complete());
      REQUIRE(allows(*constraint, token));
      constraint->take(token);
    }
    CHECK(constraint->may_end());
  }
}

TEST_CASE("a mask allows just the tokens that begin or go on with the text") {
  for (const std::string &name : kTokenizers) {
    CAPTURE(name);
    const Vocabulary vocabulary(name);
    const std::string text = "the end";
    const auto constraint = vocabulary.compile(ConstraintKind::kRegex, text);
    std::size_t allowed = 0;
    for (std::size_t id = 0; id < vocabulary.size; ++id) {
      const auto token = static_cast<std::int32_t>(id);
      const std::string_view bytes = vocabulary.tokenizer->token_bytes(token);
      const bool begins = !bytes.empty() && text.starts_with(bytes) && !vocabulary.tokenizer->is_special(token);
      CHECK(allows(*constraint, token) == begins);
      allowed += begins;
    }
    CHECK(allowed > 0);
    CHECK_FALSE(constraint->may_end());
  }
}

TEST_CASE("special tokens and those that end a reply are no text") {
  const std::string name = "text/tiny-deepseek-v3.tokenizer.json";
  const Vocabulary vocabulary(name);
  const auto letter = vocabulary.tokenizer->token_id("a");
  REQUIRE(letter);
  CHECK(allows(*vocabulary.compile(ConstraintKind::kRegex, "a+"), *letter));
  const Vocabulary ending(name, {*letter});
  const auto constraint = ending.compile(ConstraintKind::kRegex, "(.|\\n)+");
  CHECK_FALSE(allows(*constraint, *letter));
  std::size_t special = 0;
  for (std::size_t id = 0; id < vocabulary.size; ++id) {
    if (vocabulary.tokenizer->is_special(static_cast<std::int32_t>(id))) {
      CHECK_FALSE(allows(*constraint, static_cast<std::int32_t>(id)));
      ++special;
    }
  }
  CHECK(special > 0);
}

TEST_CASE("what does not compile says why, in words of its kind") {
  const Vocabulary vocabulary("text/tiny-llama-bpe.tokenizer.json");
  const auto text_of = [&](ConstraintKind kind, const std::string &text) {
    const auto error = error_of([&] { vocabulary.compile(kind, text); });
    REQUIRE(error);
    CHECK(error->status() == ABY_ERROR_INVALID_ARGUMENT);
    return std::string(error->text());
  };
  CHECK(text_of(ConstraintKind::kJsonSchema, "{").starts_with("JSON schema: EOF while parsing an object at line 1"));
  CHECK(text_of(ConstraintKind::kRegex, "[a").starts_with("regular expression: "));
  CHECK(text_of(ConstraintKind::kGrammar, "start: missing").starts_with("grammar: "));
  CHECK(text_of(ConstraintKind::kRegex, "") == "regular expression: it is empty");
  CHECK(text_of(ConstraintKind::kRegex, std::string(70000, 'a')) ==
        "regular expression: it has 70000 bytes; at most 65536 are read");
  const auto encoding = error_of([&] { vocabulary.compile(ConstraintKind::kRegex, "a\xff"); });
  REQUIRE(encoding);
  CHECK(encoding->status() == ABY_ERROR_ENCODING);
}

TEST_CASE("a cancelled constraint says so from then on") {
  const Vocabulary vocabulary("text/tiny-llama-bpe.tokenizer.json");
  const auto constraint = vocabulary.compile(ConstraintKind::kRegex, "[a-z]+");
  constraint->cancel();
  for (int i = 0; i < 2; ++i) {
    const auto error = error_of([&] { constraint->mask(); });
    REQUIRE(error);
    CHECK(error->status() == ABY_ERROR_CANCELLED);
  }
}
