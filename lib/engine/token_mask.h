// A bit for each id of a vocabulary: bit i % 32 of word i / 32.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace abyssal {

using TokenMask = std::span<const std::uint32_t>; // empty: every id

constexpr std::size_t kMaskBits = 32;

constexpr std::size_t mask_words(std::size_t ids) noexcept { return (ids + kMaskBits - 1) / kMaskBits; }

inline bool allows(TokenMask mask, std::size_t id) noexcept {
  return mask.empty() || (mask[id / kMaskBits] >> (id % kMaskBits) & 1) != 0;
}

// visit(id) for each id from begin, which begins a word, to end that the mask allows, in order. Whole words cost what
// no mask costs, and empty ones nothing.
template <typename Visit> void for_each_allowed(TokenMask mask, std::size_t begin, std::size_t end, Visit &&visit) {
  for (std::size_t first = begin; first < end; first += kMaskBits) {
    const std::size_t last = std::min(first + kMaskBits, end);
    std::uint32_t bits = mask.empty() ? ~std::uint32_t{0} : mask[first / kMaskBits];
    if (bits == ~std::uint32_t{0}) {
      for (std::size_t id = first; id < last; ++id)
        visit(id);
      continue;
    }
    for (; bits != 0; bits &= bits - 1) {
      const std::size_t id = first + static_cast<std::size_t>(std::countr_zero(bits));
      if (id >= last)
        break;
      visit(id);
    }
  }
}

} // namespace abyssal
