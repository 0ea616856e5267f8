#include "base/hash64.h"

#define XXH_INLINE_ALL // no library to link, and no symbol to hide
#include <xxhash.h>

namespace abyssal {

std::uint64_t hash64(std::span<const std::byte> bytes) noexcept { return XXH3_64bits(bytes.data(), bytes.size()); }

} // namespace abyssal
