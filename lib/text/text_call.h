// Owners for what the Rust part hands out.
#pragma once

#include "text/text_ffi.h"

#include "base/status.h"

#include <string>
#include <string_view>

namespace abyssal {

// A text from the Rust part, freed at the end of the scope.
class RustText {
public:
  RustText() = default;
  ~RustText() { abytext_text_free(text_); }
  RustText(const RustText &) = delete;
  RustText &operator=(const RustText &) = delete;

  abytext_text *out() noexcept { return &text_; }
  std::string_view view() const noexcept { return {text_.data, text_.size}; }

private:
  abytext_text text_{nullptr, 0};
};

// The library's status for one of the Rust part's; invalid: what its ABYTEXT_INVALID means in this call.
inline aby_status status_of_call(std::int32_t result, aby_status invalid) noexcept {
  switch (result) {
  case ABYTEXT_INVALID:
    return invalid;
  case ABYTEXT_UNSUPPORTED:
    return ABY_ERROR_UNSUPPORTED;
  default:
    return ABY_ERROR_INTERNAL;
  }
}

} // namespace abyssal
