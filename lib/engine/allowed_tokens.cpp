#include "engine/allowed_tokens.h"

#include "base/status.h"

namespace abyssal {

namespace {

bool none(TokenMask mask) noexcept {
  return std::all_of(mask.begin(), mask.end(), [](std::uint32_t word) { return word == 0; });
}

void clear_beyond(std::vector<std::uint32_t> &words, std::size_t ids) noexcept {
  if (const std::size_t rest = ids % kMaskBits; rest != 0)
    words.back() &= (std::uint32_t{1} << rest) - 1;
}

} // namespace

void AllowedTokens::set(std::vector<std::uint32_t> words) {
  if (!words.empty()) {
    clear_beyond(words, vocab_size_);
    if (none(words))
      fail(ABY_ERROR_INVALID_ARGUMENT, "mask: none of the ", vocab_size_, " ids is allowed");
  }
  words_ = std::move(words);
}

void AllowedTokens::admit_ends(bool admitted) {
  for (const std::int32_t id : ends_) {
    const auto at = static_cast<std::size_t>(id);
    const std::uint32_t bit = std::uint32_t{1} << (at % kMaskBits);
    if (id >= 0 && at < vocab_size_)
      next_[at / kMaskBits] = admitted ? next_[at / kMaskBits] | bit : next_[at / kMaskBits] & ~bit;
  }
}

void AllowedTokens::check_any() const {
  if (none(next_))
    fail(ABY_ERROR_STATE, "no token is left to draw: the constraint admits none of those that the mask allows");
}

TokenMask AllowedTokens::next(bool reasoning) {
  if (!constraint_)
    return words_;
  if (reasoning) {
    next_.assign(mask_words(vocab_size_), ~std::uint32_t{0});
    clear_beyond(next_, vocab_size_);
    admit_ends(false);
  } else {
    const TokenMask admitted = constraint_->mask();
    next_.assign(admitted.begin(), admitted.begin() + static_cast<std::ptrdiff_t>(mask_words(vocab_size_)));
    admit_ends(constraint_->may_end());
  }
  for (std::size_t i = 0; i < words_.size(); ++i)
    next_[i] &= words_[i];
  check_any();
  return next_;
}

TokenMask AllowedTokens::without(std::int32_t token) {
  const auto at = static_cast<std::size_t>(token);
  next_[at / kMaskBits] &= ~(std::uint32_t{1} << (at % kMaskBits));
  check_any();
  return next_;
}

void AllowedTokens::take(std::int32_t token) {
  if (constraint_)
    constraint_->take(token);
}

bool AllowedTokens::is_end(std::int32_t token) const noexcept {
  return std::find(ends_.begin(), ends_.end(), token) != ends_.end();
}

void AllowedTokens::cancel() noexcept {
  if (constraint_)
    constraint_->cancel();
}

} // namespace abyssal
