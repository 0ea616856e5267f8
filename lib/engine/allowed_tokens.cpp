#include "engine/allowed_tokens.h"

#include "base/status.h"

namespace abyssal {

namespace {

constexpr auto is_zero = [](std::uint32_t word) { return word == 0; };

} // namespace

void AllowedTokens::set(std::vector<std::uint32_t> words) {
  if (!words.empty()) {
    if (const std::size_t rest = vocab_size_ % kMaskBits; rest != 0)
      words.back() &= (std::uint32_t{1} << rest) - 1;
    if (std::all_of(words.begin(), words.end(), is_zero))
      fail(ABY_ERROR_INVALID_ARGUMENT, "mask: none of the ", vocab_size_, " ids is allowed");
  }
  words_ = std::move(words);
}

} // namespace abyssal
