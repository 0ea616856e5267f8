// Threads of our own that run jobs: libuv's pool of four would keep files and names waiting during a long prompt.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace abyssal::node {

// Counts the threads that are alive, so that a teardown can wait for them.
class ThreadCount {
public:
  void enter();
  void leave();
  void wait_for_none();

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t alive_ = 0;
};

// A queue of jobs, first in first out, and up to a number of threads that run them. The threads start when they are
// needed and end after the lane is stopped or dropped; jobs that are waiting then still run if it was dropped, and
// never do if it was stopped. Jobs must not throw.
class Lane {
public:
  Lane(std::shared_ptr<ThreadCount> count, std::size_t threads);
  ~Lane();
  Lane(const Lane &) = delete;
  Lane &operator=(const Lane &) = delete;

  // False when the lane was stopped: the job is gone. Throws if there is no thread and none can be made.
  bool submit(std::function<void()> job);
  // Drops waiting jobs, on this thread, and refuses further ones.
  void stop();

private:
  struct State;
  std::shared_ptr<State> state_;
};

} // namespace abyssal::node
