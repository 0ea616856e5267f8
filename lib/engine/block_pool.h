// Which blocks of the cache are free, and how many sequences share each of the others.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

namespace abyssal {

// Thread-safe: sequences on several threads take and give back blocks.
class BlockPool {
public:
  explicit BlockPool(std::int32_t blocks);

  std::int32_t size() const noexcept { return static_cast<std::int32_t>(references_.size()); }
  std::int32_t free() const;

  // Takes count blocks, one reference each. False, with nothing taken, if there are not enough. Throws bad_alloc.
  bool take(std::int32_t count, std::vector<std::int32_t> &out);
  void add_reference(std::int32_t block) noexcept;
  void release(std::int32_t block) noexcept;
  bool shared(std::int32_t block) const;

private:
  mutable std::mutex mutex_;
  std::vector<std::int32_t> references_;
  std::vector<std::int32_t> free_; // the lowest numbers last, so that they are taken first
};

} // namespace abyssal
