// The C boundary: exceptions to status, struct sizes, array results and handles.
#pragma once

#include "base/status.h"

#include <abyssal/abyssal.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>

namespace abyssal::api {

// Remembers the text of the calling thread's last error.
void set_last_error(const char *text) noexcept;
const char *last_error() noexcept;

// The one guard: every function that returns a status runs its body in it.
template <typename Body> aby_status guard(Body &&body) noexcept {
  return guarded(std::forward<Body>(body), [](const char *text) { set_last_error(text); });
}

template <typename Pointer> void require(const Pointer *pointer, const char *name) {
  if (pointer == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, name, " is NULL");
}

// The sizes that a struct had in releases. One that grows gets a specialisation with the old ones too, in ascending
// order; the functions below then read and write as much as the caller's has.
template <typename Struct> struct ReleasedSizes {
  static constexpr std::size_t all[] = {sizeof(Struct)};
};

template <typename Struct> void check_struct_size(std::size_t size, const char *name) {
  const auto &known = ReleasedSizes<Struct>::all;
  if (std::find(std::begin(known), std::end(known), size) == std::end(known))
    fail(ABY_ERROR_STRUCT_SIZE, name, ": struct_size is ", size, "; this library knows ", *(std::end(known) - 1),
         " bytes. Fill the struct with its init function, and use a library at least as new as the header");
}

// Writes a struct of ours into the caller's, which may be of an older, smaller version. The caller's size stays.
template <typename Struct> void write_struct(Struct *out, Struct value, std::size_t size) {
  value.struct_size = static_cast<std::uint32_t>(size);
  std::memcpy(static_cast<void *>(out), &value, size);
}

// The body of an init function.
template <typename Struct>
aby_status init_struct(Struct *out, std::size_t size, const Struct &defaults, const char *name) {
  return guard([&] {
    require(out, "out");
    check_struct_size<Struct>(size, name);
    write_struct(out, defaults, size);
  });
}

// The caller's options over the defaults; NULL stands for the defaults.
template <typename Struct> Struct read_struct(const Struct *options, const Struct &defaults, const char *name) {
  Struct value = defaults;
  if (options != nullptr) {
    check_struct_size<Struct>(options->struct_size, name);
    std::memcpy(static_cast<void *>(&value), options, options->struct_size);
  }
  if constexpr (requires { value.reserved; })
    if (value.reserved != 0)
      fail(ABY_ERROR_INVALID_ARGUMENT, name, ": reserved is ", value.reserved, "; expected 0");
  return value;
}

// Checks a struct that will be filled, before anything is done.
template <typename Struct> void check_out(const Struct *out, std::size_t size, const char *name) {
  require(out, "out");
  check_struct_size<Struct>(size, name);
}

// The body of a function that describes something: fills the caller's struct.
template <typename Struct> void fill_struct(Struct *out, std::size_t size, const Struct &value, const char *name) {
  check_out(out, size, name);
  write_struct(out, value, size);
}

// The (out, capacity, out_count) rule.
template <typename Element>
void write_array(Element *out, std::size_t capacity, std::size_t *out_count, const Element *from, std::size_t count) {
  require(out_count, "out_count");
  if (capacity > 0)
    require(out, "out");
  *out_count = count;
  if (capacity > 0 && capacity < count)
    fail(ABY_ERROR_TOO_SMALL, "the array has room for ", capacity, ", and there are ", count);
  if (capacity > 0)
    std::copy_n(from, count, out);
}

// Text from the caller.
inline std::string_view read_text(const char *text, std::size_t length, const char *name) {
  if (length > 0)
    require(text, name);
  return length > 0 ? std::string_view(text, length) : std::string_view();
}

} // namespace abyssal::api
