#include "api/boundary.h"

#include <cstring>
#include <string>

#define ABY_TEXT_OF(value) #value
#define ABY_VERSION_TEXT(major, minor, patch) ABY_TEXT_OF(major) "." ABY_TEXT_OF(minor) "." ABY_TEXT_OF(patch)

namespace abyssal::api {

namespace {

// A fixed buffer: remembering "out of memory" must not need memory.
thread_local char last_error_text[2048] = "";

} // namespace

void set_last_error(const char *text) noexcept {
  std::size_t length = std::strlen(text);
  if (length >= sizeof last_error_text) {
    length = sizeof last_error_text - 1;
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) // inside a character
      --length;
  }
  std::memmove(last_error_text, text, length);
  last_error_text[length] = '\0';
}

const char *last_error() noexcept { return last_error_text; }

} // namespace abyssal::api

extern "C" {

uint32_t aby_version(void) { return ABY_VERSION_MAJOR * 10000 + ABY_VERSION_MINOR * 100 + ABY_VERSION_PATCH; }

const char *aby_version_string(void) {
  return ABY_VERSION_TEXT(ABY_VERSION_MAJOR, ABY_VERSION_MINOR, ABY_VERSION_PATCH);
}

const char *aby_status_name(aby_status status) { return abyssal::status_name(status); }

const char *aby_last_error(void) { return abyssal::api::last_error(); }

aby_status aby_tensor_init(aby_tensor *out, size_t struct_size) {
  return abyssal::api::init_struct(out, struct_size, aby_tensor{}, "aby_tensor");
}

} // extern "C"
