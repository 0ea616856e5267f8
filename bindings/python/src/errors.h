// Failed calls as Python's exceptions.
#pragma once

#include <abyssal/abyssal.hpp>

namespace abyssal::python {

// abyssal::error becomes the exception class of its status.
void register_exceptions();

} // namespace abyssal::python
