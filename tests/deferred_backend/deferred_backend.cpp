// A backend for tests that behaves like a device: its memory is out of the host's reach, its handles are no pointers,
// and nothing runs before stream_synchronize. The reference backend does the arithmetic.
#include "backends/host/host_error.h"
#include "deferred_ops.h"

#include <cstdint>
#include <iterator>

namespace abyssal::deferred {

namespace {

thread_local ErrorText last_error;

void set_error(const char *text) noexcept { last_error.set(text); }
const char *error_text() { return last_error.get(); }

template <typename Body> aby_status guard(Body &&body) { return guarded(std::forward<Body>(body), set_error); }

template <typename Pointer> void given(const Pointer *pointer, const char *what) {
  if (pointer == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, " is NULL");
}

DeferredDevice &device_of(abk_device *device, const char *op) {
  if (device == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, op, ": device is NULL");
  return *reinterpret_cast<DeferredDevice *>(device);
}

DeferredStream &stream_of(abk_stream *stream, const char *op) {
  if (stream == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, op, ": stream is NULL");
  return *reinterpret_cast<DeferredStream *>(stream);
}

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
      fail(ABY_ERROR_NOT_FOUND, "device_open: device ", options->index, ", the deferred backend has one");
    *out = reinterpret_cast<abk_device *>(new DeferredDevice);
  });
}

void device_close(abk_device *device) { delete reinterpret_cast<DeferredDevice *>(device); }

aby_status device_info(abk_device *device, abk_device_info *out) {
  return guard([&] {
    given(out, "device_info: out");
    check_inner(reference_backend()->device_info(device_of(device, "device_info").inner, out));
    out->name = "test device that runs when it is synchronised";
  });
}

aby_status buffer_create(abk_device *device, abk_buffer **out, std::uint64_t bytes) {
  return guard([&] {
    given(out, "buffer_create: out");
    *out = buffers().insert(std::make_shared<DeferredBuffer>(device_of(device, "buffer_create"), bytes));
  });
}

void buffer_destroy(abk_buffer *buffer) { buffers().erase(buffer); }

aby_status weight_size(abk_device *device, const abk_weight_desc *desc, abk_weight_size *out) {
  return guard([&] {
    given(desc, "weight_size: desc");
    abk_weight_desc copied = *desc;
    copied.borrowed = 0;
    check_inner(reference_backend()->weight_size(device_of(device, "weight_size").inner, &copied, out));
  });
}

aby_status weight_create(abk_device *device, abk_weight **out, const abk_weight_desc *desc) {
  return guard([&] {
    given(out, "weight_create: out");
    given(desc, "weight_create: desc");
    *out = weights().insert(std::make_shared<DeferredWeight>(device_of(device, "weight_create"), *desc));
  });
}

void weight_destroy(abk_weight *weight) { weights().erase(weight); }

aby_status stream_create(abk_device *device, abk_stream **out) {
  return guard([&] {
    given(out, "stream_create: out");
    *out = reinterpret_cast<abk_stream *>(new DeferredStream(device_of(device, "stream_create")));
  });
}

void stream_destroy(abk_stream *stream) { delete reinterpret_cast<DeferredStream *>(stream); }

aby_status stream_synchronize(abk_stream *handle) {
  return guard([&] {
    DeferredStream &stream = stream_of(handle, "stream_synchronize");
    const DeferredStream::Turn turn(stream);
    stream.synchronize();
  });
}

// Checks a span against its buffer's size when a copy is queued.
void check_copy(const DeferredStream &stream, const char *op, const char *name, abk_span span, std::uint64_t bytes) {
  if (span.buffer == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, op, ": ", name, ": no buffer");
  HandleCheck{op, stream.device()}(name, span);
  DeferredBuffer &buffer = *buffers().find(span.buffer);
  check_span({buffer.host.handle(), span.offset}, bytes, 1, concat(op, ": ", name).c_str());
}

aby_status copy_in(abk_stream *handle, abk_span to, const void *from, std::uint64_t bytes) {
  return guard([&] {
    DeferredStream &stream = stream_of(handle, "copy_in");
    const DeferredStream::Turn turn(stream);
    if (bytes == 0)
      return;
    given(from, "copy_in: from");
    check_copy(stream, "copy_in", "to", to, bytes);
    const auto *begin = static_cast<const std::byte *>(from);
    stream.queue("copy_in", [to, data = std::vector<std::byte>(begin, begin + bytes)](Resolver &resolver) {
      std::memcpy(resolver.buffer("to", to.buffer).data + to.offset, data.data(), data.size());
    });
  });
}

aby_status copy_out(abk_stream *handle, void *to, abk_span from, std::uint64_t bytes) {
  return guard([&] {
    DeferredStream &stream = stream_of(handle, "copy_out");
    const DeferredStream::Turn turn(stream);
    if (bytes == 0)
      return;
    given(to, "copy_out: to");
    check_copy(stream, "copy_out", "from", from, bytes);
    stream.queue("copy_out", [=](Resolver &resolver) {
      std::memcpy(to, resolver.buffer("from", from.buffer).data + from.offset, bytes);
    });
  });
}

aby_status copy(abk_stream *handle, abk_span to, abk_span from, std::uint64_t bytes) {
  return guard([&] {
    DeferredStream &stream = stream_of(handle, "copy");
    const DeferredStream::Turn turn(stream);
    if (bytes == 0)
      return;
    check_copy(stream, "copy", "to", to, bytes);
    check_copy(stream, "copy", "from", from, bytes);
    stream.queue("copy", [=](Resolver &resolver) {
      abk_span target = to;
      abk_span source = from;
      resolver("to", target);
      resolver("from", source);
      check_inner(reference_backend()->copy(resolver.device().inner_stream, target, source, bytes));
    });
  });
}

