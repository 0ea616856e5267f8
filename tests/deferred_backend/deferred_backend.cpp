// A backend for tests that behaves like a device: its memory is out of the host's reach, its handles are no pointers,
// and nothing runs before stream_synchronize. The reference backend does the arithmetic.
#include "backends/common/host_error.h"
#include "deferred_ops.h"

#include <cstdint>

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

aby_status scratch_bytes(abk_device *device, const abk_scratch_desc *desc, std::uint64_t *out) {
  return guard([&] {
    given(desc, "scratch_bytes: desc");
    given(out, "scratch_bytes: out");
    check_inner(reference_backend()->scratch_bytes(device_of(device, "scratch_bytes").inner, desc, out));
    const bool attention = desc->op == ABK_OP_MLA_ATTEND || desc->op == ABK_OP_GQA_ATTEND;
    *out = scratch_need(desc->rows, attention ? desc->context : 0);
  });
}

// Op: the member of the contract.
template <auto Op, typename Args> aby_status run_op(abk_stream *handle, const Args *args) {
  return guard([&] {
    check_call(handle, args);
    DeferredStream &stream = stream_of(handle, op_name(args));
    const DeferredStream::Turn turn(stream);
    queue_op(stream, nullptr, *args, [](abk_stream *inner, const abk_batch *, const Args *resolved) {
      return (reference_backend()->*Op)(inner, resolved);
    });
  });
}

template <auto Op, typename Args>
aby_status run_batch_op(abk_stream *handle, const abk_batch *batch, const Args *args) {
  return guard([&] {
    check_call(handle, args);
    DeferredStream &stream = stream_of(handle, op_name(args));
    const DeferredStream::Turn turn(stream);
    HandleCheck{op_name(args), stream.device()}.check<DeferredBatch>("batch", batches(), batch);
    queue_op(stream, batch, *args, reference_backend()->*Op);
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
    .scratch_bytes = scratch_bytes,
    .embed = run_batch_op<&abk_backend::embed, abk_embed_args>,
    .norm_add = run_op<&abk_backend::norm_add, abk_norm_add_args>,
    .linear = run_op<&abk_backend::linear, abk_linear_args>,
    .mlp = run_op<&abk_backend::mlp, abk_mlp_args>,
    .mla_project = run_batch_op<&abk_backend::mla_project, abk_mla_project_args>,
    .mla_attend = run_batch_op<&abk_backend::mla_attend, abk_mla_attend_args>,
    .gqa_attend = run_batch_op<&abk_backend::gqa_attend, abk_gqa_attend_args>,
    .moe_route = run_op<&abk_backend::moe_route, abk_moe_route_args>,
    .moe_experts = run_op<&abk_backend::moe_experts, abk_moe_experts_args>,
    .logits = run_batch_op<&abk_backend::logits, abk_logits_args>,
};

} // namespace

} // namespace abyssal::deferred

extern "C" __attribute__((visibility("default"))) const abk_backend *abyssal_backend_entry(std::uint32_t version);

extern "C" const abk_backend *abyssal_backend_entry(std::uint32_t version) {
  return version == ABK_VERSION ? &abyssal::deferred::kBackend : nullptr;
}
