#include "bridge.h"

#include <abyssal/abyssal.hpp>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <new>
#include <utility>

namespace abyssal::node {

namespace {

constexpr std::size_t kSideThreads = 4; // opening, text: what does not run on a device

// The bridges of this process. A teardown takes its own out.
std::mutex bridges_mutex;
std::map<napi_env, std::shared_ptr<Bridge>> &bridges() {
  static auto *all = new std::map<napi_env, std::shared_ptr<Bridge>>; // needed until the very end
  return *all;
}

// process.exit() ends the main environment without its hooks: nothing may run when static objects are destroyed.
void close_all() {
  std::vector<std::shared_ptr<Bridge>> all;
  {
    const std::lock_guard lock(bridges_mutex);
    for (const auto &[env, bridge] : bridges())
      all.push_back(bridge);
  }
  for (const auto &bridge : all)
    bridge->quiesce(); // no more: JavaScript is gone
}

void check_napi(napi_status status) {
  if (status != napi_ok)
    throw error(ABY_ERROR_INTERNAL, "Node-API call failed with status " + std::to_string(status));
}

template <typename Weak> void drop_expired(std::vector<Weak> &list) {
  list.erase(std::remove_if(list.begin(), list.end(), [](const Weak &weak) { return weak.expired(); }), list.end());
}

} // namespace

Failure current_failure() noexcept {
  try {
    throw;
  } catch (const error &failed) {
    return {failed.status(), failed.what()};
  } catch (const std::bad_alloc &) {
    return {ABY_ERROR_NO_MEMORY, "memory is exhausted"};
  } catch (const std::exception &failed) {
    return {ABY_ERROR_INTERNAL, failed.what()};
  } catch (...) {
    return {ABY_ERROR_INTERNAL, "unknown exception"};
  }
}

Napi::Value make_error(Napi::Env env, const Failure &failure) {
  return Bridge::of(env).error_class().New({Napi::String::New(env, failure.text),
                                            Napi::String::New(env, aby_status_name(failure.status)),
                                            Napi::Number::New(env, failure.status)});
}

void throw_failure(Napi::Env env, const Failure &failure) { throw Napi::Error(env, make_error(env, failure)); }

Bridge::Bridge(Napi::Env env) : env_(env), side_lane_(std::make_shared<Lane>(threads_, kSideThreads)) {
  check_napi(napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "abyssal"), 0, 1, nullptr,
                                             nullptr, this, &Bridge::drain, &wake_));
  check_napi(napi_unref_threadsafe_function(env, wake_));
}

void Bridge::open(Napi::Env env) {
  const std::shared_ptr<Bridge> made(new Bridge(env));
  {
    const std::lock_guard lock(bridges_mutex);
    static const bool registered = std::atexit(close_all) == 0;
    static_cast<void>(registered);
    bridges()[env] = made;
  }
  env.AddCleanupHook([env = static_cast<napi_env>(env)] {
    std::shared_ptr<Bridge> bridge;
    {
      const std::lock_guard lock(bridges_mutex);
      bridge = bridges().at(env);
    }
    bridge->close();
    // It stays in the map: finalisers of this environment still come, and find it closed.
  });
}

Bridge &Bridge::of(Napi::Env env) {
  const std::lock_guard lock(bridges_mutex);
  return *bridges().at(env);
}

std::shared_ptr<Lane> Bridge::make_lane() {
  drop_expired(lanes_);
  auto lane = std::make_shared<Lane>(threads_, 1);
  if (closed_)
    lane->stop();
  lanes_.push_back(lane);
  return lane;
}

void Bridge::watch(const std::shared_ptr<Cancellable> &work) {
  drop_expired(watched_);
  watched_.push_back(work);
}

void Bridge::begin_pending() {
  if (pending_++ == 0 && !closed_)
    napi_ref_threadsafe_function(env_, wake_);
}

void Bridge::end_pending() {
  if (--pending_ == 0 && !closed_)
    napi_unref_threadsafe_function(env_, wake_);
}

void Bridge::post(std::function<void(Napi::Env)> function) {
  const std::lock_guard lock(mutex_);
  posted_.push_back(std::move(function));
  if (posted_.size() == 1 && wake_ != nullptr) // the others of this round are found by the same wake
    napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
}

void Bridge::drain(napi_env env, napi_value, void *context, void *) {
  if (env == nullptr)
    return; // the environment ends: close() drops what is left
  auto &bridge = *static_cast<Bridge *>(context);
  std::vector<std::function<void(Napi::Env)>> round;
  {
    const std::lock_guard lock(bridge.mutex_);
    round.swap(bridge.posted_);
  }
  for (auto &function : round) {
    try {
      function(env);
    } catch (const Napi::Error &failed) {
      failed.ThrowAsJavaScriptException(); // as an uncaught one: nobody waits for it
      return;
    }
    function = nullptr;
  }
}

Napi::Value Bridge::start(Task task) {
  struct Call {
    Napi::Promise::Deferred deferred;
    std::shared_ptr<void> keep;
    Convert convert;
    std::optional<Failure> failure;
  };
  auto call = std::make_shared<Call>(Call{Napi::Promise::Deferred::New(env_), std::move(task.keep), {}, {}});
  const Napi::Value promise = call->deferred.Promise();
  auto settle = [this, call](Napi::Env env) {
    end_pending();
    const Napi::HandleScope scope(env);
    if (call->failure)
      return call->deferred.Reject(make_error(env, *call->failure));
    try {
      call->deferred.Resolve(call->convert(env));
    } catch (const Napi::Error &failed) {
      call->deferred.Reject(failed.Value());
    } catch (...) {
      call->deferred.Reject(make_error(env, current_failure()));
    }
  };
  auto job = [this, call = call.get(), settle, work = std::move(task.work)]() mutable {
    try {
      call->convert = work();
    } catch (...) {
      call->failure = current_failure();
    }
    work = nullptr;
    post(std::move(settle));
  };
  if (!task.lane->submit(std::move(job)))
    throw error(ABY_ERROR_STATE, "this thread's environment is ending");
  begin_pending();
  return promise;
}

void Bridge::quiesce() {
  closed_ = true;
  for (const auto &weak : lanes_) {
    if (const auto lane = weak.lock())
      lane->stop();
  }
  side_lane_->stop();
  for (const auto &weak : watched_) {
    if (const auto work = weak.lock())
      work->cancel();
  }
  threads_->wait_for_none();
}

void Bridge::close() {
  quiesce();
  std::vector<std::function<void(Napi::Env)>> dropped; // destroyed after the lock
  const std::lock_guard lock(mutex_);
  dropped.swap(posted_);
  napi_release_threadsafe_function(wake_, napi_tsfn_abort);
  wake_ = nullptr;
  error_class_.Reset();
}

void release_later(Napi::Env env, std::shared_ptr<void> held) {
  if (!held)
    return;
  // A lane that was stopped, or that has no thread, destroys the job here.
  try {
    Bridge::of(env).side_lane()->submit([kept = std::move(held)]() mutable { kept.reset(); });
  } catch (const std::exception &) {
  }
}

} // namespace abyssal::node
