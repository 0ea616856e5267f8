// Statuses of the C API as C++ exceptions, which become Python's.
#pragma once

#include <abyssal/abyssal.h>

#include <exception>
#include <string>
#include <utility>

namespace abyssal::python {

// A failed call. Made without the GIL; translated to an exception of the package's own with it.
class StatusError : public std::exception {
public:
  StatusError(aby_status status, std::string text) : status_(status), text_(std::move(text)) {}
  aby_status status() const noexcept { return status_; }
  const char *what() const noexcept override { return text_.c_str(); }

private:
  aby_status status_;
  std::string text_;
};

// Throws the calling thread's last error.
inline void check(aby_status status) {
  if (status != ABY_OK)
    throw StatusError(status, aby_last_error());
}

// A struct filled by its init function.
template <typename Struct> Struct make(aby_status (*init)(Struct *, std::size_t)) {
  Struct value;
  check(init(&value, sizeof value));
  return value;
}

void register_exceptions();

} // namespace abyssal::python
