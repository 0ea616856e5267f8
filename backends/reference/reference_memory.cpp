// Device, buffers, weights, streams, copies and batches of the reference backend. Everything runs at once, so a stream
// holds nothing.
#include "backends/common/host_batch.h"
#include "backends/common/host_buffer.h"
#include "backends/common/host_error.h"
#include "backends/reference/reference_ops.h"
#include "backends/reference/reference_weight.h"
#include "base/usable_memory.h"

#include <utility>

namespace abyssal::reference {

namespace {

struct ReferenceDevice {};
struct ReferenceStream {};

thread_local ErrorText last_error;

template <typename Body> aby_status guard(Body &&body) { return guarded(std::forward<Body>(body), set_error); }

void given(const void *pointer, const char *what) {
  if (pointer == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, " is NULL");
}

} // namespace

void set_error(const char *text) noexcept { last_error.set(text); }

const char *error_text() { return last_error.get(); }

aby_status device_count(std::uint32_t *out) {
  return guard([&] {
    given(out, "device_count: out");
    *out = 1;
  });
}

aby_status device_open(abk_device **out, const abk_device_options *options) {
  return guard([&] {
    given(out, "device_open: out");
    if (options != nullptr && options->index != 0)
      fail(ABY_ERROR_NOT_FOUND, "device_open: device ", options->index, ", the reference backend has one");
    *out = reinterpret_cast<abk_device *>(new ReferenceDevice);
  });
}

void device_close(abk_device *device) { delete reinterpret_cast<ReferenceDevice *>(device); }

aby_status device_info(abk_device *device, abk_device_info *out) {
  return guard([&] {
    given(device, "device_info: device");
    given(out, "device_info: out");
    *out = {"host CPU, plain loops", "scalar", 1, usable_memory(), ""};
  });
}

aby_status buffer_create(abk_device *device, abk_buffer **out, std::uint64_t bytes) {
  return guard([&] {
    given(device, "buffer_create: device");
    given(out, "buffer_create: out");
    *out = HostBuffer::create(bytes)->handle();
  });
}

void buffer_destroy(abk_buffer *buffer) { delete HostBuffer::from(buffer); }

aby_status weight_size(abk_device *device, const abk_weight_desc *desc, abk_weight_size *out) {
  return guard([&] {
    given(device, "weight_size: device");
    given(desc, "weight_size: desc");
    given(out, "weight_size: out");
    *out = ReferenceWeight::size_of(*desc);
  });
}

aby_status weight_create(abk_device *device, abk_weight **out, const abk_weight_desc *desc) {
  return guard([&] {
    given(device, "weight_create: device");
    given(out, "weight_create: out");
    given(desc, "weight_create: desc");
    *out = (new ReferenceWeight(*desc))->handle();
  });
}

void weight_destroy(abk_weight *weight) { delete static_cast<ReferenceWeight *>(HostWeight::from(weight)); }

aby_status stream_create(abk_device *device, abk_stream **out) {
  return guard([&] {
    given(device, "stream_create: device");
    given(out, "stream_create: out");
    *out = reinterpret_cast<abk_stream *>(new ReferenceStream);
  });
}

void stream_destroy(abk_stream *stream) { delete reinterpret_cast<ReferenceStream *>(stream); }

aby_status stream_synchronize(abk_stream *stream) {
  return guard([&] { given(stream, "stream_synchronize: stream"); });
}

aby_status copy_in(abk_stream *stream, abk_span to, const void *from, std::uint64_t bytes) {
  return guard([&] {
    given(stream, "copy_in: stream");
    if (bytes == 0)
      return;
    given(from, "copy_in: from");
    std::memcpy(check_span(to, bytes, 1, "copy_in: to"), from, bytes);
  });
}

aby_status copy_out(abk_stream *stream, void *to, abk_span from, std::uint64_t bytes) {
  return guard([&] {
    given(stream, "copy_out: stream");
    if (bytes == 0)
      return;
    given(to, "copy_out: to");
    std::memcpy(to, check_span(from, bytes, 1, "copy_out: from"), bytes);
  });
}

aby_status copy(abk_stream *stream, abk_span to, abk_span from, std::uint64_t bytes) {
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

aby_status batch_create(abk_stream *stream, abk_batch **out, const abk_batch_desc *desc) {
  return guard([&] {
    given(stream, "batch_create: stream");
    given(out, "batch_create: out");
    given(desc, "batch_create: desc");
    *out = (new HostBatch(*desc))->handle();
  });
}

void batch_destroy(abk_batch *batch) { delete HostBatch::from(batch); }

aby_status scratch_bytes(abk_device *device, const abk_scratch_desc *desc, std::uint64_t *out) {
  return guard([&] {
    given(device, "scratch_bytes: device");
    given(desc, "scratch_bytes: desc");
    given(out, "scratch_bytes: out");
    if (desc->op < ABK_OP_MLP || desc->op > ABK_OP_LOGITS)
      fail(ABY_ERROR_INVALID_ARGUMENT, "scratch_bytes: op ", desc->op, " is unknown");
    *out = 0; // the ops keep their intermediate results on the heap, in double precision
  });
}

} // namespace abyssal::reference
