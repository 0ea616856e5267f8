#include "text/tokenizer.h"

#include <doctest/doctest.h>
#include <string>

using abyssal::complete_utf8;
using abyssal::find_invalid_utf8;

namespace {

constexpr std::size_t kValid = std::string_view::npos;

// UTF-8 by the definition, without any rule of its own: for comparing.
std::string encode(std::uint32_t code) {
  std::string text;
  if (code < 0x80)
    return {static_cast<char>(code)};
  const int length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (int i = 0; i < length; ++i) {
    const std::uint32_t bits = code >> (6 * (length - 1 - i));
    const std::uint32_t lead = (0xf00u >> length) & 0xff;
    text += static_cast<char>(i == 0 ? lead | bits : 0x80 | (bits & 0x3f));
  }
  return text;
}

} // namespace

TEST_CASE("every code point is valid, its prefixes are incomplete, surrogates are not valid") {
  std::size_t wrong = 0;
  for (std::uint32_t code = 0; code < 0x110000; ++code) {
    const std::string text = encode(code);
    const bool surrogate = code >= 0xd800 && code < 0xe000;
    wrong += (find_invalid_utf8(text) == kValid) == surrogate;
    for (std::size_t length = 1; length < text.size() && !surrogate; ++length) {
      const std::string cut = "x" + text.substr(0, length);
      wrong += find_invalid_utf8(cut) != 1;
      wrong += complete_utf8(cut) != 1;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("invalid bytes are found where they stand") {
  CHECK(find_invalid_utf8("") == kValid);
  CHECK(find_invalid_utf8("ab\x80") == 2);
  CHECK(find_invalid_utf8("\xc0\x80") == 0);     // overlong
  CHECK(find_invalid_utf8("\xe0\x80\x80") == 0); // overlong
  CHECK(find_invalid_utf8("\xf0\x8f\xbf\xbf") == 0);
  CHECK(find_invalid_utf8("\xf4\x90\x80\x80") == 0); // above U+10FFFF
  CHECK(find_invalid_utf8("\xf5\x80\x80\x80") == 0);
  CHECK(find_invalid_utf8("\xc3\xa9\xe4\xbd") == 2);
  CHECK(find_invalid_utf8("\xe4\xbd\x41") == 0);
  CHECK(find_invalid_utf8("ok\xff") == 2);
}

TEST_CASE("what can never become valid is not held back") {
  CHECK(complete_utf8("") == 0);
  CHECK(complete_utf8("abc") == 3);
  CHECK(complete_utf8("\xc3\xa9") == 2);
  CHECK(complete_utf8("a\xe4\xbd") == 1);
  CHECK(complete_utf8("a\xf0\x9f\x98") == 1);
  CHECK(complete_utf8("a\x80\x80\x80\x80") == 5); // continuations of nothing
  CHECK(complete_utf8("a\xff") == 2);
  CHECK(complete_utf8("a\xe0\x80") == 3); // overlong already
  CHECK(complete_utf8("a\xed\xa0") == 3); // a surrogate already
  CHECK(complete_utf8("a\xc3\xc3") == 2); // the first is lost, the second may go on
}
