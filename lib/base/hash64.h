// XXH64, the 64-bit hash of Yann Collet's xxHash (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), with seed 0: to
// notice damage, not malice. Several gigabytes a second.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace abyssal {

std::uint64_t hash64(std::span<const std::byte> bytes) noexcept;

} // namespace abyssal
