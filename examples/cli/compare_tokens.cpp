#include "compare_tokens.h"

#include "model_options.h"
#include "reply.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

namespace cli {

namespace {

using Json = nlohmann::ordered_json;

std::vector<std::int32_t> ids_of(const Json &list, const std::string &file) {
  std::vector<std::int32_t> ids;
  for (const Json &id : list) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > std::numeric_limits<std::int32_t>::max())
      throw UsageError(file + ": " + id.dump(-1, ' ', true, Json::error_handler_t::replace) + " is not a token id");
    ids.push_back(id.get<std::int32_t>());
  }
  if (ids.empty())
    throw UsageError(file + ": has a list without token ids");
  return ids;
}

Sequences read_ids(const std::string &file) {
  const Json parsed = Json::parse(read_argument(file == "-" ? file : "@" + file, "--ids"), nullptr, false);
  if (!parsed.is_array())
    throw UsageError(file + ": is not a JSON array of token ids");
  if (parsed.empty() || !parsed.front().is_array())
    return {ids_of(parsed, file)};
  Sequences lists;
  for (const Json &list : parsed) {
    if (!list.is_array())
      throw UsageError(file + ": holds " + list.dump() + " beside lists of token ids");
    lists.push_back(ids_of(list, file));
  }
  return lists;
}

// What the model goes on with, and the token that ended it.
std::vector<std::int32_t> reply_to(const abyssal::model &model, const std::vector<std::int32_t> &prompt,
                                   std::uint64_t count) {
  abyssal::sequence sequence(model);
  aby_reply_options options = abyssal::default_reply_options();
  options.max_tokens = count;
  options.temperature = 0;
  options.plain = 1;
  abyssal::generation generation(sequence, prompt, options);
  Reply reply = finish_reply(generation, nullptr);
  if (reply.last >= 0)
    reply.tokens.push_back(reply.last);
  return reply.tokens;
}

} // namespace

void CompareTokens::add(CLI::App &command) {
  CLI::Option *const text = command.add_option("--text", files_,
                                               "a text in UTF-8: its file, - for standard input; again for "
                                               "further texts, each evaluated by itself");
  text->allow_extra_args(false);
  CLI::Option *const ids =
      command.add_option("--ids", ids_file_, "token ids instead: a JSON array, or an array of arrays");
  CLI::Option *const tokens =
      command.add_option("--tokens", tokens_, "of each text at most so many tokens (default 512)");
  tokens->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 30));
  CLI::Option *const chat =
      command.add_flag("--chat", chat_, "each text is a user's message: render the chat template");
  command.add_option("--reply", reply_, "append so many tokens that float32 arithmetic goes on with, greedily")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 30));
  ids->excludes(text, chat, tokens);
}

void CompareTokens::read() {
  if (files_.empty() && ids_file_.empty())
    throw UsageError("one of --text and --ids is needed");
  if (!ids_file_.empty())
    ids_ = read_ids(ids_file_);
  for (const std::string &file : files_) {
    texts_.push_back(read_argument(file == "-" ? file : "@" + file, file == "-" ? "standard input" : file.c_str()));
    if (texts_.back().empty())
      throw UsageError(file + ": there is nothing in it");
  }
}

std::uint64_t CompareTokens::most() const {
  std::uint64_t most = texts_.empty() ? 0 : tokens_;
  for (const auto &ids : ids_)
    most = std::max<std::uint64_t>(most, ids.size());
  return most + reply_;
}

std::vector<std::int32_t> CompareTokens::tokens_of(const abyssal::model &model, const std::string &path,
                                                   std::size_t index) const {
  const std::string &text = texts_[index], &file = files_[index];
  std::vector<std::int32_t> tokens;
  if (!chat_) {
    tokens = model.tokenize(text, ABY_TOKENIZE_ADD_BOS);
    tokens.resize(std::min<std::uint64_t>(tokens.size(), tokens_));
  } else {
    if (model.info().has_tokenizer != 0 && model.info().has_chat_template == 0)
      throw std::runtime_error(path + ": the model has no chat template; without --chat the text is taken as it is");
    const Json messages = {{{"role", "user"}, {"content", text}}};
    tokens = model.tokenize(model.render_chat(messages.dump()));
    if (tokens.size() > tokens_) // a part of it would be no chat
      throw UsageError(file + ": rendered it has " + std::to_string(tokens.size()) + " tokens, more than --tokens " +
                       std::to_string(tokens_));
  }
  if (tokens.empty())
    throw UsageError(file + ": its text has no tokens");
  return tokens;
}

Sequences CompareTokens::sequences(const abyssal::model &model, const std::string &path) const {
  Sequences made = ids_;
  for (std::size_t i = 0; i < texts_.size(); ++i)
    made.push_back(tokens_of(model, path, i));
  for (auto &tokens : made) {
    if (reply_ == 0)
      continue;
    const std::vector<std::int32_t> reply = reply_to(model, tokens, reply_);
    tokens.insert(tokens.end(), reply.begin(), reply.end());
  }
  return made;
}

} // namespace cli
