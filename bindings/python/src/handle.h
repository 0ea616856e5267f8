// References to objects of the library, as Python objects hold them.
#pragma once

#include "status.h"

#include <memory>
#include <mutex>
#include <string>

#include <unistd.h>

namespace abyssal::python {

// Takes over a handle. In a child process made by fork its worker threads are missing, and destroying it would wait for
// them for ever: there it is left alone.
template <typename Object> std::shared_ptr<Object> own(Object *object, void (*destroy)(Object *)) {
  return std::shared_ptr<Object>(object, [destroy, process = getpid()](Object *dead) {
    if (getpid() == process)
      destroy(dead);
  });
}

// What a Python object holds. Every call takes its own reference first, so close() during a call is safe: the object
// goes when the call returns.
template <typename State> class Handle {
public:
  Handle(std::shared_ptr<State> state, const char *name) : state_(std::move(state)), name_(name) {}
  Handle(const Handle &) = delete;
  Handle &operator=(const Handle &) = delete;

  std::shared_ptr<State> get() const {
    if (getpid() != process_)
      throw StatusError(ABY_ERROR_STATE, std::string("the ") + name_ +
                                             " was made before this process was forked, and its threads are not in "
                                             "this one: make another one here, or use the start method \"spawn\"");
    const std::lock_guard lock(mutex_);
    if (!state_)
      throw StatusError(ABY_ERROR_STATE, std::string("the ") + name_ + " is closed");
    return state_;
  }

  // The same, or null when there is nothing left to do: closed, or forked.
  std::shared_ptr<State> get_if_alive() const {
    const std::lock_guard lock(mutex_);
    return getpid() == process_ ? state_ : nullptr;
  }

  bool closed() const {
    const std::lock_guard lock(mutex_);
    return !state_;
  }

  void close() {
    std::shared_ptr<State> last; // released after the lock
    const std::lock_guard lock(mutex_);
    last.swap(state_);
  }

private:
  mutable std::mutex mutex_;
  std::shared_ptr<State> state_;
  const char *name_;
  pid_t process_ = getpid();
};

} // namespace abyssal::python
