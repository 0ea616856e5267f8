// The bridge between worker threads and one JavaScript environment (the main thread's, or that of a worker_thread).
#pragma once

#include "lane.h"

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace abyssal::node {

// A failure that is carried from the thread where it happened: aby_last_error() is thread-local.
struct Failure {
  std::int32_t status;
  std::string text;
};

// The failure of the exception that is being handled.
Failure current_failure() noexcept;

// An AbyssalError with code and status.
Napi::Value make_error(Napi::Env env, const Failure &failure);
[[noreturn]] void throw_failure(Napi::Env env, const Failure &failure);

// Work that a teardown of the environment interrupts.
class Cancellable {
public:
  virtual ~Cancellable() = default;
  virtual void cancel() noexcept = 0; // from any thread, also before the work has begun
};

// Makes the value that a promise resolves with, on the JavaScript thread.
using Convert = std::function<Napi::Value(Napi::Env)>;

// A call that goes on after it has returned: the promise of what work gives.
struct Task {
  std::shared_ptr<Lane> lane;
  std::function<Convert()> work; // on the lane
  std::shared_ptr<void> keep;    // released on the JavaScript thread, after the work
};

class Bridge {
public:
  // Once per environment, before anything else.
  static void open(Napi::Env env);
  static Bridge &of(Napi::Env env);

  // All of the following from the JavaScript thread, but for post.
  std::shared_ptr<Lane> make_lane();
  const std::shared_ptr<Lane> &side_lane() const { return side_lane_; }
  void watch(const std::shared_ptr<Cancellable> &work);
  Napi::Value start(Task task);
  void set_error_class(Napi::Function type) { error_class_ = Napi::Persistent(type); }
  Napi::Function error_class() const { return error_class_.Value(); }

  // Runs a function on the JavaScript thread, soon. It is called once, or destroyed there when the environment ends.
  void post(std::function<void(Napi::Env)> function);
  // While something is pending the process stays alive. Each begin has its end.
  void begin_pending();
  void end_pending();

  // Cancels what runs and waits for the threads. Further tasks are refused.
  void quiesce();
  // And drops what was posted. No function of JavaScript is held after it.
  void close();

  ~Bridge() = default;

private:
  explicit Bridge(Napi::Env env);
  static void drain(napi_env env, napi_value function, void *context, void *data);

  Napi::Env env_;
  std::shared_ptr<ThreadCount> threads_ = std::make_shared<ThreadCount>();
  std::shared_ptr<Lane> side_lane_;
  std::vector<std::weak_ptr<Lane>> lanes_;
  std::vector<std::weak_ptr<Cancellable>> watched_;
  Napi::FunctionReference error_class_;
  napi_threadsafe_function wake_ = nullptr;
  std::size_t pending_ = 0;
  bool closed_ = false;
  std::mutex mutex_; // of posted_
  std::vector<std::function<void(Napi::Env)>> posted_;
};

// Gives up a reference where that may take long: on a thread of the lane.
void release_later(Napi::Env env, std::shared_ptr<void> held);

} // namespace abyssal::node
