#include "text/gguf_tokenizer.h"

#include "base/status.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

#include <nlohmann/json.hpp>

#include <unordered_map>

namespace abyssal {

namespace {

using Json = nlohmann::json;

constexpr std::int64_t kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;
constexpr const char *kSpace = "\u2581"; // in the tokens of raw vocabularies

class Writer {
public:
  Writer(const GgufVocabulary &vocabulary, const std::string &origin) : v_(vocabulary), origin_(origin) {}

  TokenizerTexts write() {
    const PreTokenizer *pre = find_pre_tokenizer(v_.pre);
    if (pre == nullptr)
      fail(ABY_ERROR_UNSUPPORTED, origin_, ": tokenizer.ggml.pre \"", v_.pre, "\" is not supported");
    if (!v_.types.empty() && v_.types.size() != v_.tokens.size())
      refuse("tokenizer.ggml.token_type has ", v_.types.size(), " elements; tokenizer.ggml.tokens has ",
             v_.tokens.size());
    add_tokens();
    if (v_.merges)
      add_merges(*v_.merges);
    else if (pre->ranked_by_id)
      add_merges_by_id();
    else
      refuse("key tokenizer.ggml.merges is missing");
    return {tokenizer(*pre).dump(), config(*pre).dump()};
  }

private:
  template <typename... Parts> [[noreturn]] void refuse(const Parts &...parts) const {
    fail(ABY_ERROR_FORMAT, origin_, ": ", parts...);
  }

  std::string checked(std::string_view text, const char *key, std::size_t index) const {
    if (find_invalid_utf8(text) != std::string_view::npos)
      refuse(key, "[", index, "] is not valid UTF-8");
    return std::string(text);
  }

  // Markers are among the vocabulary too, so that each keeps its id whatever ids there are none for. Unused ids and
  // empty tokens are left out: no text has them.
  void add_tokens() {
    std::unordered_map<std::string_view, std::size_t> seen;
    for (std::size_t id = 0; id < v_.tokens.size(); ++id) {
      const std::int64_t type = v_.types.empty() ? kNormal : v_.types[id];
      if (type < kNormal || type > kByte)
        refuse("tokenizer.ggml.token_type[", id, "] is ", type, "; expected 1 to 6");
      if (type == kUnused || v_.tokens[id].empty())
        continue;
      const std::string content = checked(v_.tokens[id], "tokenizer.ggml.tokens", id);
      if (const auto [first, fresh] = seen.try_emplace(v_.tokens[id], id); !fresh)
        refuse("tokenizer.ggml.tokens[", id, "] is the same as [", first->second, "]");
      vocabulary_[content] = id;
      if (type != kControl && type != kUserDefined && type != kUnknown)
        continue;
      added_.push_back({{"id", id},
                        {"content", content},
                        {"single_word", false},
                        {"lstrip", false},
                        {"rstrip", false},
                        {"normalized", false},
                        {"special", type != kUserDefined}});
    }
  }

  void add_merges(const std::vector<std::string_view> &merges) {
    for (std::size_t i = 0; i < merges.size(); ++i) {
      std::string merge = checked(merges[i], "tokenizer.ggml.merges", i);
      const std::size_t space = merge.find(' ');
      if (space == std::string::npos || space == 0 || space + 1 == merge.size() ||
          merge.find(' ', space + 1) != std::string::npos)
        refuse("tokenizer.ggml.merges[", i, "] is \"", merge, "\"; expected two tokens with a space between them");
      // One that makes a token which is not there can never be used; files with trimmed vocabularies have such.
      const std::string left = merge.substr(0, space), right = merge.substr(space + 1);
      if (!vocabulary_.contains(left) || !vocabulary_.contains(right) || !vocabulary_.contains(left + right))
        continue;
      merges_.push_back(std::move(merge));
    }
  }

  // Every pair that makes a token, tokens with lower ids first.
  void add_merges_by_id() {
    for (const std::string_view token : v_.tokens) {
      if (!vocabulary_.contains(token))
        continue;
      for (std::size_t cut = 1; cut < token.size(); ++cut) {
        const std::string_view left = token.substr(0, cut), right = token.substr(cut);
        if (vocabulary_.contains(left) && vocabulary_.contains(right))
          merges_.push_back(std::string(left) + " " + std::string(right));
      }
    }
  }

  Json tokenizer(const PreTokenizer &pre) {
    Json steps = Json::array();
    for (const std::string &pattern : pre.splits)
      steps.push_back(
          {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
    const Json bytes = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
    if (!pre.raw)
      steps.push_back(bytes);
    Json all = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"post_processor", nullptr}};
    all["normalizer"] = normalizer(pre);
    all["decoder"] = pre.raw ? raw_decoder() : bytes;
    all["added_tokens"] = std::move(added_);
    all["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
    all["model"] = {{"type", "BPE"},
                    {"dropout", nullptr},
                    {"unk_token", nullptr},
                    {"continuing_subword_prefix", nullptr},
                    {"end_of_word_suffix", nullptr},
                    {"fuse_unk", false},
                    {"byte_fallback", pre.raw},
                    {"ignore_merges", pre.ignores_merges}};
    all["model"]["vocab"] = std::move(vocabulary_);
    all["model"]["merges"] = std::move(merges_);
    return all;
  }

  static Json replace(const char *from, const char *to) {
    return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
  }

  static Json normalizer(const PreTokenizer &pre) {
    if (pre.raw)
      return replace(" ", kSpace);
    return pre.composes ? Json{{"type", "NFC"}} : Json(nullptr);
  }

  static Json raw_decoder() {
    Json decoders = Json::array({replace(kSpace, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
    return {{"type", "Sequence"}, {"decoders", std::move(decoders)}};
  }

  Json config(const PreTokenizer &pre) const {
    Json config = {{"add_bos_token", v_.add_bos.value_or(pre.adds_bos)}};
    const auto name = [&](const char *field, const char *key, std::optional<std::int64_t> id) {
      if (!id)
        return;
      if (*id < 0 || static_cast<std::uint64_t>(*id) >= v_.tokens.size())
        refuse(key, " is ", *id, "; there are ", v_.tokens.size(), " tokens");
      const auto index = static_cast<std::size_t>(*id);
      config[field] = checked(v_.tokens[index], "tokenizer.ggml.tokens", index);
    };
    name("bos_token", "tokenizer.ggml.bos_token_id", v_.bos);
    name("eos_token", "tokenizer.ggml.eos_token_id", v_.eos);
    name("pad_token", "tokenizer.ggml.padding_token_id", v_.pad);
    return config;
  }

  const GgufVocabulary &v_;
  const std::string &origin_;
  Json vocabulary_ = Json::object(), added_ = Json::array(), merges_ = Json::array();
};

} // namespace

TokenizerTexts gguf_tokenizer_texts(const GgufVocabulary &vocabulary, const std::string &origin) {
  return Writer(vocabulary, origin).write();
}

} // namespace abyssal
