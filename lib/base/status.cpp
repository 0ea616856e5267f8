#include "base/status.h"

namespace abyssal {

const char *status_name(aby_status status) noexcept {
  switch (status) {
  case ABY_OK:
    return "ABY_OK";
  case ABY_ERROR_INTERNAL:
    return "ABY_ERROR_INTERNAL";
  case ABY_ERROR_INVALID_ARGUMENT:
    return "ABY_ERROR_INVALID_ARGUMENT";
  case ABY_ERROR_STRUCT_SIZE:
    return "ABY_ERROR_STRUCT_SIZE";
  case ABY_ERROR_NO_MEMORY:
    return "ABY_ERROR_NO_MEMORY";
  case ABY_ERROR_NOT_FOUND:
    return "ABY_ERROR_NOT_FOUND";
  case ABY_ERROR_IO:
    return "ABY_ERROR_IO";
  case ABY_ERROR_FORMAT:
    return "ABY_ERROR_FORMAT";
  case ABY_ERROR_UNSUPPORTED:
    return "ABY_ERROR_UNSUPPORTED";
  case ABY_ERROR_CANCELLED:
    return "ABY_ERROR_CANCELLED";
  case ABY_ERROR_BUSY:
    return "ABY_ERROR_BUSY";
  case ABY_ERROR_CONTEXT_FULL:
    return "ABY_ERROR_CONTEXT_FULL";
  case ABY_ERROR_TEMPLATE:
    return "ABY_ERROR_TEMPLATE";
  case ABY_ERROR_ENCODING:
    return "ABY_ERROR_ENCODING";
  case ABY_ERROR_STATE:
    return "ABY_ERROR_STATE";
  case ABY_ERROR_DEVICE:
    return "ABY_ERROR_DEVICE";
  case ABY_ERROR_TOO_SMALL:
    return "ABY_ERROR_TOO_SMALL";
  case ABY_ERROR_CACHE_FULL:
    return "ABY_ERROR_CACHE_FULL";
  default:
    return "ABY_ERROR_UNKNOWN";
  }
}

} // namespace abyssal
