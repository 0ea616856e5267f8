// Where text stops being valid UTF-8 (RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF).
#include "text/tokenizer.h"

namespace abyssal {

namespace {

enum class Sequence { kWhole, kIncomplete, kInvalid };

struct Scan {
  Sequence state;
  std::size_t length; // of a whole character
};

// The character that starts at text[0]. Incomplete: a valid start that the end of text cuts off.
Scan scan_character(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80)
    return {Sequence::kWhole, 1};
  if (first < 0xc2 || first > 0xf4)
    return {Sequence::kInvalid, 0};
  const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size())
      return {Sequence::kIncomplete, 0};
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    if (i == 1) { // the second byte rules out overlong forms, surrogates and what is beyond U+10FFFF
      low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : low;
      high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : high;
    }
    if (byte(i) < low || byte(i) > high)
      return {Sequence::kInvalid, 0};
  }
  return {Sequence::kWhole, length};
}

} // namespace

std::size_t find_invalid_utf8(std::string_view text) noexcept {
  std::size_t position = 0;
  while (position < text.size()) {
    const Scan scan = scan_character(text.substr(position));
    if (scan.state != Sequence::kWhole)
      return position;
    position += scan.length;
  }
  return std::string_view::npos;
}

std::size_t complete_utf8(std::string_view text) noexcept {
  // Only a character that starts in the last three bytes can be cut off.
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const std::size_t start = text.size() - back;
    if ((static_cast<unsigned char>(text[start]) & 0xc0) == 0x80)
      continue;
    return scan_character(text.substr(start)).state == Sequence::kIncomplete ? start : text.size();
  }
  return text.size();
}

} // namespace abyssal
