#include "interrupt.h"

#include "gil.h"

#include <pybind11/pybind11.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include <unistd.h>

namespace py = pybind11;

namespace abyssal::python {

namespace {

constexpr std::chrono::milliseconds kLookForSignals{50};

// One thread that works for Python's main thread. It is never ended: it waits, holding nothing, until the process does.
class Helper {
public:
  // The process's helper, a new one after a fork; null if no thread can be made. Main thread only.
  static Helper *get() {
    static Helper *helper = nullptr; // left to the end of the process, with its thread
    static pid_t process = 0;
    if (helper == nullptr || process != getpid()) {
      try {
        helper = new Helper;
        process = getpid();
      } catch (const std::system_error &) {
        return nullptr;
      }
    }
    return helper;
  }

  // False while it is at work already: a signal handler that runs during a call may make another one.
  bool start(std::function<void()> job) {
    const std::lock_guard lock(mutex_);
    if (busy_)
      return false;
    job_ = std::move(job);
    busy_ = true;
    done_ = false;
    changed_.notify_all();
    return true;
  }

  bool wait_for(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [this] { return done_; });
  }

  void release() {
    const std::lock_guard lock(mutex_);
    busy_ = false;
  }

private:
  Helper() {
    std::thread([this] { work(); }).detach();
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return busy_ && !done_; });
      lock.unlock();
      job_();
      lock.lock();
      done_ = true;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> job_;
  bool busy_ = false;
  bool done_ = false;
};

bool on_main_thread() {
  const py::object main_thread = py::module_::import("threading").attr("main_thread")();
  return main_thread.attr("ident").cast<unsigned long>() == PyThread_get_thread_ident();
}

// Waits for the helper; gives back what a signal handler raised meanwhile. Nothing leaves the wait before the helper
// has ended: it works on the caller's stack.
std::exception_ptr wait_with_signals(Helper &helper, const std::function<void()> &cancel) {
  const auto ended = [&] {
    const Outside outside;
    return helper.wait_for(kLookForSignals);
  };
  std::exception_ptr raised;
  while (!ended()) {
    if (!raised && PyErr_CheckSignals() != 0) {
      raised = std::make_exception_ptr(py::error_already_set());
      cancel();
    }
  }
  return raised;
}

} // namespace

void run_interruptible(const std::function<void()> &body, const std::function<void()> &cancel) {
  std::exception_ptr failed;
  const auto job = [&] {
    try {
      body();
    } catch (...) {
      failed = std::current_exception();
    }
  };
  Helper *helper = on_main_thread() ? Helper::get() : nullptr;
  if (helper == nullptr || !helper->start(job)) {
    const Outside outside;
    body();
    return;
  }
  const std::exception_ptr raised = wait_with_signals(*helper, cancel);
  helper->release();
  if (raised)
    std::rethrow_exception(raised);
  if (failed)
    std::rethrow_exception(failed);
}

} // namespace abyssal::python
