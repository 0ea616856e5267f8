// The readers know the kinds of layers, which run on a backend; here there is none.
#include "base/status.h"
#include "device/registry.h"

abyssal::BackendHandle abyssal::find_backend(const std::string &name) {
  fail(ABY_ERROR_NOT_FOUND, "backend \"", name, "\": there is none");
}
