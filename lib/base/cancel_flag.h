// A flag in the caller's memory, which any thread may set while a call reads it.
#pragma once

#include <cstdint>

namespace abyssal {

// flag may be null: never set.
inline bool is_set(const std::int32_t *flag) noexcept {
  return flag != nullptr && __atomic_load_n(flag, __ATOMIC_RELAXED) != 0;
}

} // namespace abyssal
