// A backend's device, and owners of what lives on it: buffers, prepared weights, batches.
#pragma once

#include "device/registry.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace abyssal {

struct DeviceOptions {
  std::string backend; // "" for the best
  std::uint32_t index = 0;
  std::uint32_t threads = 0;
};

class Device {
public:
  static std::shared_ptr<Device> open(const DeviceOptions &options);
  ~Device();
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  const abk_backend &api() const noexcept { return *backend_; }
  abk_device *handle() const noexcept { return device_; }
  abk_stream *stream() const noexcept { return stream_; }
  abk_device_info info() const;
  bool reaches_host() const noexcept { return backend_->buffer_wrap != nullptr; }

  // Held while work is queued and until it was synchronised: one pass at a time runs on a device.
  std::mutex &queue_mutex() noexcept { return queue_mutex_; }

  // Throws the backend's error text unless status is ABY_OK. what names the step, for the message.
  void check(aby_status status, const char *what) const;
  void synchronize() { check(api().stream_synchronize(stream_), "synchronize"); }

private:
  explicit Device(BackendHandle backend) : backend_(std::move(backend)) {}
  BackendHandle backend_;
  abk_device *device_ = nullptr;
  abk_stream *stream_ = nullptr;
  std::mutex queue_mutex_;
};

using DevicePtr = std::shared_ptr<Device>;

// Zero-filled device memory.
class Buffer {
public:
  Buffer() = default;
  Buffer(DevicePtr device, std::uint64_t bytes);
  // The caller's memory, which outlives the buffer, where the device reaches it: see Device::reaches_host.
  Buffer(DevicePtr device, void *memory, std::uint64_t bytes);
  ~Buffer() { reset(); }
  Buffer(Buffer &&other) noexcept { swap(other); }
  Buffer &operator=(Buffer &&other) noexcept {
    swap(other);
    return *this;
  }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;

  std::uint64_t bytes() const noexcept { return bytes_; }
  abk_span at(std::uint64_t offset) const noexcept { return {buffer_, offset}; }
  void reset() noexcept;

private:
  void swap(Buffer &other) noexcept;
  DevicePtr device_;
  abk_buffer *buffer_ = nullptr;
  std::uint64_t bytes_ = 0;
};

// A weight prepared by the backend.
class Weight {
public:
  Weight(DevicePtr device, const abk_weight_desc &desc);
  ~Weight() { device_->api().weight_destroy(weight_); }
  Weight(const Weight &) = delete;
  Weight &operator=(const Weight &) = delete;
  const abk_weight *get() const noexcept { return weight_; }
  // Its image; null where it has none.
  const void *image() const;
  std::int64_t n() const noexcept { return n_; }
  std::int64_t k() const noexcept { return k_; }
  std::int64_t count() const noexcept { return count_; }
  const abk_weight_size &size() const noexcept { return size_; }

private:
  DevicePtr device_;
  std::int64_t n_, k_, count_;
  abk_weight_size size_{};
  abk_weight *weight_ = nullptr;
};

using WeightPtr = std::shared_ptr<const Weight>;

// The handle of an optional weight.
inline const abk_weight *raw(const WeightPtr &weight) noexcept { return weight ? weight->get() : nullptr; }

// A ragged batch uploaded for one pass.
class Batch {
public:
  Batch(DevicePtr device, const abk_batch_desc &desc);
  ~Batch() { device_->api().batch_destroy(batch_); }
  Batch(const Batch &) = delete;
  Batch &operator=(const Batch &) = delete;
  const abk_batch *get() const noexcept { return batch_; }

private:
  DevicePtr device_;
  abk_batch *batch_ = nullptr;
};

// Waits for the stream when a pass ends early, so that nothing queued uses what is about to be destroyed.
class DrainOnExit {
public:
  explicit DrainOnExit(Device &device) : device_(device) {}
  ~DrainOnExit() { static_cast<void>(device_.api().stream_synchronize(device_.stream())); }
  DrainOnExit(const DrainOnExit &) = delete;
  DrainOnExit &operator=(const DrainOnExit &) = delete;

private:
  Device &device_;
};

} // namespace abyssal
