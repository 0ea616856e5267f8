// What Python objects hold.
#pragma once

#include <abyssal/abyssal.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <unistd.h>

namespace abyssal::python {

// In a child process made by fork the worker threads are missing, and destroying an object would wait for them for
// ever: there it is left alone.
template <typename State, typename... Arguments> std::shared_ptr<State> make_state(Arguments &&...arguments) {
  auto state = std::make_unique<State>(std::forward<Arguments>(arguments)...);
  const auto destroy = [process = getpid()](State *dead) {
    if (getpid() == process)
      delete dead;
  };
  return std::shared_ptr<State>(state.release(), destroy);
}

// Every call takes its own reference first, so close() during a call is safe: the object goes when the call returns.
template <typename State> class Handle {
public:
  Handle(std::shared_ptr<State> state, const char *name) : state_(std::move(state)), name_(name) {}
  Handle(const Handle &) = delete;
  Handle &operator=(const Handle &) = delete;

  std::shared_ptr<State> get() const {
    if (getpid() != process_)
      throw error(ABY_ERROR_STATE, std::string("the ") + name_ +
                                       " was made before this process was forked, and its threads are not in this "
                                       "one: make another one here, or use the start method \"spawn\"");
    const std::lock_guard lock(mutex_);
    if (!state_)
      throw error(ABY_ERROR_STATE, std::string("the ") + name_ + " is closed");
    return state_;
  }

  // The same, or null when there is nothing left to do: closed, or forked.
  std::shared_ptr<State> get_if_alive() const {
    const auto lock = enter();
    return lock.owns_lock() ? state_ : nullptr;
  }

  bool closed() const {
    const auto lock = enter();
    return !state_;
  }

  void close() {
    std::shared_ptr<State> last; // released after the lock
    const auto lock = enter();
    last.swap(state_);
  }

private:
  // Not locked in a forked process: a thread that is missing there may have held the mutex.
  std::unique_lock<std::mutex> enter() const {
    std::unique_lock lock(mutex_, std::defer_lock);
    if (getpid() == process_)
      lock.lock();
    return lock;
  }

  mutable std::mutex mutex_;
  std::shared_ptr<State> state_;
  const char *name_;
  pid_t process_ = getpid();
};

} // namespace abyssal::python
