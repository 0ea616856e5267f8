// Splits a reply, as it streams in, into reasoning and content. Never throws on what a model wrote.
#pragma once

#include "text/tokenizer.h"

#include <string>
#include <string_view>

namespace abyssal {

enum class TextKind { kContent = 0, kReasoning = 1 };

struct ReplyPiece {
  TextKind kind = TextKind::kContent;
  std::string text; // whole UTF-8 characters; may be empty
};

class ReplyParser {
public:
  // prompt_tail: the end of the prompt's text, at least its last 64 bytes; when it ends in an open <think>, the reply
  // starts inside the reasoning. plain: everything is content, markers included.
  ReplyParser(std::string_view prompt_tail, bool plain);

  // The bytes of the next token -> the text that is now certain. Markers <think> and </think>, whether they come as one
  // token or in pieces, are not text; nor are line breaks right after <think>, before </think> and after it. A piece
  // has one kind: when a token completes both (the end of reasoning and the start of content), the rest comes with the
  // next call. Bytes that can never become UTF-8 are given as U+FFFD.
  ReplyPiece push(std::string_view token_bytes);
  // What was held back; call until text is empty.
  ReplyPiece finish();

  // Whether what comes next is reasoning.
  bool reasoning() const noexcept { return kind_ == TextKind::kReasoning; }
  // Whether a token would end the reasoning and begin the content at once.
  bool begins_content(std::string_view token_bytes) const;
  // From here on everything is content as it comes, markers and line breaks too. Not inside the reasoning.
  void keep_content();

private:
  ReplyPiece take(bool final);
  void take_marker(std::size_t position, std::string &text);
  std::size_t certain_length(bool final) const noexcept;

  TextKind kind_ = TextKind::kContent;
  bool plain_;
  bool skip_line_breaks_ = false; // a marker was just read
  std::string pending_;           // bytes not yet certain
};

} // namespace abyssal
