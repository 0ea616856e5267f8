// Everything runs at once, so a device and a stream hold nothing.
#include "backends/reference/reference_backend.h"

#include "backends/host/host_error.h"
#include "backends/host/host_memory.h"
#include "backends/host/host_op.h"
#include "backends/reference/reference_ops.h"
#include "backends/reference/reference_weight.h"
#include "base/usable_memory.h"

namespace abyssal {

namespace {

struct ReferenceDevice {};
struct ReferenceStream {};

thread_local ErrorText last_error;
void set_error(const char *text) noexcept { last_error.set(text); }
const char *error_text() { return last_error.get(); }

using Memory = HostMemory<set_error>;

aby_status device_count(std::uint32_t *out) {
  return Memory::guard([&] {
    Memory::given(out, "device_count: out");
    *out = 1;
  });
}

aby_status device_open(abk_device **out, const abk_device_options *options) {
  return Memory::guard([&] {
    Memory::given(out, "device_open: out");
    if (options != nullptr && options->index != 0)
      fail(ABY_ERROR_NOT_FOUND, "device_open: device ", options->index, ", the reference backend has one");
    *out = reinterpret_cast<abk_device *>(new ReferenceDevice);
  });
}

void device_close(abk_device *device) { delete reinterpret_cast<ReferenceDevice *>(device); }

aby_status device_info(abk_device *device, abk_device_info *out) {
  return Memory::guard([&] {
    Memory::given(device, "device_info: device");
    Memory::given(out, "device_info: out");
    *out = {"host CPU, plain loops", "scalar", 1, usable_memory(), ""};
  });
}

aby_status weight_size(abk_device *device, const abk_weight_desc *desc, abk_weight_size *out) {
  return Memory::guard([&] {
    Memory::given(device, "weight_size: device");
    Memory::given(desc, "weight_size: desc");
    Memory::given(out, "weight_size: out");
    *out = ReferenceWeight::size_of(*desc);
  });
}

aby_status weight_create(abk_device *device, abk_weight **out, const abk_weight_desc *desc) {
  return Memory::guard([&] {
    Memory::given(device, "weight_create: device");
    Memory::given(out, "weight_create: out");
    Memory::given(desc, "weight_create: desc");
    *out = (new ReferenceWeight(*desc))->handle();
  });
}

void weight_destroy(abk_weight *weight) { delete static_cast<ReferenceWeight *>(HostWeight::from(weight)); }

aby_status stream_create(abk_device *device, abk_stream **out) {
  return Memory::guard([&] {
    Memory::given(device, "stream_create: device");
    Memory::given(out, "stream_create: out");
    *out = reinterpret_cast<abk_stream *>(new ReferenceStream);
  });
}

void stream_destroy(abk_stream *stream) { delete reinterpret_cast<ReferenceStream *>(stream); }

template <auto Op, typename Args> void plain_op(abk_stream *, const abk_batch *, const void *args) {
  Op(*static_cast<const Args *>(args));
}
template <auto Op, typename Args> void batch_op(abk_stream *, const abk_batch *batch, const void *args) {
  Op(*HostBatch::from(batch), *static_cast<const Args *>(args));
}

// In the order of their numbers. No op needs scratch: intermediate results are on the heap, in double precision.
constexpr HostOp kOps[] = {
    {"embed", true, batch_op<reference::embed, abk_embed_args>, nullptr},
    {"norm_add", false, plain_op<reference::norm_add, abk_norm_add_args>, nullptr},
    {"linear", false, plain_op<reference::linear, abk_linear_args>, nullptr},
    {"mlp", false, plain_op<reference::mlp, abk_mlp_args>, nullptr},
    {"mla_project", true, batch_op<reference::mla_project, abk_mla_project_args>, nullptr},
    {"mla_attend", true, batch_op<reference::mla_attend, abk_mla_attend_args>, nullptr},
    {"gqa_attend", true, batch_op<reference::gqa_attend, abk_gqa_attend_args>, nullptr},
    {"moe_route", false, plain_op<reference::moe_route, abk_moe_route_args>, nullptr},
    {"moe_experts", false, plain_op<reference::moe_experts, abk_moe_experts_args>, nullptr},
    {"logits", true, batch_op<reference::logits, abk_logits_args>, nullptr},
};

aby_status supports(abk_device *device, const abk_op_desc *desc, std::uint64_t *scratch_bytes) {
  return Memory::guard([&] {
    Memory::given(device, "supports: device");
    Memory::given(desc, "supports: desc");
    Memory::given(scratch_bytes, "supports: scratch_bytes");
    *scratch_bytes = scratch_of(find_op(kOps, desc->op, "reference"), *desc);
  });
}

aby_status run(abk_stream *stream, const abk_batch *batch, abk_op op, const void *args) {
  return Memory::guard([&] { run_op(find_op(kOps, op, "reference"), stream, batch, args); });
}

} // namespace

const abk_backend *reference_backend() {
  static const abk_backend backend = {
      .version = ABK_VERSION,
      .struct_size = sizeof(abk_backend),
      .name = "reference",
      .error_text = error_text,
      .device_count = device_count,
      .device_open = device_open,
      .device_close = device_close,
      .device_info = device_info,
      .buffer_create = Memory::buffer_create,
      .buffer_wrap = Memory::buffer_wrap,
      .buffer_destroy = Memory::buffer_destroy,
      .weight_size = weight_size,
      .weight_create = weight_create,
      .weight_destroy = weight_destroy,
      .weight_image = nullptr,
      .stream_create = stream_create,
      .stream_destroy = stream_destroy,
      .stream_synchronize = Memory::stream_synchronize,
      .copy_in = Memory::copy_in,
      .copy_out = Memory::copy_out,
      .copy = Memory::copy,
      .batch_create = Memory::batch_create,
      .batch_destroy = Memory::batch_destroy,
      .cache_row_bytes = Memory::cache_row_bytes,
      .cache_read = Memory::cache_read,
      .supports = supports,
      .run = run,
  };
  return &backend;
}

} // namespace abyssal
