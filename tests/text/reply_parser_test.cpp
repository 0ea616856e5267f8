#include "text/reply_parser.h"

#include <doctest/doctest.h>
#include <random>
#include <utility>
#include <vector>

using abyssal::ReplyParser;
using abyssal::ReplyPiece;
using abyssal::TextKind;

namespace {

struct Reply {
  std::string reasoning;
  std::string content;
  bool operator==(const Reply &) const = default;
};

std::ostream &operator<<(std::ostream &out, const Reply &reply) {
  return out << "reasoning [" << reply.reasoning << "] content [" << reply.content << "]";
}

void add(Reply &reply, const ReplyPiece &piece) {
  CHECK(abyssal::find_invalid_utf8(piece.text) == std::string_view::npos);
  (piece.kind == TextKind::kReasoning ? reply.reasoning : reply.content) += piece.text;
}

Reply parse(const std::vector<std::string> &tokens, std::string_view prompt = "", bool plain = false) {
  ReplyParser parser(prompt, plain);
  Reply reply;
  for (const std::string &token : tokens)
    add(reply, parser.push(token));
  for (ReplyPiece piece = parser.finish(); !piece.text.empty(); piece = parser.finish())
    add(reply, piece);
  return reply;
}

std::vector<std::string> bytes_of(const std::string &text) {
  std::vector<std::string> tokens;
  for (const char c : text)
    tokens.emplace_back(1, c);
  return tokens;
}

} // namespace

TEST_CASE("a reply without markers is content") {
  CHECK(parse({"Hello", ", ", "world\n\n"}) == Reply{"", "Hello, world\n\n"});
  CHECK(parse({}) == Reply{"", ""});
  CHECK(parse({"\n\n", "x"}) == Reply{"", "\n\nx"}); // line breaks are text where no marker is
}

TEST_CASE("a prompt that ends in an open <think> starts the reply inside the reasoning") {
  for (const char *prompt : {"<think>", "<｜Assistant｜><think>\n", "x<think>\n\n "}) {
    CAPTURE(prompt);
    CHECK(ReplyParser(prompt, false).reasoning());
    CHECK(parse({"hm", "\n", "</think>", "\n\n", "4"}, prompt) == Reply{"hm", "4"});
  }
  for (const char *prompt :
       {"", "<think> is a marker", "<think>\n</think>\n", "think>", "what is <think>?<｜Assistant｜>"}) {
    CAPTURE(prompt);
    CHECK_FALSE(ReplyParser(prompt, false).reasoning());
    CHECK(parse({"4"}, prompt) == Reply{"", "4"});
  }
}

TEST_CASE("markers and the line breaks beside them are not text") {
  const std::string text = "<think>\n\nfirst\n\nsecond\r\n\n</think>\n\r\n\nanswer\n";
  const Reply expected{"first\n\nsecond", "answer\n"};
  CHECK(parse({text}) == expected);
  CHECK(parse(bytes_of(text)) == expected);
  CHECK(parse({"<think>", "\n", "\n", "first", "\n\n", "second", "\r\n", "\n", "</think>", "\n\r\n", "\n",
               "answer\n"}) == expected);
  CHECK(parse({"<th", "ink>a</", "think", ">b"}) == Reply{"a", "b"});
  CHECK(parse({"<think>", "</think>", "x"}) == Reply{"", "x"});
  CHECK(parse({"<think>\n\n</think>\n\n", "x"}) == Reply{"", "x"});
}

TEST_CASE("what only looks like a marker is text") {
  for (const std::string &text : std::vector<std::string>{"<thin", "a < b", "<<", "<think", "</ think>", "<thinking>",
                                                          "</thinker>", "<thi<think"}) {
    CAPTURE(text);
    CHECK(parse({text}) == Reply{"", text});
    CHECK(parse(bytes_of(text)) == Reply{"", text});
  }
  CHECK(parse(bytes_of("<<think>a<</think>b")) == Reply{"a<", "<b"});
  CHECK(parse(bytes_of("<thi<think>a")) == Reply{"a", "<thi"});
}

TEST_CASE("a marker of the state that holds already is dropped; reasoning may come twice") {
  CHECK(parse({"a", "</think>", "\nb"}) == Reply{"", "ab"});
  CHECK(parse({"a<think>", "b</think>c<think>d"}) == Reply{"bd", "ac"});
  CHECK(parse({"a</think>b</think>c"}, "<think>") == Reply{"a", "bc"});
}

