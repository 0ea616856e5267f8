// The cache of all sequences of a model: per layer a pool of fixed blocks of 64 tokens in device memory.
#pragma once

#include "base/cached_row.h"
#include "engine/block_pool.h"
#include "model/forward.h"

#include <cstdint>
#include <vector>

namespace abyssal {

// What a layer caches for a token. A second row of no width means that there is one only.
struct CacheKind {
  CachedRow first;
  CachedRow second;
};

// MLA: one latent row [c_kv | k_pe]. Grouped-query attention: K and V.
CacheKind cache_kind(const ModelConfig &config, aby_dtype dtype) noexcept;

// Bytes that one token takes in all layers (the MTP layer's among them with mtp).
std::uint64_t cache_bytes_per_token(const ModelConfig &config, aby_dtype dtype, bool mtp) noexcept;

class PagedCache {
public:
  PagedCache(DevicePtr device, const ModelConfig &config, aby_dtype dtype, std::int32_t blocks, bool mtp);

  BlockPool &pool() noexcept { return pool_; }
  std::span<const LayerCache> layers() const noexcept { return spans_; }
  aby_dtype dtype() const noexcept { return dtype_; }
  CacheKind kind() const noexcept { return kind_; }

  // Queues a copy of a whole block in every layer.
  void copy_block(std::int32_t to, std::int32_t from);

  // Rows 0 .. length - 1 of a sequence in one layer, as float32 [length, width]. Waits for the stream; the caller holds
  // the device's queue mutex. second: the V rows.
  std::vector<float> read(std::size_t layer, bool second, std::span<const std::int32_t> blocks, std::int64_t length);

private:
  DevicePtr device_;
  aby_dtype dtype_;
  CacheKind kind_;
  BlockPool pool_;
  std::vector<Buffer> buffers_;
  std::vector<LayerCache> spans_; // into buffers_
};

} // namespace abyssal
