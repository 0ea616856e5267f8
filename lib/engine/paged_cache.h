// The cache of all sequences of a model: for each cache of each layer a pool of fixed blocks in device memory. A block
// is ABK_BLOCK_TOKENS tokens of one sequence in every layer.
#pragma once

#include "engine/block_pool.h"
#include "model/forward.h"

#include <cstdint>
#include <span>
#include <vector>

namespace abyssal {

class PagedCache {
public:
  PagedCache(DevicePtr device, const ModelSpec &spec, aby_dtype dtype, std::int32_t blocks, bool mtp);

  BlockPool &pool() noexcept { return pool_; }
  std::span<const LayerCache> layers() const noexcept { return spans_; }
  aby_dtype dtype() const noexcept { return dtype_; }
  std::span<const CacheSpec> caches(std::size_t layer) const noexcept { return specs_[layer]; }

  // Queues a copy of a whole block in every layer.
  void copy_block(std::int32_t to, std::int32_t from);

  // The rows of a sequence's first `length` tokens in one cache of a layer, as float32 [rows, values]. Waits for the
  // stream; the caller holds the device's queue mutex.
  std::vector<float> read(std::size_t layer, std::size_t cache, std::span<const std::int32_t> blocks,
                          std::int64_t length);

private:
  DevicePtr device_;
  aby_dtype dtype_;
  BlockPool pool_;
  std::vector<std::vector<CacheSpec>> specs_;           // [layers][caches]
  std::vector<std::vector<std::uint64_t>> block_bytes_; // the same
  std::vector<Buffer> buffers_;
  std::vector<LayerCache> spans_; // into buffers_
};

} // namespace abyssal
