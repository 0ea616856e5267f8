// How much of the machine's memory this process may use.
#pragma once

#include <cstdint>

namespace abyssal {

// The smallest of the machine's memory and the limits that are set: of the control groups that the process is in
// (containers), and of its address space. In bytes.
std::uint64_t usable_memory();

} // namespace abyssal