aby_status batch_create(abk_stream *handle, abk_batch **out, const abk_batch_desc *desc) {
  return guard([&] {
    given(out, "batch_create: out");
    given(desc, "batch_create: desc");
    DeferredStream &stream = stream_of(handle, "batch_create");
    const DeferredStream::Turn turn(stream);
    *out = batches().insert(std::make_shared<DeferredBatch>(stream.device(), *desc));
  });
}

void batch_destroy(abk_batch *batch) { batches().erase(batch); }

aby_status cache_row_bytes(abk_device *device, const abk_cache_desc *desc, std::uint64_t *out) {
  return guard([&] {
    check_inner(reference_backend()->cache_row_bytes(device_of(device, "cache_row_bytes").inner, desc, out));
  });
}

aby_status cache_read(abk_stream *handle, const abk_cache_desc *desc, float *to, abk_span from, std::int32_t rows) {
  return guard([&] {
    DeferredStream &stream = stream_of(handle, "cache_read");
    const DeferredStream::Turn turn(stream);
    given(desc, "cache_read: desc");
    if (rows == 0)
      return;
    given(to, "cache_read: to");
    check_copy(stream, "cache_read", "from", from, 0);
    stream.queue("cache_read", [=, row = *desc](Resolver &resolver) {
      abk_span source = from;
      resolver("from", source);
      check_inner(reference_backend()->cache_read(resolver.device().inner_stream, &row, to, source, rows));
    });
  });
}

// Queues an op with what it needs on the host, once its arguments were checked.
template <typename Args>
void queue_args(DeferredStream &stream, const abk_batch *batch, const DeferredOp &op, const void *args) {
  queue_op(stream, batch, op, *static_cast<const Args *>(args));
}

struct QueuedOp {
  DeferredOp op;
  void (*queue)(DeferredStream &stream, const abk_batch *batch, const DeferredOp &op, const void *args);
};

// In the order of their numbers.
constexpr QueuedOp kOps[] = {
    {{ABK_OP_EMBED, "embed", true}, queue_args<abk_embed_args>},
    {{ABK_OP_NORM_ADD, "norm_add", false}, queue_args<abk_norm_add_args>},
    {{ABK_OP_LINEAR, "linear", false}, queue_args<abk_linear_args>},
    {{ABK_OP_MLP, "mlp", false}, queue_args<abk_mlp_args>},
    {{ABK_OP_MLA_PROJECT, "mla_project", true}, queue_args<abk_mla_project_args>},
    {{ABK_OP_MLA_ATTEND, "mla_attend", true}, queue_args<abk_mla_attend_args>},
    {{ABK_OP_GQA_ATTEND, "gqa_attend", true}, queue_args<abk_gqa_attend_args>},
    {{ABK_OP_MOE_ROUTE, "moe_route", false}, queue_args<abk_moe_route_args>},
    {{ABK_OP_MOE_EXPERTS, "moe_experts", false}, queue_args<abk_moe_experts_args>},
    {{ABK_OP_LOGITS, "logits", true}, queue_args<abk_logits_args>},
};

const QueuedOp &queued_op(abk_op op) {
  if (op < 0 || static_cast<std::size_t>(op) >= std::size(kOps))
    fail(ABY_ERROR_UNSUPPORTED, "the deferred backend has no op ", op);
  return kOps[op];
}

aby_status supports(abk_device *device, const abk_op_desc *desc, std::uint64_t *scratch_bytes) {
  return guard([&] {
    device_of(device, "supports");
    given(desc, "supports: desc");
    given(scratch_bytes, "supports: scratch_bytes");
    *scratch_bytes = scratch_of(queued_op(desc->op).op, *desc);
  });
}

aby_status run(abk_stream *handle, const abk_batch *batch, abk_op number, const void *args) {
  return guard([&] {
    const QueuedOp &entry = queued_op(number);
    DeferredStream &stream = stream_of(handle, entry.op.name);
    given(args, concat(entry.op.name, ": args").c_str());
    const DeferredStream::Turn turn(stream);
    if (entry.op.takes_batch)
      HandleCheck{entry.op.name, stream.device()}.check<DeferredBatch>("batch", batches(), batch);
    entry.queue(stream, entry.op.takes_batch ? batch : nullptr, entry.op, args);
  });
}

const abk_backend kBackend = {
    .version = ABK_VERSION,
    .struct_size = sizeof(abk_backend),
    .name = "deferred",
    .error_text = error_text,
    .device_count = device_count,
    .device_open = device_open,
    .device_close = device_close,
    .device_info = device_info,
    .buffer_create = buffer_create,
    .buffer_wrap = nullptr, // a device does not reach the host's memory
    .buffer_destroy = buffer_destroy,
    .weight_size = weight_size,
    .weight_create = weight_create,
    .weight_destroy = weight_destroy,
    .weight_image = nullptr,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .stream_synchronize = stream_synchronize,
    .copy_in = copy_in,
    .copy_out = copy_out,
    .copy = copy,
    .batch_create = batch_create,
    .batch_destroy = batch_destroy,
    .cache_row_bytes = cache_row_bytes,
    .cache_read = cache_read,
    .supports = supports,
    .run = run,
};

} // namespace

} // namespace abyssal::deferred

extern "C" __attribute__((visibility("default"))) const abk_backend *abyssal_backend_entry(std::uint32_t version);

extern "C" const abk_backend *abyssal_backend_entry(std::uint32_t version) {
  return version == ABK_VERSION ? &abyssal::deferred::kBackend : nullptr;
}
