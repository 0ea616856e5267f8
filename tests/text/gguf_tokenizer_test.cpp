#include "text/gguf_tokenizer.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

#include "text_data.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
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
    v.merges = std::vector<std::string_view>{"a b", "ab c", "a 1", "Ġ a"};
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
    v.merges.emplace(merges.begin(), merges.end());
    const TokenizerTexts made = gguf_tokenizer_texts(v, name);
    const auto tokenizer = Tokenizer::create(made.tokenizer, made.config, name);
    for (const auto &text : reference["texts"]) {
      const auto sample = text.get<std::string>();
      INFO(sample);
      CHECK(tokenizer->encode(sample, true) == published->encode(sample, true));
    }
  }
}

TEST_CASE("every name makes a tokenizer that gives the text back") {
  Small small;
  std::size_t count = 0;
  for (const char *name : {"",
                           "default",
                           "deepseek-llm",
                           "deepseek-coder",
                           "deepseek-v3",
                           "hunyuan-dense",
                           "joyai-llm",
                           "hy_v4",
                           "kimi-k2",
                           "qwen2",
                           "kormo",
                           "f2llmv2",
                           "megrez",
                           "stablelm2",
                           "hunyuan",
                           "solar-open",
                           "grok-2",
                           "qwen35",
                           "ufakzeka",
                           "laguna",
                           "minicpm5",
                           "seed-coder",
                           "bailingmoe",
                           "bailingmoe2",
                           "llada-moe",
                           "exaone-moe",
                           "spark2_5",
                           "youtu",
                           "tekken",
                           "gpt-4o",
                           "llama4",
                           "kanana2",
                           "talkie",
                           "minimax-m2",
                           "tiny_aya",
                           "cohere2moe",
                           "afmoe",
                           "gpt-2",
                           "phi-2",
                           "jina-es",
                           "jina-de",
                           "jina-v2-es",
                           "jina-v2-de",
                           "gigachat",
                           "a.x-4.0",
                           "mellum",
                           "modern-bert",
                           "exaone4",
                           "jina-v1-en",
                           "mpt",
                           "jina-v2-code",
                           "roberta-bpe",
                           "olmo",
                           "jais",
                           "trillion",
                           "smollm",
                           "starcoder",
                           "refact",
                           "command-r",
                           "codeshell",
                           "exaone",
                           "minerva-7b",
                           "mellum2",
                           "jais-2",
                           "falcon",
                           "superbpe",
                           "chameleon",
                           "poro-chat",
                           "bloom",
                           "gpt3-finnish",
                           "viking",
                           "llama-bpe",
                           "llama3",
                           "llama-v3",
                           "falcon3",
                           "falcon-h1",
                           "pixtral",
                           "midm-2.0",
                           "lfm2",
                           "jina-v5-nano",
                           "dbrx",
                           "smaug-bpe",
                           "glm4",
                           "glm5",
                           "chatglm-bpe",
                           "deepseek-r1-qwen",
                           "granite-docling",
                           "granite-embed-multi-97m"}) {
    INFO(std::string(name));
    const PreTokenizer *pre = find_pre_tokenizer(name);
    REQUIRE(pre != nullptr);
    ++count;
    small.v.pre = name;
    const auto tokenizer = small.open();
    for (const std::string text :
         {"abc 你好abc ABabc 12345 don't\r\n\n  x", "\t \u00a0é\u00e9e\u0301 1½ 한국 🙂\x01\x7f(!?)//\n/ "}) {
      const Ids ids = tokenizer->encode(text, false);
      const std::string back = tokenizer->decode(ids.data(), ids.size(), false);
      CHECK((back == text || pre->composes));
    }
  }
  CHECK(count == 88);
}

