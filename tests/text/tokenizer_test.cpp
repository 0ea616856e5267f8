#include "text/tokenizer.h"

#include "text_data.h"

#include <doctest/doctest.h>
#include <random>
#include <thread>

using abyssal::Tokenizer;
using abyssal::test::error_of;
using abyssal::test::read_data;
using abyssal::test::read_json;
using Ids = std::vector<std::int32_t>;

namespace {

const std::vector<std::string> kTokenizers = {
    "text/tiny-deepseek-llm.tokenizer.json", "text/tiny-deepseek-r1-qwen.tokenizer.json",
    "text/tiny-deepseek-v3.tokenizer.json", "text/tiny-llama-bpe.tokenizer.json", "conformance/tiny-v3/tokenizer.json"};

std::shared_ptr<const Tokenizer> open(const std::string &name, const std::string &config = "") {
  return Tokenizer::create(read_data(name), config, name);
}

// A byte-level tokenizer of a few tokens, with holes at 6 and 8 and with parts replaced.
nlohmann::json small(const nlohmann::json &changes = nlohmann::json::object()) {
  nlohmann::json json = nlohmann::json::parse(R"({
    "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
    "added_tokens": [{"id": 7, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                      "normalized": false, "special": true},
                     {"id": 9, "content": "<é>", "single_word": false, "lstrip": false, "rstrip": false,
                      "normalized": false, "special": false}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
    "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
              "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
              "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ã": 4, "©": 5, "<s>": 7, "<é>": 9}, "merges": ["a b"]}})");
  json.update(changes);
  return json;
}

nlohmann::json bos_template() {
  return {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
      {"pair", {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "B"}, {"type_id", 1}}}}}},
      {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {7}}, {"tokens", {"<s>"}}}}}}};
}

std::string random_text(std::mt19937 &random) {
  std::string text;
  for (std::size_t i = random() % 60; i > 0; --i) {
    static constexpr std::uint32_t kLimits[] = {0x80, 0x80, 0x80, 0x250, 0x3000, 0xa000, 0x110000};
    std::uint32_t code = static_cast<std::uint32_t>(random()) % kLimits[random() % std::size(kLimits)];
    if (code >= 0xd800 && code < 0xe000)
      code = 0x1f600;
    if (code < 0x80) {
      text += static_cast<char>(code);
    } else if (code < 0x800) {
      text += {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
    } else if (code < 0x10000) {
      text += {static_cast<char>(0xe0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 63)),
               static_cast<char>(0x80 | (code & 63))};
    } else {
      text += {static_cast<char>(0xf0 | code >> 18), static_cast<char>(0x80 | (code >> 12 & 63)),
               static_cast<char>(0x80 | (code >> 6 & 63)), static_cast<char>(0x80 | (code & 63))};
    }
    if (random() % 20 == 0)
      text += "<｜User｜>";
  }
  return text;
}

} // namespace

TEST_CASE("ids equal those of Hugging Face's tokenizers, and decode to the same bytes") {
  const nlohmann::ordered_json reference = read_json("text/tokenize.json");
  for (const auto &[name, expected] : reference["tokenizers"].items()) {
    CAPTURE(name);
    const auto tokenizer = open(name);
    CHECK(tokenizer->vocab_size() == expected["vocab_size"].get<std::size_t>());
    for (std::size_t i = 0; i < reference["texts"].size(); ++i) {
      const auto text = reference["texts"][i].get<std::string>();
      CAPTURE(text);
      const Ids ids = tokenizer->encode(text, false);
      CHECK(ids == expected["ids"][i].get<Ids>());
      CHECK(tokenizer->decode(ids.data(), ids.size(), false) == text);
      const Ids plain = tokenizer->encode(text, true);
      CHECK(plain == expected["plain_ids"][i].get<Ids>());
      CHECK(tokenizer->decode(plain.data(), plain.size(), false) == text);
    }
  }
}

TEST_CASE("ids equal the reference of the GGUF fixtures") {
  const nlohmann::ordered_json reference = read_json("text/gguf_tokenize.json");
  for (const auto &[name, expected] : reference["tokenizers"].items()) {
    CAPTURE(name);
    const auto tokenizer = open("text/tiny-" + name + ".tokenizer.json");
    for (std::size_t i = 0; i < reference["texts"].size(); ++i)
      CHECK(tokenizer->encode(reference["texts"][i].get<std::string>(), false) == expected["ids"][i].get<Ids>());
  }
}

