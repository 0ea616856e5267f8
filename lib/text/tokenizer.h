// Tokenizer of a checkpoint, on Hugging Face's tokenizers library.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct abytext_tokenizer;

namespace abyssal {

class Tokenizer {
public:
  // From the texts of tokenizer.json and tokenizer_config.json ("" if there is none). Throws FORMAT.
  static std::shared_ptr<const Tokenizer> create(const std::string &tokenizer_json, const std::string &tokenizer_config,
                                                 const std::string &origin);
  ~Tokenizer();
  Tokenizer(const Tokenizer &) = delete;
  Tokenizer &operator=(const Tokenizer &) = delete;

  // Ids as Hugging Face gives them, without special tokens added. plain: markers of added special tokens in the text
  // are ordinary text. Throws ENCODING at the first invalid byte.
  std::vector<std::int32_t> encode(std::string_view text, bool plain) const;

  // True when the checkpoint asks for BOS before a text (add_bos_token, or a post-processor that adds it).
  bool adds_bos() const noexcept;
  std::optional<std::int32_t> bos_token() const noexcept;

  // Exact bytes; ids outside the vocabulary throw INVALID_ARGUMENT.
  std::string decode(const std::int32_t *tokens, std::size_t count, bool skip_special) const;
  // Bytes of one token; "" for ids that the model has rows for but the vocabulary has not.
  std::string_view token_bytes(std::int32_t token) const;
  bool is_special(std::int32_t token) const noexcept;
  std::optional<std::int32_t> token_id(std::string_view token) const; // exact content of an added or vocabulary token
  std::size_t vocab_size() const noexcept;                            // highest id + 1
  const abytext_tokenizer *handle() const noexcept;                   // of the Rust part

private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The first byte at which text is not valid UTF-8, or npos.
std::size_t find_invalid_utf8(std::string_view text) noexcept;

// Length of the longest prefix of text that ends on a whole UTF-8 character. Bytes that can never become valid count as
// whole, so that nothing is held back for ever.
std::size_t complete_utf8(std::string_view text) noexcept;

} // namespace abyssal
