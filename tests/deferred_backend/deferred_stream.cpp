#include "deferred_stream.h"

namespace abyssal::deferred {

HostBuffer &Resolver::buffer(const char *name, const abk_buffer *handle) {
  std::shared_ptr<DeferredBuffer> found = buffers().find(handle);
  if (found == nullptr)
    fail(ABY_ERROR_DEVICE, op_, ": ", name, ": buffer ", buffers().number_of(handle),
         " was destroyed before the stream ran");
  reachable_.emplace_back(std::move(found));
  return reachable_.back().buffer().host;
}

abk_weight *Resolver::weight(const char *name, const abk_weight *handle) {
  std::shared_ptr<DeferredWeight> found = weights().find(handle);
  if (found == nullptr)
    fail(ABY_ERROR_DEVICE, op_, ": ", name, ": weight ", weights().number_of(handle),
         " was destroyed before the stream ran");
  weights_.push_back(std::move(found));
  return weights_.back()->inner;
}

abk_batch *Resolver::batch(const abk_batch *handle) {
  std::shared_ptr<DeferredBatch> found = batches().find(handle);
  if (found == nullptr)
    fail(ABY_ERROR_DEVICE, op_, ": batch ", batches().number_of(handle), " was destroyed before the stream ran");
  batches_.push_back(std::move(found));
  return batches_.back()->inner;
}

void Resolver::operator()(const char *name, abk_span &span) {
  if (span.buffer != nullptr)
    span.buffer = buffer(name, span.buffer).handle();
}

void Resolver::operator()(const char *name, const abk_weight *&handle) {
  if (handle != nullptr)
    handle = weight(name, handle);
}

void DeferredStream::queue(const char *op, Work work) {
  constexpr std::size_t kMost = std::size_t{1} << 20;
  if (queue_.size() >= kMost)
    fail(ABY_ERROR_NO_MEMORY, op, ": the stream's queue is full, ", kMost, " operations");
  queue_.push_back({op, std::move(work)});
}

void DeferredStream::synchronize() {
  std::vector<Queued> queue;
  queue.swap(queue_);
  const std::lock_guard lock(device_.running);
  for (std::size_t i = 0; i < queue.size(); ++i) {
    Resolver resolver(device_, concat(queue[i].op, ", operation ", i, " of the queue"));
    queue[i].work(resolver);
  }
}

DeferredStream::Turn::Turn(DeferredStream &stream) : stream_(stream) {
  if (stream_.busy_.exchange(true))
    fail(ABY_ERROR_DEVICE, "two threads use one stream at the same time");
}

DeferredStream::Turn::~Turn() { stream_.busy_ = false; }

} // namespace abyssal::deferred
