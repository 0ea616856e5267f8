// Routing, experts and latent attention on arrays in host memory: what ops.h offers. Arrays are copied to the device
// and back, but for a cache that it reaches where it is.
#pragma once

#include "device/device.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace abyssal {

// One op on host arrays: uploads, runs under the device's queue mutex, and downloads.
class HostOp {
public:
  explicit HostOp(DevicePtr device) : device_(std::move(device)), lock_(device_->queue_mutex()) {}
  ~HostOp();
  HostOp(const HostOp &) = delete;
  HostOp &operator=(const HostOp &) = delete;

  // Device memory of `bytes`, filled from `from` unless that is null.
  abk_span upload(const void *from, std::uint64_t bytes);
  // The caller's array itself where the device reaches it, else as upload. Ops only read it. alignment: of its
  // elements.
  abk_span share(const void *from, std::uint64_t bytes, std::size_t alignment);
  abk_span scratch(const abk_op_desc &desc);
  void download(void *to, abk_span from, std::uint64_t bytes);
  template <typename Args> void run(abk_op op, const abk_batch *batch, const Args &args) const {
    check(api().run(stream(), batch, op, &args), "run");
  }
  void check(aby_status status, const char *what) const { device_->check(status, what); }
  const abk_backend &api() const noexcept { return device_->api(); }
  abk_stream *stream() const noexcept { return device_->stream(); }

  // Waits until everything has been done.
  void finish() { device_->synchronize(); }

private:
  DevicePtr device_;
  std::lock_guard<std::mutex> lock_;
  std::vector<Buffer> buffers_;
};

// F32 rows without gaps.
inline abk_rows dense_rows(abk_span span, std::int64_t cols) noexcept {
  return {span, ABY_DTYPE_F32, static_cast<std::int32_t>(cols), cols};
}

} // namespace abyssal
