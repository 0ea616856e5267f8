// Which tokens the next draw of a reply may take: those of the caller's mask that the reply's constraint admits.
#pragma once

#include "engine/token_mask.h"
#include "text/constraint.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace abyssal {

class AllowedTokens {
public:
  // ends: the end-of-sequence ids, which a constraint admits where it may end. constraint: null for none.
  AllowedTokens(std::size_t vocab_size, std::vector<std::int32_t> ends, std::unique_ptr<Constraint> constraint)
      : vocab_size_(vocab_size), ends_(std::move(ends)), constraint_(std::move(constraint)) {}

  // words: for vocab_size ids, or empty for all. Throws INVALID_ARGUMENT, with the old mask kept, if it allows none.
  void set(std::vector<std::uint32_t> words);

  bool constrained() const noexcept { return constraint_ != nullptr; }
  // Of the next token: reasoning is free of the constraint, but may not end the reply. Empty for all ids; valid until
  // the next call. Throws STATE if no token is left, and as the constraint does.
  TokenMask next(bool reasoning);
  // The same without a token that was in it.
  TokenMask without(std::int32_t token);
  // Whether the constraint has all that it can have.
  bool complete() { return constraint_ != nullptr && constraint_->complete(); }
  // A token of the content was drawn.
  void take(std::int32_t token);
  bool is_end(std::int32_t token) const noexcept;
  // Interrupts the constraint's work, for good. From any thread.
  void cancel() noexcept;

private:
  void admit_ends(bool admitted);
  void check_any() const;

  std::size_t vocab_size_;
  std::vector<std::int32_t> ends_;
  std::unique_ptr<Constraint> constraint_;
  std::vector<std::uint32_t> words_; // the caller's, without bits beyond the vocabulary
  std::vector<std::uint32_t> next_;  // what both leave
};

} // namespace abyssal
