// The reference backend: every op in plain loops, sums in double precision. The oracle of the tests, always built, slow
// on purpose. It runs each op when it is called; one thread.
#pragma once

#include "device/backend.h"

namespace abyssal {

const abk_backend *reference_backend();

} // namespace abyssal
