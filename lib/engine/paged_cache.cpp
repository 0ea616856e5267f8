#include "engine/paged_cache.h"

#include <algorithm>

namespace abyssal {

namespace {

std::uint64_t block_bytes(const CachedRow &row) noexcept { return ABK_BLOCK_TOKENS * std::uint64_t{row.bytes()}; }

} // namespace

CacheKind cache_kind(const ModelConfig &config, aby_dtype dtype) noexcept {
  if (config.attention == Attention::kMla)
    return {latent_row(dtype, config.kv_lora_rank, config.qk_rope_head_dim), {}};
  const CachedRow row = heads_row(dtype, config.num_key_value_heads, config.head_dim);
  return {row, row};
}

std::uint64_t cache_bytes_per_token(const ModelConfig &config, aby_dtype dtype, bool mtp) noexcept {
  const CacheKind kind = cache_kind(config, dtype);
  const auto layers = static_cast<std::uint64_t>(config.num_hidden_layers) + (mtp ? 1 : 0);
  return layers * (kind.first.bytes() + kind.second.bytes());
}

PagedCache::PagedCache(DevicePtr device, const ModelConfig &config, aby_dtype dtype, std::int32_t blocks, bool mtp)
    : device_(std::move(device)), dtype_(dtype), kind_(cache_kind(config, dtype)), pool_(blocks) {
  const std::size_t layers = static_cast<std::size_t>(config.num_hidden_layers) + (mtp ? 1 : 0);
  const auto add = [&](const CachedRow &row) {
    buffers_.emplace_back(device_, static_cast<std::uint64_t>(blocks) * block_bytes(row));
    return buffers_.back().at(0);
  };
  for (std::size_t i = 0; i < layers; ++i) {
    LayerCache layer;
    layer.first = add(kind_.first);
    if (kind_.second.width > 0)
      layer.second = add(kind_.second);
    spans_.push_back(layer);
  }
}

void PagedCache::copy_block(std::int32_t to, std::int32_t from) {
  const auto copy = [&](abk_span base, const CachedRow &row) {
    const std::uint64_t bytes = block_bytes(row);
    const abk_span target{base.buffer, base.offset + static_cast<std::uint64_t>(to) * bytes};
    const abk_span source{base.buffer, base.offset + static_cast<std::uint64_t>(from) * bytes};
    device_->check(device_->api().copy(device_->stream(), target, source, bytes), "copy");
  };
  for (const LayerCache &layer : spans_) {
    copy(layer.first, kind_.first);
    if (kind_.second.width > 0)
      copy(layer.second, kind_.second);
  }
}

std::vector<float> PagedCache::read(std::size_t layer, bool second, std::span<const std::int32_t> blocks,
                                    std::int64_t length) {
  const CachedRow &row = second ? kind_.second : kind_.first;
  const abk_span base = second ? spans_[layer].second : spans_[layer].first;
  const std::size_t row_bytes = row.bytes();
  std::vector<std::byte> raw(static_cast<std::size_t>(length) * row_bytes);
  for (std::int64_t done = 0; done < length; done += ABK_BLOCK_TOKENS) {
    const auto block = static_cast<std::uint64_t>(blocks[static_cast<std::size_t>(done / ABK_BLOCK_TOKENS)]);
    const auto rows = static_cast<std::uint64_t>(std::min<std::int64_t>(length - done, ABK_BLOCK_TOKENS));
    device_->check(device_->api().copy_out(device_->stream(), raw.data() + static_cast<std::size_t>(done) * row_bytes,
                                           {base.buffer, base.offset + block * block_bytes(row)}, rows * row_bytes),
                   "copy_out");
  }
  device_->synchronize();
  const auto width = static_cast<std::size_t>(row.width);
  std::vector<float> values(static_cast<std::size_t>(length) * width);
  for (std::size_t i = 0; i < static_cast<std::size_t>(length); ++i)
    load_cached(row, raw.data() + i * row_bytes, values.data() + i * width);
  return values;
}

} // namespace abyssal
