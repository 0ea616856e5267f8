// The memory functions of the contract for a backend whose device memory is the host's and whose streams run at once:
// buffers, copies, batches and cached rows. set_error takes the text of a failure.
#pragma once

#include "backends/host/cached_row.h"
#include "backends/host/host_batch.h"
#include "backends/host/host_buffer.h"

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
  static aby_status buffer_wrap(abk_device *device, abk_buffer **out, void *memory, std::uint64_t bytes) {
    return guard([&] {
      given(device, "buffer_wrap: device");
      given(out, "buffer_wrap: out");
      given(memory, "buffer_wrap: memory");
      *out = HostBuffer::wrap(memory, bytes)->handle();
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

  static aby_status cache_row_bytes(abk_device *device, const abk_cache_desc *desc, std::uint64_t *out) {
    return guard([&] {
      given(device, "cache_row_bytes: device");
      given(desc, "cache_row_bytes: desc");
      given(out, "cache_row_bytes: out");
      *out = checked_row(*desc, "cache_row_bytes").bytes();
    });
  }
  static aby_status cache_read(abk_stream *stream, const abk_cache_desc *desc, float *to, abk_span from,
                               std::int32_t rows) {
    return guard([&] {
      given(stream, "cache_read: stream");
      given(desc, "cache_read: desc");
      const CachedRow row = checked_row(*desc, "cache_read");
      check_row_count(rows, "cache_read");
      if (rows == 0)
        return;
      given(to, "cache_read: to");
      const std::byte *at =
          check_span(from, static_cast<std::uint64_t>(rows) * row.bytes(), row.alignment(), "cache_read: from");
      for (std::int32_t r = 0; r < rows; ++r)
        load_cached(row, at + static_cast<std::size_t>(r) * row.bytes(), to + static_cast<std::size_t>(r) * row.width);
    });
  }

private:
  static CachedRow checked_row(const abk_cache_desc &desc, const char *function) {
    if (desc.dtype != ABY_DTYPE_F32 && desc.dtype != ABY_DTYPE_BF16 && desc.dtype != ABY_DTYPE_I8)
      fail(ABY_ERROR_UNSUPPORTED, function, ": cached rows of ", dtype_name(desc.dtype),
           "; there are f32, bf16 and i8");
    const std::int64_t heads = check_size(desc.heads, 1, concat(function, ": heads").c_str());
    const std::int64_t width = check_size(desc.width, 1, concat(function, ": width").c_str());
    const std::int64_t rope = check_size(desc.rope_dim, 0, concat(function, ": rope_dim").c_str());
    if (desc.kind == ABK_CACHE_LATENT && heads == 1)
      return latent_row(desc.dtype, width, rope);
    if (desc.kind == ABK_CACHE_HEADS && rope == 0)
      return heads_row(desc.dtype, heads, width);
    fail(ABY_ERROR_UNSUPPORTED, function, ": cached rows of kind ", desc.kind, " with ", heads, " heads and rope_dim ",
         rope);
  }
};

} // namespace abyssal
