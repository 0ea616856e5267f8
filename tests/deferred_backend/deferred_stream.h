// A queue of work that runs when the stream is synchronised, and not before.
#pragma once

#include "deferred_objects.h"

#include <atomic>
#include <functional>
#include <string>
#include <vector>

namespace abyssal::deferred {

// Looks handles up while a queue runs, and makes buffers accessible until it has run. A handle that was good when the
// work was queued and is not any more fails: its owner let go of it too early.
class Resolver {
public:
  Resolver(const DeferredDevice &device, std::string op) : device_(device), op_(std::move(op)) {}

  HostBuffer &buffer(const char *name, const abk_buffer *handle);
  abk_weight *weight(const char *name, const abk_weight *handle);
  abk_batch *batch(const abk_batch *handle);
  // Replaces a handle of the deferred backend by the reference backend's. None stays none.
  void operator()(const char *name, abk_span &span);
  void operator()(const char *name, const abk_weight *&handle);
  const DeferredDevice &device() const noexcept { return device_; }

private:
  const DeferredDevice &device_;
  std::string op_;
  std::vector<Reachable> reachable_;
  std::vector<std::shared_ptr<DeferredWeight>> weights_; // kept while the op runs
  std::vector<std::shared_ptr<DeferredBatch>> batches_;
};

class DeferredStream {
public:
  explicit DeferredStream(DeferredDevice &device) : device_(device) {}
  DeferredDevice &device() const noexcept { return device_; }

  using Work = std::function<void(Resolver &)>;
  // Throws NO_MEMORY when the queue is full: it never runs to make room.
  void queue(const char *op, Work work);
  // Runs the queue in order up to the first failure, which it throws. The queue is empty afterwards.
  void synchronize();

  // Throws DEVICE when another thread is inside a call with this stream.
  class Turn {
  public:
    explicit Turn(DeferredStream &stream);
    ~Turn();
    Turn(const Turn &) = delete;
    Turn &operator=(const Turn &) = delete;

  private:
    DeferredStream &stream_;
  };

private:
  struct Queued {
    const char *op;
    Work work;
  };
  DeferredDevice &device_;
  std::vector<Queued> queue_;
  std::atomic<bool> busy_ = false;
};

} // namespace abyssal::deferred
