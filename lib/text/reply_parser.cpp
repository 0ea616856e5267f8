#include "text/reply_parser.h"

#include <algorithm>

namespace abyssal {

namespace {

constexpr std::string_view kOpen = "<think>";
constexpr std::string_view kClose = "</think>";
constexpr std::string_view kLineBreaks = "\r\n";
constexpr std::string_view kReplacement = "\xef\xbf\xbd"; // U+FFFD

// Length of text without the line breaks at its end.
std::size_t trimmed_length(std::string_view text) noexcept {
  const std::size_t last = text.find_last_not_of(kLineBreaks);
  return last == std::string_view::npos ? 0 : last + 1;
}

// Length of the longest end of text that a marker may start with, the whole marker excluded.
std::size_t partial_marker(std::string_view text) noexcept {
  const std::size_t start = text.rfind('<');
  if (start == std::string_view::npos)
    return 0;
  const std::string_view end = text.substr(start);
  const bool partial =
      (end.size() < kOpen.size() && kOpen.starts_with(end)) || (end.size() < kClose.size() && kClose.starts_with(end));
  return partial ? end.size() : 0;
}

// Text with U+FFFD for each byte that is not part of a UTF-8 character.
std::string repaired(std::string text) {
  std::size_t invalid = find_invalid_utf8(text);
  if (invalid == std::string_view::npos)
    return text;
  std::string_view rest = text;
  std::string result;
  for (; invalid != std::string_view::npos; invalid = find_invalid_utf8(rest)) {
    result += rest.substr(0, invalid);
    result += kReplacement;
    rest.remove_prefix(invalid + 1);
  }
  return result += rest;
}

} // namespace

ReplyParser::ReplyParser(std::string_view prompt_tail, bool plain) : plain_(plain) {
  const std::size_t last = prompt_tail.find_last_not_of(" \t\r\n");
  if (!plain && last != std::string_view::npos && prompt_tail.substr(0, last + 1).ends_with(kOpen)) {
    kind_ = TextKind::kReasoning;
    skip_line_breaks_ = true;
  }
}

ReplyPiece ReplyParser::push(std::string_view token_bytes) {
  pending_ += token_bytes;
  return take(false);
}

ReplyPiece ReplyParser::finish() { return take(true); }

bool ReplyParser::begins_content(std::string_view token_bytes) const {
  ReplyParser after = *this;
  const ReplyPiece piece = after.push(token_bytes);
  return !after.reasoning() && ((piece.kind == TextKind::kContent && !piece.text.empty()) ||
                                after.pending_.find_first_not_of(kLineBreaks) != std::string::npos);
}

void ReplyParser::keep_content() {
  if (skip_line_breaks_)
    pending_.erase(0, std::min(pending_.find_first_not_of(kLineBreaks), pending_.size()));
  skip_line_breaks_ = false;
  plain_ = true;
}

// The text up to the next marker, or up to where something may still be part of one.
ReplyPiece ReplyParser::take(bool final) {
  ReplyPiece piece;
  do {
    if (skip_line_breaks_) {
      pending_.erase(0, std::min(pending_.find_first_not_of(kLineBreaks), pending_.size()));
      skip_line_breaks_ = pending_.empty();
    }
    piece.kind = kind_;
    const std::size_t marker = plain_ ? std::string::npos : std::min(pending_.find(kOpen), pending_.find(kClose));
    if (marker == std::string::npos) {
      const std::size_t length = certain_length(final);
      piece.text = pending_.substr(0, length);
      pending_.erase(0, length);
      break;
    }
    take_marker(marker, piece.text);
  } while (piece.text.empty());
  piece.text = repaired(std::move(piece.text));
  return piece;
}

// Moves what stands before the marker at position to text, and switches to what the marker starts.
void ReplyParser::take_marker(std::size_t position, std::string &text) {
  const bool closes = pending_.compare(position, kClose.size(), kClose) == 0;
  text = pending_.substr(0, position);
  if (closes && kind_ == TextKind::kReasoning)
    text.resize(trimmed_length(text));
  pending_.erase(0, position + (closes ? kClose : kOpen).size());
  kind_ = closes ? TextKind::kContent : TextKind::kReasoning;
  skip_line_breaks_ = true;
}

// How much of pending_, which holds no whole marker, is certain: not the start of a marker, not part of a character,
// and in reasoning not line breaks that </think> may follow.
std::size_t ReplyParser::certain_length(bool final) const noexcept {
  std::string_view text = pending_;
  if (final)
    return text.size();
  if (plain_)
    return complete_utf8(text);
  text.remove_suffix(partial_marker(text));
  if (kind_ == TextKind::kReasoning)
    text = text.substr(0, trimmed_length(text));
  return complete_utf8(text);
}

} // namespace abyssal
