#include "base/hash64.h"

#include <bit>
#include <cstring>

namespace abyssal {

namespace {

constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87u, kPrime2 = 0xC2B2AE3D27D4EB4Fu, kPrime3 = 0x165667B19E3779F9u,
                        kPrime4 = 0x85EBCA77C2B2AE63u, kPrime5 = 0x27D4EB2F165667C5u;

static_assert(std::endian::native == std::endian::little);
template <typename Word> std::uint64_t load(const std::byte *from) noexcept {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

std::uint64_t round_of(std::uint64_t lane, std::uint64_t input) noexcept {
  return std::rotl(lane + input * kPrime2, 31) * kPrime1;
}

// Stripes of 32 bytes in four lanes; advances `at` past them.
std::uint64_t stripes(const std::byte *&at, const std::byte *end) noexcept {
  std::uint64_t lane[4] = {kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1};
  for (; end - at >= 32; at += 32) {
    for (int i = 0; i < 4; ++i)
      lane[i] = round_of(lane[i], load<std::uint64_t>(at + 8 * i));
  }
  std::uint64_t hash = std::rotl(lane[0], 1) + std::rotl(lane[1], 7) + std::rotl(lane[2], 12) + std::rotl(lane[3], 18);
  for (const std::uint64_t one : lane)
    hash = (hash ^ round_of(0, one)) * kPrime1 + kPrime4;
  return hash;
}

} // namespace

std::uint64_t hash64(std::span<const std::byte> bytes) noexcept {
  const std::byte *at = bytes.data(), *end = at + bytes.size();
  std::uint64_t hash = bytes.size() >= 32 ? stripes(at, end) : kPrime5;
  hash += bytes.size();
  for (; end - at >= 8; at += 8)
    hash = std::rotl(hash ^ round_of(0, load<std::uint64_t>(at)), 27) * kPrime1 + kPrime4;
  if (end - at >= 4) {
    hash = std::rotl(hash ^ load<std::uint32_t>(at) * kPrime1, 23) * kPrime2 + kPrime3;
    at += 4;
  }
  for (; at != end; ++at)
    hash = std::rotl(hash ^ load<std::uint8_t>(at) * kPrime5, 11) * kPrime1;
  hash = (hash ^ hash >> 33) * kPrime2;
  hash = (hash ^ hash >> 29) * kPrime3;
  return hash ^ hash >> 32;
}

} // namespace abyssal
