// A typed, shaped view of row-major bytes that somebody else owns.
#pragma once

#include "base/dtype.h"

#include <cstdint>
#include <string>
#include <vector>

namespace abyssal {

struct TensorView {
  aby_dtype dtype = ABY_DTYPE_AUTO;
  std::vector<std::int64_t> shape;
  const std::byte *data = nullptr; // row-major; may be unaligned in files that break the format's alignment advice
  std::uint64_t bytes = 0;

  std::int64_t elements() const noexcept {
    std::int64_t n = 1;
    for (const std::int64_t d : shape)
      n *= d;
    return n;
  }
};

// "[3, 128]"
inline std::string shape_text(const std::vector<std::int64_t> &shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

} // namespace abyssal
