// XXH3 of xxHash, 64 bits: to notice damage, not malice. As fast as memory is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace abyssal {

std::uint64_t hash64(std::span<const std::byte> bytes) noexcept;

} // namespace abyssal
