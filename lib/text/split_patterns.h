// What the patterns of pre_tokenizer.cpp are made of. In names: words are runs of letters, digits \p{N}.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace abyssal::split {

// A pattern of alternatives; the first one that matches at a place is taken.
inline std::string first_of(std::initializer_list<std::string_view> alternatives) {
  std::string pattern;
  for (const std::string_view one : alternatives)
    pattern += (pattern.empty() ? "" : "|") + std::string(one);
  return pattern;
}

constexpr const char *kContractions = R"re((?i:'s|'t|'re|'ve|'m|'ll|'d))re";
constexpr const char *kSmallContractions = R"re('s|'t|'re|'ve|'m|'ll|'d)re";

// With one character before them that is neither letter, digit nor line end.
constexpr const char *kWord = R"re([^\r\n\p{L}\p{N}]?\p{L}+)re";
constexpr const char *kMarkedWord = R"re([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+)re";
constexpr const char *kJoinedWords = R"re([^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+)re";
// The character before them may be a digit, but no punctuation or symbol.
constexpr const char *kPlainWord = R"re([^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)re";
// With an ASCII punctuation mark before them.
constexpr const char *kAsciiWord = R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)re";

// Words that end before a capital letter behind a small one, with what `ending` matches behind them. Letters that are
// neither, and marks, go with both. excepting: the inside of a class of characters that are in no such word, or "".
inline std::string cased_words(std::string_view ending, std::string_view excepting = "") {
  const std::string without = excepting.empty() ? "" : "&&[^" + std::string(excepting) + "]";
  const std::string before = R"re([^\r\n\p{L}\p{N}]?)re";
  const std::string capitals = R"re([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M})re" + without + "]";
  const std::string small = R"re([\p{Ll}\p{Lm}\p{Lo}\p{M})re" + without + "]";
  return before + capitals + "*" + small + "+" + std::string(ending) + "|" + before + capitals + "+" + small + "*" +
         std::string(ending);
}

constexpr const char *kDigit = R"re(\p{N})re";
constexpr const char *kUpTo3Digits = R"re(\p{N}{1,3})re";
constexpr const char *kDigits = R"re(\p{N}+)re";

// What is neither white space, letter nor digit, with a space before it, and line ends behind it.
constexpr const char *kOthers = R"re( ?[^\s\p{L}\p{N}]+[\r\n]*)re";
constexpr const char *kOthersAndSlashes = R"re( ?[^\s\p{L}\p{N}]+[\r\n/]*)re";
constexpr const char *kOthersAlone = R"re( ?[^\s\p{L}\p{N}]+)re";
constexpr const char *kUnmarkedOthers = R"re( ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)re";
constexpr const char *kSymbols = R"re( ?[\p{P}\p{S}]+[\r\n]*)re";

constexpr const char *kLineEnds = R"re(\s*[\r\n]+)re";
constexpr const char *kLineEnd = R"re(\s*[\r\n])re"; // one at a time
// White space but for the last character before a word.
constexpr const char *kSpaces = R"re(\s+(?!\S)|\s+)re";

constexpr const char *kCarriage = R"re([\r\n])re";
constexpr const char *kLines = R"re([^\n]+|\n+)re";
constexpr const char *kLastSpaces = R"re(\s+$)re";
// The longest of halving lengths.
constexpr const char *kHalvingSpaces =
    R"re(\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|)re"
    R"re(\s{1,2}(?!\S)|\s)re";

// Of a piece that is digits only, those before the first group of three, counted from the right. A look-ahead from each
// group would take time with the square of their number.
inline std::string first_of_threes(const std::string &digit) { return "^" + digit + "{1,2}(?=(?:" + digit + "{3})*$)"; }

// Scripts and their punctuation.
constexpr const char *kHan = R"re([\p{Han}]+)re";
constexpr const char *kHanAndKana = R"re([\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+)re";
constexpr const char *kHangul = R"re([\x{ac00}-\x{d7a3}\x{3131}-\x{318e}]+)re";
constexpr const char *kBopomofo = R"re([\x{3105}-\x{312f}]+)re";
constexpr const char *kEastAsianPunctuation =
    R"re([\x{ff01}\x{2026}\x{201c}\x{201d}\x{2018}\x{2019}\x{2014}\x{ff1a}\x{ff1b}\x{ff0c}\x{3001}-\x{303f}\x{fe30}-\x{fe4f}]+)re";
// Han, kana, Thai, Lao, Khmer, Burmese, Hangul. The compatibility ideographs begin at U+F900, whose canonical
// composition is U+8C48: sources that were normalised have that, and with it all up to U+FAFF.
constexpr const char *kScriptsWithoutSpaces =
    R"re([\x{4e00}-\x{9fff}\x{3400}-\x{4dbf}\x{f900}-\x{faff}\x{3040}-\x{30ff}\x{ff65}-\x{ff9f}\x{2f00}-\x{2fdf})re"
    R"re(\x{e40}-\x{eff}\x{1780}-\x{17ff}\x{1000}-\x{109f}\x{aa60}-\x{aa7f}\x{a9e0}-\x{a9ff}\x{ac00}-\x{d7af})re"
    R"re(\x{1100}-\x{11ff}]+)re";
// Up to white space, or to what the class lists: brackets, a bar, full stops and commas of several scripts.
constexpr const char *kUpToPunctuation = R"re( ?[^(\s|.,!?\x{2026}\x{3002}\x{ff0c}\x{3001}\x{964}\x{6d4}\x{60c})]+)re";

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

} // namespace abyssal::split
