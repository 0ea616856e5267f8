// How large cached rows are, which the backend says.
#pragma once

#include "device/device.h"
#include "model/spec.h"

#include <cstdint>

namespace abyssal {

// Of one block of ABK_BLOCK_TOKENS tokens in one cache.
std::uint64_t cache_block_bytes(const Device &device, const CacheSpec &cache, aby_dtype dtype);

// What one token takes in all layers (the MTP layer's among them with mtp).
std::uint64_t cache_bytes_per_token(const Device &device, const ModelSpec &spec, aby_dtype dtype, bool mtp);

} // namespace abyssal
