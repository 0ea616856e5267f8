#include "model/cache_rows.h"

namespace abyssal {

std::uint64_t cache_block_bytes(const Device &device, const CacheSpec &cache, aby_dtype dtype) {
  const abk_cache_desc desc = cache.desc(dtype);
  std::uint64_t row = 0;
  device.check(device.api().cache_row_bytes(device.handle(), &desc, &row), "cache_row_bytes");
  return static_cast<std::uint64_t>(cache.rows_per_block()) * row;
}

std::uint64_t cache_bytes_per_token(const Device &device, const ModelSpec &spec, aby_dtype dtype, bool mtp) {
  std::uint64_t bytes = 0; // of a block
  for (const LayerSpec &layer : spec.all_layers(mtp)) {
    for (const CacheSpec &cache : layer.attention->caches())
      bytes += cache_block_bytes(device, cache, dtype);
  }
  return bytes / ABK_BLOCK_TOKENS;
}

} // namespace abyssal
