// The memory functions of the contract for a backend whose device memory is the host's and whose streams run at once:
// buffers, copies and batches. set_error takes the text of a failure.
#pragma once

#include "backends/common/host_batch.h"
#include "backends/common/host_buffer.h"

namespace abyssal {

template <void (*SetError)(const char *) noexcept> struct HostMemory {
  template <typename Body> static aby_status guard(Body &&body) noexcept {
    return guarded(std::forward<Body>(body), SetError);
  }
  static void given(const void *pointer, const char *what) {
    if (pointer == nullptr)
      fail(ABY_ERROR_INVALID_ARGUMENT, what, " is NULL");
  }

  static aby_status buffer_create(abk_device *device, abk_buffer **out, std::uint64_t bytes) {
    return guard([&] {
      given(device, "buffer_create: device");
      given(out, "buffer_create: out");
      *out = HostBuffer::create(bytes)->handle();
    });
  }
  static void buffer_destroy(abk_buffer *buffer) { delete HostBuffer::from(buffer); }

  static aby_status stream_synchronize(abk_stream *stream) {
    return guard([&] { given(stream, "stream_synchronize: stream"); });
  }

  static aby_status copy_in(abk_stream *stream, abk_span to, const void *from, std::uint64_t bytes) {
    return guard([&] {
      given(stream, "copy_in: stream");
      if (bytes == 0)
        return;
      given(from, "copy_in: from");
      std::memcpy(check_span(to, bytes, 1, "copy_in: to"), from, bytes);
    });
  }
  static aby_status copy_out(abk_stream *stream, void *to, abk_span from, std::uint64_t bytes) {
    return guard([&] {
      given(stream, "copy_out: stream");
      if (bytes == 0)
        return;
      given(to, "copy_out: to");
      std::memcpy(to, check_span(from, bytes, 1, "copy_out: from"), bytes);
    });
  }
  static aby_status copy(abk_stream *stream, abk_span to, abk_span from, std::uint64_t bytes) {
    return guard([&] {
      given(stream, "copy: stream");
      if (bytes == 0)
        return;
      const std::byte *source = check_span(from, bytes, 1, "copy: from");
      std::byte *target = check_span(to, bytes, 1, "copy: to");
      if (target < source + bytes && source < target + bytes)
        fail(ABY_ERROR_INVALID_ARGUMENT, "copy: ", bytes, " bytes from offset ", from.offset, " to offset ", to.offset,
             " of one buffer overlap");
      std::memcpy(target, source, bytes);
    });
  }

  static aby_status batch_create(abk_stream *stream, abk_batch **out, const abk_batch_desc *desc) {
    return guard([&] {
      given(stream, "batch_create: stream");
      given(out, "batch_create: out");
      given(desc, "batch_create: desc");
      *out = (new HostBatch(*desc))->handle();
    });
  }
  static void batch_destroy(abk_batch *batch) { delete HostBatch::from(batch); }
};

} // namespace abyssal
