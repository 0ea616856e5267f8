#include "text/gguf_tokenizer.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

#include "text_data.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

using namespace abyssal;
using abyssal::test::error_of;
using abyssal::test::read_data;
using abyssal::test::read_json;
using Ids = std::vector<std::int32_t>;

namespace {

// Every byte, a few merges, and all types of tokens; ids 264 and 265 are unused, so that the last marker follows a
// hole.
class Small {
public:
  Small() {
    const auto bytes = read_json("text/tiny-deepseek-llm.tokenizer.json");
    texts_.resize(256);
    for (const auto &[token, id] : bytes["model"]["vocab"].items()) {
      if (id.get<std::size_t>() < 256)
        texts_[id.get<std::size_t>()] = token;
    }
    for (const char *text : {"ab", "abc", "<s>", "</s>", "<think>", "<pad>", "a1", "Ġa", "[PAD1]", "[PAD2]", "<last>"})
      texts_.emplace_back(text);
    v.pre = "deepseek-v3";
    v.tokens.assign(texts_.begin(), texts_.end());
    v.types.assign(texts_.size(), 1);
    for (const std::size_t control : {258, 259, 261, 266})
      v.types[control] = 3;
    v.types[260] = 4;
    v.types[264] = v.types[265] = 5;
    v.merges = {"a b", "ab c", "a 1", "Ġ a"};
    v.bos = 258;
    v.eos = 259;
    v.pad = 261;
  }
  Small(const Small &) = delete;
  Small &operator=(const Small &) = delete;

  std::shared_ptr<const Tokenizer> open() const {
    const TokenizerTexts texts = gguf_tokenizer_texts(v, "small.gguf");
    return Tokenizer::create(texts.tokenizer, texts.config, "small.gguf");
  }
  std::int32_t id(const std::string &text) const {
    const auto found = std::find(texts_.begin(), texts_.end(), text);
    REQUIRE(found != texts_.end());
    return static_cast<std::int32_t>(found - texts_.begin());
  }

  GgufVocabulary v;

private:
  std::vector<std::string> texts_;
};

void refused(const std::function<void(GgufVocabulary &)> &damage, aby_status status, const std::string &part) {
  Small small;
  damage(small.v);
  const auto error = error_of([&] { small.open(); });
  REQUIRE(error.has_value());
  INFO(error->text());
  CHECK(error->status() == status);
  CHECK(error->text().find("small.gguf") != std::string::npos);
  CHECK(error->text().find(part) != std::string::npos);
}

} // namespace

TEST_CASE("the splits are those of the published tokenizer.json") {
  const auto reference = read_json("text/tokenize.json");
  REQUIRE(reference["texts"].size() > 50);
  for (const std::string name : {"deepseek-llm", "deepseek-v3", "deepseek-r1-qwen", "llama-bpe"}) {
    INFO(name);
    const auto published = Tokenizer::create(read_data("text/tiny-" + name + ".tokenizer.json"), "", name);
    const auto json = read_json("text/tiny-" + name + ".tokenizer.json");
    // The same vocabulary under the splits of this name.
    GgufVocabulary v;
    std::vector<std::string> texts(json["model"]["vocab"].size());
    for (const auto &[token, id] : json["model"]["vocab"].items())
      texts.at(id.get<std::size_t>()) = token;
    std::vector<std::string> merges;
    for (const auto &merge : json["model"]["merges"])
      merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    v.pre = name;
    v.tokens.assign(texts.begin(), texts.end());
    v.merges.assign(merges.begin(), merges.end());
    const TokenizerTexts made = gguf_tokenizer_texts(v, name);
    const auto tokenizer = Tokenizer::create(made.tokenizer, made.config, name);
    for (const auto &text : reference["texts"]) {
      const auto sample = text.get<std::string>();
      INFO(sample);
      CHECK(tokenizer->encode(sample, true) == published->encode(sample, true));
    }
  }
}

TEST_CASE("every name that is known makes a tokenizer") {
  Small small;
  for (const char *name : {"deepseek-llm", "deepseek-coder", "deepseek-v3", "deepseek-r1-qwen", "qwen2", "llama-bpe",
                           "llama3", "kimi-k2"}) {
    INFO(std::string(name));
    REQUIRE(find_pre_tokenizer(name) != nullptr);
    small.v.pre = name;
    const auto tokenizer = small.open();
    const std::string text = "abc 你好abc ABabc 12345 don't\r\n\n  x";
    const Ids ids = tokenizer->encode(text, false);
    CHECK(tokenizer->decode(ids.data(), ids.size(), false) == text);
  }
}

