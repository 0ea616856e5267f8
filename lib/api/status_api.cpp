#include "api/boundary.h"

#include <cstdio>
#include <string>

#define ABY_TEXT_OF(value) #value
#define ABY_VERSION_TEXT(major, minor, patch) ABY_TEXT_OF(major) "." ABY_TEXT_OF(minor) "." ABY_TEXT_OF(patch)

namespace abyssal::api {

namespace {

// A fixed buffer: remembering "out of memory" must not need memory.
thread_local char last_error_text[2048] = "";

} // namespace

void set_last_error(const char *text) noexcept { std::snprintf(last_error_text, sizeof last_error_text, "%s", text); }

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

aby_status aby_array_init(aby_array *out, size_t struct_size) {
  return abyssal::api::init_struct(out, struct_size, aby_array{}, "aby_array");
}

} // extern "C"
