#include "engine/paged_cache.h"

#include "base/dtype.h"

#include <algorithm>

namespace abyssal {

CacheKind cache_kind(const ModelConfig &config) noexcept {
  if (config.attention == Attention::kMla)
    return {config.kv_lora_rank + config.qk_rope_head_dim, 0};
  const std::int32_t width = config.num_key_value_heads * config.head_dim;
  return {width, width};
}

std::uint64_t cache_bytes_per_token(const ModelConfig &config, aby_dtype dtype, bool mtp) noexcept {
  const CacheKind kind = cache_kind(config);
  const auto layers = static_cast<std::uint64_t>(config.num_hidden_layers) + (mtp ? 1 : 0);
  return layers * static_cast<std::uint64_t>(kind.first + kind.second) * dtype_size(dtype);
}

PagedCache::PagedCache(DevicePtr device, const ModelConfig &config, aby_dtype dtype, std::int32_t blocks, bool mtp)
    : device_(std::move(device)), dtype_(dtype), kind_(cache_kind(config)), pool_(blocks) {
  const std::size_t layers = static_cast<std::size_t>(config.num_hidden_layers) + (mtp ? 1 : 0);
  const auto add = [&](std::int32_t width) {
    buffers_.emplace_back(device_, static_cast<std::uint64_t>(blocks) * block_bytes(width));
    return buffers_.back().at(0);
  };
  for (std::size_t i = 0; i < layers; ++i) {
    LayerCache layer;
    layer.first = add(kind_.first);
    if (kind_.second > 0)
      layer.second = add(kind_.second);
    spans_.push_back(layer);
  }
}

std::uint64_t PagedCache::block_bytes(std::int32_t width) const noexcept {
  return ABK_BLOCK_TOKENS * static_cast<std::uint64_t>(width) * dtype_size(dtype_);
}

void PagedCache::copy_block(std::int32_t to, std::int32_t from) {
  const auto copy = [&](abk_span base, std::int32_t width) {
    const std::uint64_t bytes = block_bytes(width);
    const abk_span target{base.buffer, base.offset + static_cast<std::uint64_t>(to) * bytes};
    const abk_span source{base.buffer, base.offset + static_cast<std::uint64_t>(from) * bytes};
    device_->check(device_->api().copy(device_->stream(), target, source, bytes), "copy");
  };
  for (const LayerCache &layer : spans_) {
    copy(layer.first, kind_.first);
    if (kind_.second > 0)
      copy(layer.second, kind_.second);
  }
}

std::vector<float> PagedCache::read(std::size_t layer, bool second, std::span<const std::int32_t> blocks,
                                    std::int64_t length) {
  const std::int32_t width = second ? kind_.second : kind_.first;
  const abk_span base = second ? spans_[layer].second : spans_[layer].first;
  const std::size_t row_bytes = static_cast<std::size_t>(width) * dtype_size(dtype_);
  std::vector<std::byte> raw(static_cast<std::size_t>(length) * row_bytes);
  for (std::int64_t done = 0; done < length; done += ABK_BLOCK_TOKENS) {
    const auto block = static_cast<std::uint64_t>(blocks[static_cast<std::size_t>(done / ABK_BLOCK_TOKENS)]);
    const auto rows = static_cast<std::uint64_t>(std::min<std::int64_t>(length - done, ABK_BLOCK_TOKENS));
    device_->check(device_->api().copy_out(device_->stream(), raw.data() + static_cast<std::size_t>(done) * row_bytes,
                                           {base.buffer, base.offset + block * block_bytes(width)}, rows * row_bytes),
                   "copy_out");
  }
  device_->synchronize();
  std::vector<float> values(static_cast<std::size_t>(length) * static_cast<std::size_t>(width));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = load_as_float(raw.data(), dtype_, i);
  return values;
}

} // namespace abyssal
