// What Python's models and sequences share: objects of the library, and who looks at its memory.
#pragma once

#include "handle.h"

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <shared_mutex>

namespace abyssal::python {

struct ModelState {
  explicit ModelState(model opened) : object(std::move(opened)) {}

  model object;
  std::shared_mutex results; // shared while results are read, exclusive while an update drops them
  std::atomic<int> views{0}; // arrays over memory of its sequences
  std::atomic<double> seconds_per_token{std::numeric_limits<double>::infinity()}; // of the last step of a reply
};

// Options of one evaluation, with the flag that cancels it. Made for one call.
struct EvalOptions {
  aby_eval_options raw = default_eval_options();
  std::int32_t cancelled = 0;

  EvalOptions() { raw.cancel = &cancelled; }
  EvalOptions(const EvalOptions &) = delete;
  EvalOptions &operator=(const EvalOptions &) = delete;
  // From any thread, also before the evaluation begins.
  void cancel() noexcept { __atomic_store_n(&cancelled, 1, __ATOMIC_RELAXED); }
};

// The mutex `use` guards what pointers into the sequence's results point at. A thread that cannot have it at once gets
// BUSY, as from the library.
struct SequenceState {
  SequenceState(std::shared_ptr<ModelState> of, sequence made) : model(std::move(of)), object(std::move(made)) {}

  std::shared_ptr<ModelState> model;
  sequence object;
  std::mutex use;
  std::atomic<int> views{0};       // arrays over its results
  std::atomic<int> cache_views{0}; // of those, over the copy of cached rows
  std::mutex running_mutex;
  EvalOptions *running = nullptr; // of the evaluation that runs now

  // Sole use of the sequence, to read its results.
  std::unique_lock<std::mutex> enter();
  // Sole use of the sequence, to change it: refused with BufferError while there are views.
  std::unique_lock<std::mutex> enter_to_change();
};

} // namespace abyssal::python
