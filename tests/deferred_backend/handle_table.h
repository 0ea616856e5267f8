// Handles that cannot be followed: numbers, looked up in a table, never used twice.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace abyssal::deferred {

template <typename Handle, typename Object> class HandleTable {
public:
  Handle *insert(std::shared_ptr<Object> object) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t number = ++last_;
    objects_.emplace(number, std::move(object));
    return reinterpret_cast<Handle *>(kTag | number);
  }
  // nullptr: destroyed, or never a handle.
  std::shared_ptr<Object> find(const Handle *handle) const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(number_of(handle));
    return found == objects_.end() ? nullptr : found->second;
  }
  void erase(const Handle *handle) {
    const std::lock_guard lock(mutex_);
    objects_.erase(number_of(handle));
  }
  static std::uint64_t number_of(const Handle *handle) { return reinterpret_cast<std::uintptr_t>(handle) ^ kTag; }

private:
  // No address on x86-64 looks like this, so reading through a handle faults.
  static constexpr std::uint64_t kTag = 0xdef0'0000'0000'0000;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<Object>> objects_;
  std::uint64_t last_ = 0;
};

} // namespace abyssal::deferred
