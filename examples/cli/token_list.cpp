#include "token_list.h"

#include "commands.h"
#include "model_options.h"

#include <algorithm>
#include <charconv>

namespace cli {

namespace {

bool separates(char c) { return c == ',' || c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '[' || c == ']'; }

} // namespace

std::vector<std::int32_t> read_tokens(const std::string &argument) {
  const std::string text = read_argument(argument, "--tokens");
  std::vector<std::int32_t> tokens;
  const char *at = text.data(), *end = at + text.size();
  while (at != end) {
    if (separates(*at)) {
      ++at;
      continue;
    }
    std::int32_t token = 0;
    const auto [next, error] = std::from_chars(at, end, token);
    if (error != std::errc() || (next != end && !separates(*next)))
      throw UsageError("--tokens: \"" + std::string(at, std::min<std::size_t>(20, static_cast<std::size_t>(end - at))) +
                       "\" is not a token id");
    tokens.push_back(token);
    at = next;
  }
  if (tokens.empty())
    throw UsageError("--tokens: there are none");
  return tokens;
}

std::string tokens_text(const std::vector<std::int32_t> &tokens) {
  std::string text;
  for (const std::int32_t token : tokens)
    text += (text.empty() ? "" : ",") + std::to_string(token);
  return text;
}

} // namespace cli
