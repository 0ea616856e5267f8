// Long calls that Ctrl-C interrupts.
#pragma once

#include <functional>

namespace abyssal::python {

// Runs body without the GIL and throws what it throws. On Python's main thread the work is done by a helper
// thread, while this one looks for signals: when a handler raises, cancel is called until body has returned, and the
// handler's exception is thrown. Call it with the GIL.
void run_interruptible(const std::function<void()> &body, const std::function<void()> &cancel);

// The same for a body that is over before anybody would miss it: runs it in the calling thread, and throws what a
// handler of a signal that came meanwhile raises.
void run_briefly(const std::function<void()> &body);

} // namespace abyssal::python