namespace {

// The pieces that text is split into under a name: those of the list, in order, or "?" for another piece.
std::vector<std::string> pieces(const char *name, const std::string &text, const std::vector<std::string> &known) {
  Small small;
  small.v.pre = name;
  auto json = nlohmann::json::parse(gguf_tokenizer_texts(small.v, name).tokenizer);
  auto &steps = json["pre_tokenizer"]["pretokenizers"];
  if (steps.back()["type"] == "ByteLevel")
    steps.erase(steps.size() - 1);
  nlohmann::json vocabulary = {{"?", 0}};
  for (const std::string &one : known)
    vocabulary.emplace(one, vocabulary.size());
  json["model"] = {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "?"}};
  json["added_tokens"] = nlohmann::json::array();
  const auto tokenizer = Tokenizer::create(json.dump(), "", name);
  std::vector<std::string> result;
  for (const std::int32_t id : tokenizer->encode(text, false))
    for (const auto &[piece, its] : vocabulary.items())
      if (its == id)
        result.push_back(piece);
  return result;
}

} // namespace

TEST_CASE("the pieces of each split") {
  struct Case {
    const char *name;
    std::string text;
    std::vector<std::string> want;
  };
  const std::vector<Case> cases = {
      {"gpt-2",
       "I'm HE'S a1b 12345  x\n\n!?",
       {"I", "'m", " HE", "'", "S", " a", "1", "b", " 12345", " ", " x", "\n", "\n", "!?"}},
      {"smollm", "don't 12 34½", {"don", "'t", " ", "1", "2", " ", "3", "4", "½"}},
      {"llama-bpe", "I'M 12345 x\r\n!?\n\n y", {"I", "'M", " ", "123", "45", " x", "\r\n", "!?\n\n", " y"}},
      {"glm4", "(ab 1234", {"(ab", " ", "123", "4"}},
      {"qwen2", "(ab 1234", {"(ab", " ", "1", "2", "3", "4"}},
      {"qwen2", "e\u0301x a!\u0301", {"\u00e9x", " a", "!\u0301"}},
      {"hunyuan", "n\u0301x a!\u0301", {"n", "\u0301x", " a", "!\u0301"}},
      {"qwen35", "q\u0301x a!\u0301 12", {"q\u0301x", " a", "!\u0301", " ", "1", "2"}},
      {"ufakzeka", "a'da 12", {"a", "'da", " ", "1", "2"}},
      {"stablelm2", "a'da", {"a", "'d", "a"}},
      {"laguna", "a \n\nb", {"a", " ", "\n\n", "b"}},
      {"kormo", "a \n\nb", {"a", " \n\n", "b"}},
      {"minicpm5", "a  1234", {"a", "  ", "123", "4"}},
      {"dbrx", "a  1234", {"a", " ", " ", "123", "4"}},
      {"seed-coder", "a!\n\nb 12", {"a", "!", "\n\n", "b", " ", "1", "2"}},
      {"bailingmoe", "I'Ll x!\n\n \ny 12", {"I", "'Ll", " x", "!\n\n", " \n", "y", " ", "1", "2"}},
      {"exaone-moe", "the cat s\u0301at!/\n\n 12", {"the cat s\u0301at", "!/\n", "\n", " ", "1", "2"}},
      {"gpt-4o",
       "HelloWorld's ABCdef a/b/\n/ 1234",
       {"Hello", "World's", " ABCdef", " a", "/b", "/\n/", " ", "123", "4"}},
      {"kanana2", "iPHONEs ÉtéÀB 中A", {"i", "PHONEs", " Été", "ÀB", " 中", "A"}},
      {"tekken", "World's 12 a!/\n", {"World", "'s", " ", "1", "2", " a", "!/\n"}},
      {"kimi-k2", "AbC中文d's 1234", {"Ab", "C", "中文", "d's", " ", "123", "4"}},
      {"youtu", "한국ㄅ漢か、Ab'sC 12", {"한국", "ㄅ", "漢か", "、", "Ab's", "C", " ", "1", "2"}},
      {"joyai-llm", "漢か(abc)!\n12345x", {"漢か", "(abc", ")!\n", "123", "45", "x"}},
      {"spark2_5", "a!\n\nb 1234", {"a", "!", "\n", "\n", "b", " ", "1", "2", "3", "4"}},
      {"tiny_aya", "12345 12345a ½½½½", {"12", "345", " ", "123", "45", "a", " ", "½½½", "½"}},
      {"afmoe", "12345 1234567a\uf900カ漢ꀀ漢", {"12", "345", " ", "1", "234", "567", "a", "\uf900カ漢", "ꀀ", "漢"}},
      {"superbpe", "by the way 12345!", {"by the way ", "12", "345", "!"}},
      {"jais-2", "a       b", {"a", "    ", "  ", " b"}},
      {"falcon", "a `b 1234 12", {"a", " ", "`", "b", " ", "123", "4", " 12"}},
      {"", "a `b 1234 12", {"a", " `", "b", " ", "123", "4", " ", "12"}},
      {"chameleon", "a\tb  c1!!", {"a", "\t", "b", "  ", "c", "1", "!", "!"}},
      {"bloom", "Hello, world (x12)", {"Hello", ",", " world", " (", "x12", ")"}},
      {"viking", "Hello, world12", {"Hello", ",", " world", "1", "2"}},
      {"deepseek-coder", "ab! \n你好12", {"ab", "!", " ", "\n", "你好", "1", "2"}},
  };
  for (const auto &[name, text, want] : cases) {
    INFO(std::string(name));
    INFO(text);
    CHECK(pieces(name, text, want) == want);
  }
}

