// What lives on a deferred device: memory that the host cannot touch, weights, batches.
#pragma once

#include "backends/host/host_buffer.h"
#include "handle_table.h"

#include <mutex>

namespace abyssal::deferred {

// The reference backend's device and stream do the work.
struct DeferredDevice {
  DeferredDevice();
  ~DeferredDevice();
  DeferredDevice(const DeferredDevice &) = delete;
  DeferredDevice &operator=(const DeferredDevice &) = delete;

  abk_device *inner = nullptr;
  abk_stream *inner_stream = nullptr;
  std::mutex running; // one stream of a device runs at a time
};

// Memory without any access right, but for the time that a Reachable holds it. Its last byte is followed by a page
// that is never accessible, so that an op which writes far beyond it faults too.
struct DeferredBuffer {
  DeferredBuffer(const DeferredDevice &owner, std::uint64_t bytes);

  const DeferredDevice &device;
  HostBuffer host;
  std::uint64_t open_bytes; // of the mapping, all but the guard page
  std::uint64_t users = 0;  // Reachables that hold it; guarded by device.running
};

// Makes a buffer accessible while it lives.
class Reachable {
public:
  explicit Reachable(std::shared_ptr<DeferredBuffer> buffer);
  ~Reachable();
  Reachable(Reachable &&) = default;
  Reachable(const Reachable &) = delete;
  Reachable &operator=(const Reachable &) = delete;
  Reachable &operator=(Reachable &&) = delete;
  DeferredBuffer &buffer() const noexcept { return *buffer_; }

private:
  std::shared_ptr<DeferredBuffer> buffer_;
};

struct DeferredWeight {
  DeferredWeight(const DeferredDevice &owner, const abk_weight_desc &desc);
  ~DeferredWeight();
  DeferredWeight(const DeferredWeight &) = delete;
  DeferredWeight &operator=(const DeferredWeight &) = delete;

  const DeferredDevice &device;
  abk_weight *inner = nullptr;
};

struct DeferredBatch {
  DeferredBatch(const DeferredDevice &owner, const abk_batch_desc &desc);
  ~DeferredBatch();
  DeferredBatch(const DeferredBatch &) = delete;
  DeferredBatch &operator=(const DeferredBatch &) = delete;

  const DeferredDevice &device;
  abk_batch *inner = nullptr;
};

HandleTable<abk_buffer, DeferredBuffer> &buffers();
HandleTable<abk_weight, DeferredWeight> &weights();
HandleTable<abk_batch, DeferredBatch> &batches();

// Throws the reference backend's text unless status is ABY_OK.
void check_inner(aby_status status);

} // namespace abyssal::deferred