TEST_CASE("where names differ: digits, apostrophes, capitals, Chinese, composition, merges") {
  Small small;
  const auto tokens = [&](const char *name, const std::string &text) {
    small.v.pre = name;
    return small.open()->encode(text, false);
  };
  const std::int32_t a1 = small.id("a1"), abc = small.id("abc");
  CHECK(tokens("deepseek-coder", "a1") == Ids{small.id("a"), small.id("1")});
  CHECK(tokens("qwen2", "e\u0301") == tokens("qwen2", "\u00e9"));
  CHECK(tokens("deepseek-r1-qwen", "e\u0301") != tokens("deepseek-r1-qwen", "\u00e9"));
  // A piece that is in the vocabulary is that token, though its merge is missing.
  small.v.merges = {"a b", "a 1"};
  CHECK(tokens("llama-bpe", "abc") == Ids{abc});
  CHECK(tokens("deepseek-v3", "abc") == Ids{small.id("ab"), small.id("c")});
  CHECK(tokens("kimi-k2", "a1") == Ids{small.id("a"), small.id("1")});
  CHECK(a1 == 262);
}

TEST_CASE("types of tokens: markers keep their ids beside holes, unused ones are no tokens") {
  const Small small;
  const auto tokenizer = small.open();
  CHECK(tokenizer->encode("<s>ab<think></s><last>", false) == Ids{258, 256, 260, 259, 266});
  CHECK(tokenizer->encode("<s>", true).size() == 3);
  CHECK(tokenizer->is_special(258));
  CHECK_FALSE(tokenizer->is_special(260));
  CHECK_FALSE(tokenizer->is_special(256));
  CHECK(tokenizer->token_id("<last>") == 266);
  CHECK(tokenizer->token_bytes(264).empty());
  CHECK_FALSE(tokenizer->token_id("[PAD1]").has_value());
  CHECK(tokenizer->vocab_size() == 267);
}

TEST_CASE("BOS: as the file says, else as the pre-tokenizer does") {
  Small small;
  CHECK_FALSE(small.open()->adds_bos());
  CHECK(small.open()->bos_token() == 258);
  small.v.pre = "llama-bpe";
  CHECK(small.open()->adds_bos());
  small.v.add_bos = false;
  CHECK_FALSE(small.open()->adds_bos());
  small.v.pre = "deepseek-v3";
  small.v.add_bos = true;
  CHECK(small.open()->adds_bos());
}

TEST_CASE("a merge that makes no token is left out") {
  Small small;
  const auto want = small.open()->encode("abc a1 az", false);
  small.v.merges.insert(small.v.merges.begin(), {"a z", "zz a"});
  CHECK(small.open()->encode("abc a1 az", false) == want);
}

TEST_CASE("what contradicts itself is refused, naming the key and the element") {
  refused([](auto &v) { v.pre = "viking"; }, ABY_ERROR_UNSUPPORTED, "\"viking\"");
  refused([](auto &v) { v.pre = ""; }, ABY_ERROR_UNSUPPORTED, "tokenizer.ggml.pre");
  refused([](auto &v) { v.types.pop_back(); }, ABY_ERROR_FORMAT, "token_type has 266");
  refused([](auto &v) { v.types[5] = 7; }, ABY_ERROR_FORMAT, "token_type[5] is 7");
  refused([](auto &v) { v.types[5] = -1; }, ABY_ERROR_FORMAT, "token_type[5] is -1");
  refused([](auto &v) { v.tokens[5] = "\xff"; }, ABY_ERROR_FORMAT, "tokens[5]");
  refused([](auto &v) { v.tokens[5] = "ab"; }, ABY_ERROR_FORMAT, "tokens[256] is the same as [5]");
  refused([](auto &v) { v.merges[1] = "abc"; }, ABY_ERROR_FORMAT, "merges[1]");
  refused([](auto &v) { v.merges[1] = "a b c"; }, ABY_ERROR_FORMAT, "merges[1]");
  refused([](auto &v) { v.merges[1] = " a"; }, ABY_ERROR_FORMAT, "merges[1]");
  refused([](auto &v) { v.merges[1] = "a \xc3"; }, ABY_ERROR_FORMAT, "merges[1] is not valid UTF-8");
  refused([](auto &v) { v.bos = 5000; }, ABY_ERROR_FORMAT, "bos_token_id is 5000");
  refused([](auto &v) { v.eos = -1; }, ABY_ERROR_FORMAT, "eos_token_id is -1");
  refused([](auto &v) { v.chat_template = "\xff"; }, ABY_ERROR_FORMAT, "chat_template");
  refused(
      [](auto &v) {
        v.tokens.clear();
        v.types.clear();
      },
      ABY_ERROR_FORMAT, "there are 0 tokens");
}
