// The error text of a backend that runs in the host's process.
#pragma once

#include "base/status.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace abyssal {

// One thread's last error. Each backend has a thread_local one of its own. A plain array: setting it cannot fail, and
// it needs no destructor, so a module that holds one can be unloaded.
class ErrorText {
public:
  void set(const char *text) noexcept {
    const std::size_t length = std::strlen(text) < kCapacity ? std::strlen(text) : kCapacity - 1;
    std::memcpy(text_.data(), text, length);
    text_[length] = '\0';
  }
  const char *get() const noexcept { return text_.data(); }

private:
  static constexpr std::size_t kCapacity = 1024;
  std::array<char, kCapacity> text_{};
};

} // namespace abyssal