TEST_CASE("reasoning that never ends keeps its line breaks") {
  CHECK(parse({"a\n", "\n"}, "<think>") == Reply{"a\n\n", ""});
  CHECK(parse({"a\n</thin"}, "<think>") == Reply{"a\n</thin", ""});
}

TEST_CASE("a piece has one kind, and what follows a marker comes with the next call") {
  ReplyParser parser("<think>\n", false);
  CHECK(parser.push("so\n").text == "so");
  ReplyPiece piece = parser.push("!</think>\n\nYes");
  CHECK(piece.kind == TextKind::kReasoning);
  CHECK(piece.text == "\n!");
  CHECK_FALSE(parser.reasoning());
  piece = parser.push("");
  CHECK(piece.kind == TextKind::kContent);
  CHECK(piece.text == "Yes");
  CHECK(parser.finish().text.empty());
  CHECK(parser.finish().text.empty());
}

TEST_CASE("text is given as soon as it is certain") {
  ReplyParser parser("", false);
  CHECK(parser.push("abc").text == "abc");
  CHECK(parser.push("\n").text == "\n");
  CHECK(parser.push("x<").text == "x");
  CHECK(parser.push("y").text == "<y");
  CHECK(parser.push("</th").text.empty());
  CHECK(parser.push("e").text == "</the");
}

TEST_CASE("characters come whole") {
  ReplyParser parser("", false);
  CHECK(parser.push("a\xf0\x9f").text == "a");
  CHECK(parser.push("\x98").text.empty());
  CHECK(parser.push("\x80").text == "\xf0\x9f\x98\x80");
  CHECK(parse({"\xe4", "\xbd", "<think>", "\xa0\xe5", "\xa5\xbd"}) ==
        Reply{"\xef\xbf\xbd\xe5\xa5\xbd", "\xef\xbf\xbd\xef\xbf\xbd"});
  CHECK(parse({"a\xff\x62", "\xe4\xbd"}) == Reply{"", "a\xef\xbf\xbd\x62\xef\xbf\xbd\xef\xbf\xbd"});
  CHECK(parse({"\xe4", "\xbd", "\xa0"}, "", true) == Reply{"", "\xe4\xbd\xa0"});
}

TEST_CASE("plain: markers are text") {
  const std::string text = "<think>\n\na\n</think>\n\nb";
  CHECK(parse({text}, "<think>\n", true) == Reply{"", text});
  CHECK(parse(bytes_of(text), "", true) == Reply{"", text});
}

TEST_CASE("how a reply is cut into tokens changes nothing") {
  std::mt19937 random(7);
  const std::vector<std::string> parts = {"<think>", "</think>", "\n", "\r\n", "a",    "<", "</",
                                          "think>",  "é",        "中", "😀",   "\xff", " "};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (std::size_t i = random() % 12; i > 0; --i)
      text += parts[random() % parts.size()];
    std::vector<std::string> tokens;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t length = 1 + random() % 6;
      tokens.push_back(text.substr(at, length));
      at += length;
    }
    const bool open = random() % 2 == 0;
    const std::string_view prompt = open ? "<think>\n" : "";
    CAPTURE(text);
    const Reply whole = parse({text}, prompt);
    CHECK(parse(tokens, prompt) == whole);
    CHECK(parse(bytes_of(text), prompt) == whole);
    CHECK(parse(tokens, prompt, true).reasoning.empty());
  }
}

TEST_CASE("content that is kept has its markers and line breaks, but for those beside the marker before it") {
  ReplyParser parser("<think>", false);
  Reply reply;
  add(reply, parser.push("hm</think>\n"));
  parser.keep_content();
  for (const char *token : {"\n", "<think>", "x", "</think>", "\n"})
    add(reply, parser.push(token));
  CHECK(reply == Reply{"hm", "\n<think>x</think>\n"});
}

TEST_CASE("which token would begin the content is known before it is pushed") {
  for (const char *written : {"hm", "hm\n", ""}) {
    CAPTURE(written);
    ReplyParser parser("<think>", false);
    parser.push(written);
    for (const char *token : {"x", "</think>", "</think>\n\n", "x</think>\n", "</thin"})
      CHECK_FALSE(parser.begins_content(token));
    for (const char *token : {"</think>4", "x</think>\n4", "</think>\n\n4", "</think> "})
      CHECK(parser.begins_content(token));
    parser.push("</think");
    CHECK_FALSE(parser.begins_content(">\n"));
    CHECK(parser.begins_content(">{"));
    CHECK(parser.reasoning());
  }
}
