// Which backends there are: those built in, and modules loaded at run time.
#pragma once

#include "device/backend.h"

#include <memory>
#include <span>
#include <string>

namespace abyssal {

// Best first.
std::span<const abk_backend *const> built_in_backends() noexcept;

// A backend and whatever keeps its code loaded.
using BackendHandle = std::shared_ptr<const abk_backend>;

// "" : the first built-in backend that has a device. A name: a built-in backend, or libabyssal_NAME.so in the folder of
// this library. Anything with a '/': the path of a module. Throws NOT_FOUND, listing what there is, or UNSUPPORTED for
// a module that speaks another version of the contract.
BackendHandle find_backend(const std::string &name);

} // namespace abyssal
