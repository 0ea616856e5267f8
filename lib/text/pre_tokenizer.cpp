#include "text/pre_tokenizer.h"

namespace abyssal {

namespace {

// The letters of deepseek-llm: those with two cases, by code point, as its tokenizer.json lists them.
constexpr const char *kCasedWord =
    R"re(\s?[)re"
    R"re(A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293}\x{295}-\x{2af})re"
    R"re(\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a}\x{38c}\x{38e}-\x{3a1})re"
    R"re(\x{3a3}-\x{3f5}\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556}\x{10a0}-\x{10c5}\x{13a0}-\x{13f5})re"
    R"re(\x{13f8}-\x{13fd}\x{1c90}-\x{1cba}\x{1cbd}-\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-)re"
    R"re(\x{1d9a}\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d}\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57})re"
    R"re(\x{1f59}\x{1f5b}\x{1f5d}\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4})re"
    R"re(\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4}\x{1ff6}-)re"
    R"re(\x{1ffc}\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124}\x{2126}\x{2128}\x{212a}-)re"
    R"re(\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f}\x{2145}-\x{2149}\x{214e}\x{2183}\x{2184}\x{2c00}-)re"
    R"re(\x{2c7b}\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b}\x{a722})re"
    R"re(-\x{a76f}\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17})re"
    R"re(\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}\x{10c80})re"
    R"re(-\x{10cb2}\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943})re"
    R"re(]+)re";
constexpr const char *kEastAsian = R"re([\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+)re";
constexpr const char *kPunctuation =
    R"re(\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3000}-\x{3002}]+)re";

// What the tail of a word pattern has in common.
#define SPACES R"re( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re"
#define ENDINGS R"re((?i:'s|'t|'re|'ve|'m|'ll|'d))re"

constexpr const char *kQwen = ENDINGS R"re(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)re" SPACES;
constexpr const char *kLlama3 = ENDINGS R"re(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)re" SPACES;

// Words split where small letters are followed by capital ones; Chinese apart from everything else.
#define CAPITALS R"re([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]])re"
#define SMALL R"re([\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]])re"
#define BEFORE R"re([^\r\n\p{L}\p{N}]?)re"
constexpr const char *kKimi = R"re([\p{Han}]+|)re" BEFORE CAPITALS "*" SMALL "+" ENDINGS "?|" BEFORE CAPITALS "+" SMALL
                              "*" ENDINGS R"re(?|\p{N}{1,3}|)re" SPACES;
#undef SPACES
#undef ENDINGS
#undef CAPITALS
#undef SMALL
#undef BEFORE

const std::vector<PreTokenizer> &known() {
  static const std::vector<PreTokenizer> all = {
      {.names = {"deepseek-llm"},
       .splits = {R"re([\r\n])re", kCasedWord, kPunctuation, R"re(\s+$)re", kEastAsian},
       .single_digits = true},
      {.names = {"deepseek-coder"},
       .splits = {R"re([\r\n])re", R"re(\s?\p{L}+)re", R"re(\s?\p{P}+)re", kEastAsian},
       .single_digits = true},
      {.names = {"deepseek-v3"},
       .splits = {R"re(\p{N}{1,3})re", R"re([\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+)re",
                  R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)re"
                  R"re( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re"}},
      {.names = {"deepseek-r1-qwen"}, .splits = {kQwen}},
      {.names = {"qwen2"}, .splits = {kQwen}, .composes = true},
      {.names = {"llama-bpe", "llama3", "llama-v3"}, .splits = {kLlama3}, .ignores_merges = true, .adds_bos = true},
      {.names = {"kimi-k2"}, .splits = {kKimi}},
  };
  return all;
}

} // namespace

const PreTokenizer *find_pre_tokenizer(std::string_view name) {
  for (const PreTokenizer &one : known()) {
    for (const char *its : one.names) {
      if (name == its)
        return &one;
    }
  }
  return nullptr;
}

std::string pre_tokenizer_names() {
  std::string names;
  for (const PreTokenizer &one : known()) {
    for (const char *its : one.names)
      names += (names.empty() ? "" : ", ") + std::string(its);
  }
  return names;
}

} // namespace abyssal
