#include "engine/paged_cache.h"

#include "model/cache_rows.h"

#include <algorithm>

namespace abyssal {

PagedCache::PagedCache(DevicePtr device, const ModelSpec &spec, aby_dtype dtype, std::int32_t blocks, bool mtp)
    : device_(std::move(device)), dtype_(dtype), pool_(blocks) {
  for (const LayerSpec &layer : spec.all_layers(mtp)) {
    specs_.push_back(layer.attention->caches());
    LayerCache spans;
    std::vector<std::uint64_t> sizes;
    for (const CacheSpec &cache : specs_.back()) {
      sizes.push_back(cache_block_bytes(*device_, cache, dtype));
      buffers_.emplace_back(device_, static_cast<std::uint64_t>(blocks) * sizes.back());
      spans.push_back(buffers_.back().at(0));
    }
    spans_.push_back(std::move(spans));
    block_bytes_.push_back(std::move(sizes));
  }
}

void PagedCache::copy_block(std::int32_t to, std::int32_t from) {
  for (std::size_t layer = 0; layer < spans_.size(); ++layer) {
    for (std::size_t i = 0; i < spans_[layer].size(); ++i) {
      const abk_span base = spans_[layer][i];
      const std::uint64_t bytes = block_bytes_[layer][i];
      const abk_span target{base.buffer, base.offset + static_cast<std::uint64_t>(to) * bytes};
      const abk_span source{base.buffer, base.offset + static_cast<std::uint64_t>(from) * bytes};
      device_->check(device_->api().copy(device_->stream(), target, source, bytes), "copy");
    }
  }
}

std::vector<float> PagedCache::read(std::size_t layer, std::size_t cache, std::span<const std::int32_t> blocks,
                                    std::int64_t length) {
  const CacheSpec &spec = specs_[layer][cache];
  const abk_cache_desc desc = spec.desc(dtype_);
  const abk_span base = spans_[layer][cache];
  const std::int64_t all = length / spec.tokens_per_row, per_block = spec.rows_per_block();
  std::vector<float> values(static_cast<std::size_t>(all * spec.values()));
  for (std::int64_t done = 0; done < all; done += per_block) {
    const auto block = static_cast<std::uint64_t>(blocks[static_cast<std::size_t>(done / per_block)]);
    const auto rows = static_cast<std::int32_t>(std::min(all - done, per_block));
    device_->check(device_->api().cache_read(device_->stream(), &desc, values.data() + done * spec.values(),
                                             {base.buffer, base.offset + block * block_bytes_[layer][cache]}, rows),
                   "cache_read");
  }
  device_->synchronize();
  return values;
}

} // namespace abyssal
