#include "lane.h"

#include <system_error>
#include <thread>
#include <utility>

namespace abyssal::node {

void ThreadCount::enter() {
  const std::lock_guard lock(mutex_);
  ++alive_;
}

void ThreadCount::leave() {
  const std::lock_guard lock(mutex_);
  --alive_;
  changed_.notify_all();
}

void ThreadCount::wait_for_none() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return alive_ == 0; });
}

struct Lane::State {
  std::shared_ptr<ThreadCount> count;
  std::size_t most_threads;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> jobs;
  std::size_t threads = 0, idle = 0;
  bool ending = false, stopped = false;

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      ++idle;
      changed.wait(lock, [this] { return !jobs.empty() || ending; });
      --idle;
      if (jobs.empty())
        return;
      std::function<void()> job = std::move(jobs.front());
      jobs.pop_front();
      lock.unlock();
      job();
      job = nullptr; // what it holds goes before the lock is taken
      lock.lock();
    }
  }
};

Lane::Lane(std::shared_ptr<ThreadCount> count, std::size_t threads) : state_(std::make_shared<State>()) {
  state_->count = std::move(count);
  state_->most_threads = threads;
}

Lane::~Lane() {
  const std::lock_guard lock(state_->mutex);
  state_->ending = true;
  state_->changed.notify_all();
}

void Lane::stop() {
  std::deque<std::function<void()>> dropped; // destroyed after the lock
  const std::lock_guard lock(state_->mutex);
  state_->ending = state_->stopped = true;
  dropped.swap(state_->jobs);
  state_->changed.notify_all();
}

bool Lane::submit(std::function<void()> job) {
  State &state = *state_;
  std::unique_lock lock(state.mutex);
  if (state.stopped)
    return false;
  state.jobs.push_back(std::move(job));
  if (state.idle < state.jobs.size() && state.threads < state.most_threads) {
    state.count->enter();
    try {
      // The thread may outlive the lane, never the state; nobody joins it, ThreadCount is waited for.
      std::thread([kept = state_]() mutable {
        kept->work();
        const std::shared_ptr<ThreadCount> counter = kept->count;
        kept.reset();
        counter->leave();
      }).detach();
      ++state.threads;
    } catch (const std::system_error &) {
      state.count->leave();
      if (state.threads == 0) {
        state.jobs.pop_back();
        throw;
      }
    }
  }
  lock.unlock(); // else the thread that wakes waits for it
  state.changed.notify_one();
  return true;
}

} // namespace abyssal::node
