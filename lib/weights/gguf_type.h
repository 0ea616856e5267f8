// The tensor types of GGUF files, by the numbers they are stored as.
#pragma once

#include "base/dtype.h"

#include <cstdint>

namespace abyssal {

struct GgufType {
  const char *name; // as the format calls it, such as "Q4_K"
  aby_dtype dtype;  // AUTO for a type that this library does not read
  DtypeBlock block;
};

// nullptr for a number that no type is known for.
const GgufType *gguf_type(std::uint32_t number) noexcept;

} // namespace abyssal
