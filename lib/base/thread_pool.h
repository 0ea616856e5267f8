// A pool of worker threads that hands out tasks of one parallel region at a time from one atomic counter.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace abyssal {

// A non-owning reference to a callable; the callable must outlive the call it is passed to.
template <typename Signature> class FunctionRef;
template <typename Result, typename... Args> class FunctionRef<Result(Args...)> {
public:
  template <typename Callable>
    requires(!std::is_same_v<std::remove_cvref_t<Callable>, FunctionRef>)
  FunctionRef(Callable &&callable) // NOLINT(google-explicit-constructor,bugprone-forwarding-reference-overload)
      : object_(const_cast<void *>(static_cast<const void *>(&callable))),
        call_([](void *object, Args... args) -> Result {
          return (*static_cast<std::remove_reference_t<Callable> *>(object))(args...);
        }) {}
  Result operator()(Args... args) const { return call_(object_, args...); }

private:
  void *object_;
  Result (*call_)(void *, Args...);
};

class ThreadPool {
public:
  // threads counts the calling thread, which is worker 0; 0 means one per core that this process may use.
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  unsigned size() const noexcept;

  // Runs body(task, worker) for task 0 .. tasks - 1, worker 0 .. size() - 1, and returns when all are done. The first
  // exception is rethrown here, after all workers have stopped. Not reentrant; callers on several threads take turns.
  void run(std::int64_t tasks, FunctionRef<void(std::int64_t, unsigned)> body);

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace abyssal
