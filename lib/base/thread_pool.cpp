#include "base/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <immintrin.h>
#include <sched.h>

namespace abyssal {

namespace {

// Regions follow each other within microseconds inside a forward pass, and the next token comes as soon as a program
// has looked at the last one: a worker that spins this long, about 50 us, seldom sleeps between two of them. A small
// model's token took a third longer with 12 us.
constexpr int kSpins = 2000;

unsigned usable_cores() noexcept {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
    return static_cast<unsigned>(CPU_COUNT(&set));
  const unsigned cores = std::thread::hardware_concurrency();
  return cores > 0 ? cores : 1;
}

} // namespace

struct ThreadPool::State {
  using Body = FunctionRef<void(std::int64_t, unsigned)>;

  std::mutex turn; // one region at a time
  unsigned size = 1;
  std::vector<std::thread> workers;

  // A region is announced by a new epoch; workers that have finished it count down running.
  std::mutex mutex;
  std::condition_variable wake, finished;
  std::atomic<std::uint64_t> epoch{0};
  std::atomic<unsigned> running{0};
  std::atomic<bool> stop{false};

  std::optional<Body> body;
  std::int64_t tasks = 0;
  std::atomic<std::int64_t> next{0};
  std::exception_ptr error; // first, under mutex

  void take_tasks(unsigned worker) {
    try {
      for (std::int64_t task = next.fetch_add(1); task < tasks; task = next.fetch_add(1))
        (*body)(task, worker);
    } catch (...) {
      next.store(tasks); // nobody starts another task
      const std::lock_guard lock(mutex);
      if (!error)
        error = std::current_exception();
    }
  }

  // Spins, then sleeps, until the epoch is no longer `seen`.
  std::uint64_t await_epoch(std::uint64_t seen) {
    for (int i = 0; i < kSpins; ++i) {
      const std::uint64_t now = epoch.load(std::memory_order_acquire);
      if (now != seen)
        return now;
      _mm_pause();
    }
    std::unique_lock lock(mutex);
    wake.wait(lock, [&] { return epoch.load(std::memory_order_acquire) != seen; });
    return epoch.load(std::memory_order_acquire);
  }

  void work(unsigned worker) {
    std::uint64_t seen = 0;
    while (true) {
      seen = await_epoch(seen);
      if (stop.load(std::memory_order_acquire))
        return;
      take_tasks(worker);
      if (running.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        const std::lock_guard lock(mutex);
        finished.notify_one();
      }
    }
  }

  void announce() {
    {
      const std::lock_guard lock(mutex);
      epoch.fetch_add(1, std::memory_order_release);
    }
    wake.notify_all();
  }

  void await_workers() {
    for (int i = 0; i < kSpins; ++i) {
      if (running.load(std::memory_order_acquire) == 0)
        return;
      _mm_pause();
    }
    std::unique_lock lock(mutex);
    finished.wait(lock, [&] { return running.load(std::memory_order_acquire) == 0; });
  }

  void shut_down() noexcept {
    stop.store(true, std::memory_order_release);
    announce();
    for (std::thread &thread : workers)
      thread.join();
  }
};

ThreadPool::ThreadPool(unsigned threads) : state_(std::make_unique<State>()) {
  state_->size = threads > 0 ? threads : usable_cores();
  try {
    for (unsigned worker = 1; worker < state_->size; ++worker)
      state_->workers.emplace_back([state = state_.get(), worker] { state->work(worker); });
  } catch (...) {
    state_->shut_down();
    throw;
  }
}

ThreadPool::~ThreadPool() { state_->shut_down(); }

unsigned ThreadPool::size() const noexcept { return state_->size; }

void ThreadPool::run(std::int64_t tasks, FunctionRef<void(std::int64_t, unsigned)> body) {
  if (tasks <= 0)
    return;
  State &state = *state_;
  const std::lock_guard turn(state.turn);
  if (state.size == 1 || tasks == 1) {
    for (std::int64_t task = 0; task < tasks; ++task)
      body(task, 0);
    return;
  }
  state.body.emplace(body);
  state.tasks = tasks;
  state.error = nullptr;
  state.next.store(0);
  state.running.store(state.size - 1);
  state.announce();
  state.take_tasks(0);
  state.await_workers();
  if (state.error)
    std::rethrow_exception(std::exchange(state.error, nullptr));
}

} // namespace abyssal
