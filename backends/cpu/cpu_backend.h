// The CPU backend: x86-64 from AVX2 on, wider instructions chosen at run time, dense products on oneDNN.
#pragma once

#include "device/backend.h"

namespace abyssal {

const abk_backend *cpu_backend();

} // namespace abyssal
