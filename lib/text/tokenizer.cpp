#include "text/tokenizer.h"

#include "base/status.h"
#include "text/text_call.h"

#include <nlohmann/json.hpp>

namespace abyssal {

using nlohmann::json;

namespace {

struct TokenizerDeleter {
  void operator()(abytext_tokenizer *tokenizer) const noexcept { abytext_tokenizer_destroy(tokenizer); }
};

struct IdsOwner {
  abytext_ids ids{nullptr, 0};
  IdsOwner() = default;
  ~IdsOwner() { abytext_ids_free(ids); }
  IdsOwner(const IdsOwner &) = delete;
  IdsOwner &operator=(const IdsOwner &) = delete;
};

// A token in tokenizer_config.json: its content, or an object that has it.
std::optional<std::string> token_content(const json &config, const char *name) {
  const auto entry = config.find(name);
  if (entry == config.end())
    return std::nullopt;
  if (entry->is_string())
    return entry->get<std::string>();
  if (entry->is_object() && entry->contains("content") && (*entry)["content"].is_string())
    return (*entry)["content"].get<std::string>();
  return std::nullopt;
}

json parse_config(const std::string &tokenizer_config, const std::string &origin) {
  if (tokenizer_config.empty())
    return json::object();
  json config;
  try {
    config = json::parse(tokenizer_config);
  } catch (const json::exception &error) {
    fail(ABY_ERROR_FORMAT, origin, ": tokenizer_config: ", error.what());
  }
  if (!config.is_object())
    fail(ABY_ERROR_FORMAT, origin, ": tokenizer_config: a JSON object is expected");
  return config;
}

// Whether BOS goes before a text. add_bos_token decides where it is given: the published DeepSeek checkpoints say true
// in a class that honours it (LlamaTokenizerFast), Qwen's say false. LlamaTokenizer's own default is true. Otherwise
// the post-processor of tokenizer.json decides (Llama 3).
bool asks_for_bos(const json &config, bool post_processor_adds) {
  const auto entry = config.find("add_bos_token");
  if (entry != config.end() && entry->is_boolean())
    return entry->get<bool>();
  const auto tokenizer_class = config.find("tokenizer_class");
  if (tokenizer_class != config.end() && tokenizer_class->is_string()) {
    const auto &name = tokenizer_class->get_ref<const std::string &>();
    if (name == "LlamaTokenizer" || name == "LlamaTokenizerFast")
      return true;
  }
  return post_processor_adds;
}

} // namespace

struct Tokenizer::State {
  std::unique_ptr<abytext_tokenizer, TokenizerDeleter> handle;
  abytext_vocabulary vocabulary{}; // borrowed from handle
  std::string origin;
  bool adds_bos = false;
  std::optional<std::int32_t> bos;

  bool has(std::int32_t token) const noexcept {
    return token >= 0 && static_cast<std::size_t>(token) < vocabulary.count &&
           (vocabulary.flags[token] & ABYTEXT_TOKEN_EXISTS) != 0;
  }
};

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::~Tokenizer() = default;

std::shared_ptr<const Tokenizer> Tokenizer::create(const std::string &tokenizer_json,
                                                   const std::string &tokenizer_config, const std::string &origin) {
  const json config = parse_config(tokenizer_config, origin);
  auto state = std::make_unique<State>();
  state->origin = origin;
  abytext_tokenizer *handle = nullptr;
  RustText error;
  const std::int32_t result =
      abytext_tokenizer_create(tokenizer_json.data(), tokenizer_json.size(), &handle, error.out());
  // A panic while reading means that the file contradicts itself in a way that nobody foresaw.
  if (result != ABYTEXT_OK)
    fail(result == ABYTEXT_UNSUPPORTED ? ABY_ERROR_UNSUPPORTED : ABY_ERROR_FORMAT, origin,
         ": tokenizer: ", error.view());
  state->handle.reset(handle);
  abytext_tokenizer_vocabulary(handle, &state->vocabulary);

  std::shared_ptr<Tokenizer> tokenizer(new Tokenizer(std::move(state)));
  State &made = *tokenizer->state_;
  const std::optional<std::string> bos = token_content(config, "bos_token");
  const std::int64_t leading = made.vocabulary.leading;
  if (bos)
    made.bos = tokenizer->token_id(*bos);
  else if (leading >= 0)
    made.bos = static_cast<std::int32_t>(leading);
  made.adds_bos = made.bos.has_value() && asks_for_bos(config, leading == *made.bos);
  return tokenizer;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool plain) const {
  const std::size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos)
    fail(ABY_ERROR_ENCODING, "text is not valid UTF-8 at byte ", invalid, " of ", text.size());
  IdsOwner owner;
  RustText error;
  const std::int32_t result =
      abytext_tokenizer_encode(state_->handle.get(), text.data(), text.size(), plain ? 1 : 0, &owner.ids, error.out());
  if (result != ABYTEXT_OK)
    fail(status_of_call(result, ABY_ERROR_FORMAT), state_->origin, ": tokenizer: ", error.view());
  return {owner.ids.data, owner.ids.data + owner.ids.size};
}

bool Tokenizer::adds_bos() const noexcept { return state_->adds_bos; }

std::optional<std::int32_t> Tokenizer::bos_token() const noexcept { return state_->bos; }

std::string Tokenizer::decode(const std::int32_t *tokens, std::size_t count, bool skip_special) const {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    if (!state_->has(tokens[i]))
      fail(ABY_ERROR_INVALID_ARGUMENT, "token ", tokens[i], " at position ", i, " is not in the vocabulary of ",
           state_->vocabulary.count, " ids");
    if (!skip_special || !is_special(tokens[i]))
      text += token_bytes(tokens[i]);
  }
  std::size_t strip = 0;
  while (strip < state_->vocabulary.strip_count && strip < text.size() && text[strip] == state_->vocabulary.strip_byte)
    ++strip;
  text.erase(0, strip);
  return text;
}

std::string_view Tokenizer::token_bytes(std::int32_t token) const {
  if (!state_->has(token))
    return {};
  const abytext_vocabulary &vocabulary = state_->vocabulary;
  const std::uint64_t begin = vocabulary.offsets[token];
  const std::uint64_t end = vocabulary.offsets[token + 1];
  return {reinterpret_cast<const char *>(vocabulary.bytes) + begin, static_cast<std::size_t>(end - begin)};
}

bool Tokenizer::is_special(std::int32_t token) const noexcept {
  return state_->has(token) && (state_->vocabulary.flags[token] & ABYTEXT_TOKEN_SPECIAL) != 0;
}

std::optional<std::int32_t> Tokenizer::token_id(std::string_view token) const {
  const std::int64_t id = abytext_tokenizer_token_id(state_->handle.get(), token.data(), token.size());
  if (id < 0)
    return std::nullopt;
  return static_cast<std::int32_t>(id);
}

std::size_t Tokenizer::vocab_size() const noexcept { return state_->vocabulary.count; }

const abytext_tokenizer *Tokenizer::handle() const noexcept { return state_->handle.get(); }

} // namespace abyssal
