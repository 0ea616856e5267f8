// What sizes in a config may be: far above every published model, and small enough that no product of them overflows.
#pragma once

#include <cstdint>
#include <limits>

namespace abyssal {

constexpr std::int64_t kMostLayers = 1000, kMostHidden = 1 << 20, kMostHeads = 1 << 14, kMostHeadDim = 1 << 14;
constexpr std::int64_t kMostExperts = 1 << 14, kMostVocab = 1 << 28, kMostTokens = 1 << 30;
constexpr std::int64_t kMostToken = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMostAttentionWidth = 1 << 26; // heads * head size

} // namespace abyssal
