// Takes pieces of a buffer one after the other. Used twice: without a buffer it only counts.
#pragma once

#include "base/dtype.h"
#include "device/backend.h"

#include <cstdint>

namespace abyssal {

class Arena {
public:
  Arena() = default;
  explicit Arena(abk_span begin) : begin_(begin) {}

  abk_span take(std::uint64_t bytes) noexcept {
    constexpr std::uint64_t kAlignment = 256;
    const abk_span piece{begin_.buffer, begin_.offset + used_};
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return piece;
  }
  abk_rows rows(std::int64_t count, std::int64_t cols, aby_dtype dtype) noexcept {
    return {take(static_cast<std::uint64_t>(count) * static_cast<std::uint64_t>(cols) * dtype_size(dtype)), dtype,
            static_cast<std::int32_t>(cols), cols};
  }
  std::uint64_t used() const noexcept { return used_; }

private:
  abk_span begin_{};
  std::uint64_t used_ = 0;
};

} // namespace abyssal
