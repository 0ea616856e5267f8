// Which tokens the next draw of a reply may take.
#pragma once

#include "engine/token_mask.h"

#include <cstdint>
#include <vector>

namespace abyssal {

class AllowedTokens {
public:
  explicit AllowedTokens(std::size_t vocab_size) : vocab_size_(vocab_size) {}

  // words: for vocab_size ids, or empty for all. Throws INVALID_ARGUMENT, with the old mask kept, if it allows none.
  void set(std::vector<std::uint32_t> words);
  TokenMask mask() const noexcept { return words_; }

private:
  std::size_t vocab_size_;
  std::vector<std::uint32_t> words_; // no bits beyond the vocabulary
};

} // namespace abyssal
