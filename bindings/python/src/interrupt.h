// Long calls that Ctrl-C interrupts.
#pragma once

#include <functional>

namespace abyssal::python {

// Runs body without the GIL and throws what it throws. On Python's main thread the work is done by a helper
// thread, while this one looks for signals: when a handler raises, cancel is called, which must not throw and after
// which body returns soon, and the handler's exception is thrown. Call it with the GIL.
void run_interruptible(const std::function<void()> &body, const std::function<void()> &cancel);

} // namespace abyssal::python