TEST_CASE("a long run of digits is split from the right in time with its length") {
  const std::string digits(200'000, '7');
  for (const char *name : {"tiny_aya", "afmoe", "superbpe"}) {
    const auto got = pieces(name, digits, {"77", "777"});
    CHECK(got.size() == 66'667);
    CHECK(got[0] == "77");
    CHECK(got[1] == "777");
  }
}

TEST_CASE("a vocabulary of UTF-8 with U+2581 for a space") {
  std::vector<std::string> texts = {"<unk>", "a", "b", "\u2581", "\u2581a", "é", "\n", "\n\n", "<bos>"};
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    texts.emplace_back(name);
  }
  GgufVocabulary v;
  v.pre = "gemma4";
  v.tokens.assign(texts.begin(), texts.end());
  v.types.assign(texts.size(), 6);
  std::fill_n(v.types.begin(), 9, 1);
  v.types[0] = 2;
  v.types[8] = 3;
  v.merges = std::vector<std::string_view>{"\u2581 a", "\n \n"};
  for (const char *name : {"gemma4", "granite-embed-multi-311m", "sarvam-moe"}) {
    v.pre = name;
    const TokenizerTexts made = gguf_tokenizer_texts(v, "raw");
    const auto tokenizer = Tokenizer::create(made.tokenizer, made.config, "raw");
    const std::string text = "a ab\n\n é\u00e8";
    const Ids ids = tokenizer->encode(text, false);
    CHECK(ids == Ids{1, 4, 2, 7, 3, 5, 9 + 0xc3, 9 + 0xa8});
    CHECK(tokenizer->decode(ids.data(), ids.size(), false) == text);
    CHECK(tokenizer->encode("<bos>a", false) == Ids{8, 1});
  }
}

TEST_CASE("a file of kimi-k2 without merges: tokens with lower ids are made first") {
  Small small;
  small.v.pre = "kimi-k2";
  small.v.merges.reset();
  const auto tokenizer = small.open();
  CHECK(tokenizer->encode("abcab", false) == Ids{small.id("abc"), small.id("ab")});
  CHECK(tokenizer->encode(" a", false) == Ids{small.id("Ġa")});
}

TEST_CASE("where names differ: digits, apostrophes, capitals, Chinese, composition, merges") {
  Small small;
  const auto tokens = [&](const char *name, const std::string &text) {
    small.v.pre = name;
    return small.open()->encode(text, false);
  };
  const std::int32_t a1 = small.id("a1"), abc = small.id("abc");
  CHECK(tokens("deepseek-coder", "a1") == Ids{small.id("a"), small.id("1")});
  for (const char *name : {"qwen2", "qwen35", "command-r", "mpt", "olmo"})
    CHECK(tokens(name, "e\u0301") == tokens(name, "\u00e9"));
  CHECK(tokens("deepseek-r1-qwen", "e\u0301") != tokens("deepseek-r1-qwen", "\u00e9"));
  // A piece that is in the vocabulary is that token, though its merge is missing.
  small.v.merges = std::vector<std::string_view>{"a b", "a 1"};
  CHECK(tokens("llama-bpe", "abc") == Ids{abc});
  for (const char *name : {"glm4", "tekken", "youtu", "minicpm5", "granite-embed-multi-97m"})
    CHECK(tokens(name, "abc") == Ids{abc});
  for (const char *name : {"deepseek-v3", "chatglm-bpe", "dbrx", "gpt-4o", "smollm"})
    CHECK(tokens(name, "abc") == Ids{small.id("ab"), small.id("c")});
  CHECK(tokens("kimi-k2", "a1") == Ids{small.id("a"), small.id("1")});
  CHECK(a1 == 262);
}

TEST_CASE("empty tokens are no tokens") {
  Small small;
  small.v.tokens[264] = small.v.tokens[265] = "";
  small.v.types[264] = small.v.types[265] = 1;
  const auto tokenizer = small.open();
  CHECK(tokenizer->encode("<s>ab<last>", false) == Ids{258, 256, 266});
  CHECK(tokenizer->token_bytes(264).empty());
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
  small.v.add_bos.reset();
  for (const char *name : {"tekken", "chameleon", "pixtral"}) {
    small.v.pre = name;
    CHECK(small.open()->adds_bos());
  }
  for (const char *name : {"glm4", "dbrx", "smollm", "gpt-2", ""}) {
    small.v.pre = name;
    CHECK_FALSE(small.open()->adds_bos());
  }
  small.v.pre = "deepseek-v3";
  small.v.add_bos = true;
  CHECK(small.open()->adds_bos());
}

TEST_CASE("a merge that makes no token is left out") {
  Small small;
  const auto want = small.open()->encode("abc a1 az", false);
  small.v.merges->insert(small.v.merges->begin(), {"a z", "zz a"});
  CHECK(small.open()->encode("abc a1 az", false) == want);
}

TEST_CASE("what contradicts itself is refused, naming the key and the element") {
  refused([](auto &v) { v.pre = "Viking"; }, ABY_ERROR_UNSUPPORTED, "tokenizer.ggml.pre \"Viking\"");
  refused([](auto &v) { v.pre = "whitespace"; }, ABY_ERROR_UNSUPPORTED, "tokenizer.ggml.pre \"whitespace\"");
  refused([](auto &v) { v.merges.reset(); }, ABY_ERROR_FORMAT, "tokenizer.ggml.merges");
  refused([](auto &v) { v.types.pop_back(); }, ABY_ERROR_FORMAT, "token_type has 266");
  refused([](auto &v) { v.types[5] = 7; }, ABY_ERROR_FORMAT, "token_type[5] is 7");
  refused([](auto &v) { v.types[5] = -1; }, ABY_ERROR_FORMAT, "token_type[5] is -1");
  refused([](auto &v) { v.tokens[5] = "\xff"; }, ABY_ERROR_FORMAT, "tokens[5]");
  refused([](auto &v) { v.tokens[5] = "ab"; }, ABY_ERROR_FORMAT, "tokens[256] is the same as [5]");
  refused([](auto &v) { (*v.merges)[1] = "abc"; }, ABY_ERROR_FORMAT, "merges[1]");
  refused([](auto &v) { (*v.merges)[1] = "a b c"; }, ABY_ERROR_FORMAT, "merges[1]");
  refused([](auto &v) { (*v.merges)[1] = " a"; }, ABY_ERROR_FORMAT, "merges[1]");
  refused([](auto &v) { (*v.merges)[1] = "a \xc3"; }, ABY_ERROR_FORMAT, "merges[1] is not valid UTF-8");
  refused([](auto &v) { v.bos = 5000; }, ABY_ERROR_FORMAT, "bos_token_id is 5000");
  refused([](auto &v) { v.eos = -1; }, ABY_ERROR_FORMAT, "eos_token_id is -1");
  refused(
      [](auto &v) {
        v.tokens.clear();
        v.types.clear();
      },
      ABY_ERROR_FORMAT, "there are 0 tokens");
}
