#include "engine/block_pool.h"

#include <numeric>

namespace abyssal {

BlockPool::BlockPool(std::int32_t blocks)
    : references_(static_cast<std::size_t>(blocks), 0), free_(static_cast<std::size_t>(blocks)) {
  std::iota(free_.rbegin(), free_.rend(), 0);
}

std::int32_t BlockPool::free() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::int32_t>(free_.size());
}

bool BlockPool::take(std::int32_t count, std::vector<std::int32_t> &out) {
  const std::lock_guard lock(mutex_);
  if (static_cast<std::size_t>(count) > free_.size())
    return false;
  out.reserve(out.size() + static_cast<std::size_t>(count));
  for (std::int32_t i = 0; i < count; ++i) {
    const std::int32_t block = free_.back();
    free_.pop_back();
    references_[static_cast<std::size_t>(block)] = 1;
    out.push_back(block);
  }
  return true;
}

void BlockPool::add_reference(std::int32_t block) noexcept {
  const std::lock_guard lock(mutex_);
  ++references_[static_cast<std::size_t>(block)];
}

void BlockPool::release(std::int32_t block) noexcept {
  const std::lock_guard lock(mutex_);
  if (--references_[static_cast<std::size_t>(block)] == 0)
    free_.push_back(block); // capacity was reserved for all blocks at construction
}

bool BlockPool::shared(std::int32_t block) const {
  const std::lock_guard lock(mutex_);
  return references_[static_cast<std::size_t>(block)] > 1;
}

} // namespace abyssal