TEST_CASE("random text survives encoding and decoding, also token by token") {
  std::mt19937 random(20250101);
  for (const std::string &name : kTokenizers) {
    const auto tokenizer = open(name);
    for (int round = 0; round < 200; ++round) {
      const std::string text = random_text(random);
      for (const bool plain : {false, true}) {
        const Ids ids = tokenizer->encode(text, plain);
        std::string joined;
        for (const std::int32_t id : ids)
          joined += tokenizer->token_bytes(id);
        CHECK(joined == text);
        CHECK(tokenizer->decode(ids.data(), ids.size(), false) == text);
      }
    }
  }
}

TEST_CASE("a long text") {
  const std::string pieces[] = {"for (int i = 0; i < n; ++i) {\n", "你好，世界。", " ", "\n", "a", "<｜User｜>"};
  for (const std::string &name : kTokenizers) {
    const auto tokenizer = open(name);
    for (const std::string &piece : pieces) {
      std::string text;
      while (text.size() < 200'000)
        text += piece;
      CAPTURE(name);
      CAPTURE(piece);
      const Ids ids = tokenizer->encode(text, false);
      CHECK(tokenizer->decode(ids.data(), ids.size(), false) == text);
    }
  }
}

TEST_CASE("special tokens") {
  const auto tokenizer =
      open("text/tiny-deepseek-v3.tokenizer.json", R"({"bos_token": {"content": "<｜begin▁of▁sentence｜>"}})");
  const Ids ids = tokenizer->encode("<｜begin▁of▁sentence｜>hi<think>", false);
  REQUIRE(ids.size() >= 3);
  CHECK(ids.front() == 0);
  CHECK(tokenizer->bos_token() == 0);
  CHECK_FALSE(tokenizer->adds_bos());
  CHECK(tokenizer->is_special(0));
  CHECK_FALSE(tokenizer->is_special(ids.back())); // <think> is added but not special
  CHECK(tokenizer->token_id("<think>") == ids.back());
  CHECK(tokenizer->token_id("<｜begin▁of▁sentence｜>") == 0);
  CHECK(tokenizer->token_id("no such token") == std::nullopt);
  CHECK(tokenizer->token_id("\xff") == std::nullopt);
  CHECK(tokenizer->decode(ids.data(), ids.size(), true) == "hi<think>");
  CHECK(tokenizer->token_bytes(0) == "<｜begin▁of▁sentence｜>");
}

TEST_CASE("ids outside the vocabulary") {
  const auto tokenizer = Tokenizer::create(small().dump(), "", "small");
  CHECK(tokenizer->vocab_size() == 10);
  CHECK(tokenizer->token_bytes(8).empty()); // a hole
  CHECK(tokenizer->token_bytes(-1).empty());
  CHECK(tokenizer->token_bytes(10).empty());
  CHECK(tokenizer->token_bytes(INT32_MAX).empty());
  CHECK_FALSE(tokenizer->is_special(-1));
  CHECK_FALSE(tokenizer->is_special(10));
  for (const std::int32_t wrong : {-1, 6, 8, 10, INT32_MAX, INT32_MIN}) {
    const Ids ids = {0, wrong};
    const auto error = error_of([&] { (void)tokenizer->decode(ids.data(), ids.size(), false); });
    REQUIRE(error);
    CHECK(error->status() == ABY_ERROR_INVALID_ARGUMENT);
    CHECK(error->text().find(std::to_string(wrong)) != std::string::npos);
  }
  CHECK(tokenizer->decode(nullptr, 0, false).empty());
}

TEST_CASE("byte-level tokens hold bytes, added tokens their content") {
  const auto tokenizer = Tokenizer::create(small().dump(), "", "small");
  CHECK(tokenizer->token_bytes(2) == " ");
  CHECK(tokenizer->token_bytes(4) == "\xc3");
  CHECK(tokenizer->token_bytes(5) == "\xa9");
  CHECK(tokenizer->token_bytes(9) == "<é>"); // not through the byte map
  CHECK(tokenizer->encode("é ab<é>", false) == Ids{4, 5, 2, 3, 9});
}

TEST_CASE("whether BOS is added") {
  const nlohmann::json with_bos = {{"post_processor", bos_template()}};
  const auto adds = [](const nlohmann::json &tokenizer, const char *config) {
    return Tokenizer::create(tokenizer.dump(), config, "small")->adds_bos();
  };
  CHECK_FALSE(adds(small(), ""));
  CHECK_FALSE(adds(small(), R"({"bos_token": "<s>"})"));
  CHECK(adds(small(), R"({"bos_token": "<s>", "add_bos_token": true})"));
  CHECK(adds(small(), R"({"bos_token": {"content": "<s>"}, "tokenizer_class": "LlamaTokenizerFast"})"));
  CHECK_FALSE(
      adds(small(), R"({"bos_token": "<s>", "tokenizer_class": "LlamaTokenizerFast", "add_bos_token": false})"));
  CHECK_FALSE(adds(small(), R"({"bos_token": "<none>", "add_bos_token": true})"));
  CHECK_FALSE(adds(small(), R"({"bos_token": null, "add_bos_token": true})"));
  CHECK(adds(small(with_bos), ""));
  CHECK(adds(small(with_bos), R"({"bos_token": "<s>"})"));
  CHECK_FALSE(adds(small(with_bos), R"({"bos_token": "<s>", "add_bos_token": false})"));
  const nlohmann::json nested = {
      {"type", "Sequence"},
      {"processors",
       {{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", true}},
        bos_template()}}};
  CHECK(adds(small({{"post_processor", nested}}), ""));
  CHECK(Tokenizer::create(small(with_bos).dump(), "", "small")->bos_token() == 7);
  // What the post-processor adds is not part of the ids.
  CHECK(Tokenizer::create(small(with_bos).dump(), "", "small")->encode("ab", false) == Ids{3});
}

TEST_CASE("truncation and padding of the file do not touch the ids") {
  const nlohmann::json cut = {
      {"truncation", {{"direction", "Right"}, {"max_length", 1}, {"strategy", "LongestFirst"}, {"stride", 0}}},
      {"padding",
       {{"strategy", {{"Fixed", 8}}},
        {"direction", "Right"},
        {"pad_to_multiple_of", nullptr},
        {"pad_id", 7},
        {"pad_type_id", 0},
        {"pad_token", "<s>"}}}};
  CHECK(Tokenizer::create(small(cut).dump(), "", "small")->encode("abab", false) == Ids{3, 3});
}

TEST_CASE("decoders of sentencepiece-like tokenizers") {
  const nlohmann::json model = {{"type", "BPE"},
                                {"dropout", nullptr},
                                {"unk_token", nullptr},
                                {"continuing_subword_prefix", nullptr},
                                {"end_of_word_suffix", nullptr},
                                {"fuse_unk", false},
                                {"byte_fallback", true},
                                {"vocab", {{"▁a", 0}, {"b", 1}, {"<0xC3>", 2}, {"<0xA9>", 3}, {"▁", 4}, {"<0xZZ>", 5}}},
                                {"merges", nlohmann::json::array()}};
  const nlohmann::json sequence = {{"type", "Sequence"},
                                   {"decoders",
                                    {{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
                                     {{"type", "ByteFallback"}},
                                     {{"type", "Fuse"}},
                                     {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}};
  const nlohmann::json metaspace = {
      {"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}, {"split", true}};
  const Ids ids = {0, 1, 4, 0};
  for (const nlohmann::json &decoder : {sequence, metaspace}) {
    const auto tokenizer = Tokenizer::create(
        small({{"model", model}, {"decoder", decoder}, {"pre_tokenizer", nullptr}}).dump(), "", "small");
    CHECK(tokenizer->decode(ids.data(), ids.size(), false) == "ab  a");
    CHECK(tokenizer->token_bytes(0) == " a");
    CHECK(tokenizer->token_bytes(5) == "<0xZZ>");
    if (decoder == sequence) {
      const Ids bytes = {2, 3};
      CHECK(tokenizer->decode(bytes.data(), bytes.size(), false) == "é");
    }
  }
  for (const nlohmann::json &decoder :
       {nlohmann::json(nullptr), nlohmann::json{{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}}) {
    const auto error = error_of([&] { (void)Tokenizer::create(small({{"decoder", decoder}}).dump(), "", "small"); });
    REQUIRE(error);
    CHECK(error->status() == ABY_ERROR_UNSUPPORTED);
    CHECK(error->text().find(decoder.is_null() ? "without a decoder" : "WordPiece") != std::string::npos);
  }
}

TEST_CASE("invalid UTF-8 is refused with its place") {
  const auto tokenizer = open("conformance/tiny-v3/tokenizer.json");
  for (const bool plain : {false, true}) {
    const auto error = error_of([&] { (void)tokenizer->encode("héllo\xff!", plain); });
    REQUIRE(error);
    CHECK(error->status() == ABY_ERROR_ENCODING);
    CHECK(error->text().find("byte 6") != std::string::npos);
  }
  CHECK(tokenizer->encode(std::string_view("a\0b", 3), false).size() >= 3);
}

TEST_CASE("many threads may use one tokenizer") {
  const auto tokenizer = open("conformance/tiny-v3/tokenizer.json");
  const std::string text = "The quick brown fox, 12345 你好 <｜User｜>\n";
  const Ids expected = tokenizer->encode(text, false);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int &misses : wrong)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i)
        misses += tokenizer->encode(text, false) != expected ||
                  tokenizer->decode(expected.data(), expected.size(), false) != text;
    });
  for (std::thread &thread : threads)
    thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
}
