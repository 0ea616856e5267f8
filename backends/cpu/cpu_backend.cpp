#include "backends/cpu/cpu_backend.h"

#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/device/cpu_weight.h"
#include "backends/host/host_error.h"
#include "backends/host/host_memory.h"
#include "backends/host/host_op.h"

namespace abyssal {

namespace {

using cpu::CpuDevice;
using cpu::CpuWeight;

thread_local ErrorText last_error;
void set_error(const char *text) noexcept { last_error.set(text); }
const char *error_text() { return last_error.get(); }

using Memory = HostMemory<set_error>;

aby_status device_count(std::uint32_t *out) {
  return Memory::guard([&] {
    Memory::given(out, "device_count: out");
    *out = cpu::detect_isa() == cpu::Isa::kNone ? 0 : 1;
  });
}

aby_status device_open(abk_device **out, const abk_device_options *options) {
  return Memory::guard([&] {
    Memory::given(out, "device_open: out");
    if (cpu::detect_isa() == cpu::Isa::kNone)
      fail(ABY_ERROR_NOT_FOUND, "device_open: the cpu backend needs a processor with AVX2, FMA and F16C");
    if (options != nullptr && options->index != 0)
      fail(ABY_ERROR_NOT_FOUND, "device_open: device ", options->index, ", the cpu backend has one");
    *out = reinterpret_cast<abk_device *>(new CpuDevice(options != nullptr ? options->threads : 0));
  });
}

void device_close(abk_device *device) { delete CpuDevice::from(device); }

aby_status device_info(abk_device *device, abk_device_info *out) {
  return Memory::guard([&] {
    Memory::given(device, "device_info: device");
    Memory::given(out, "device_info: out");
    *out = CpuDevice::from(device)->info();
  });
}

aby_status weight_size(abk_device *device, const abk_weight_desc *desc, abk_weight_size *out) {
  return Memory::guard([&] {
    Memory::given(device, "weight_size: device");
    Memory::given(desc, "weight_size: desc");
    Memory::given(out, "weight_size: out");
    *out = CpuWeight::size_of(*desc);
  });
}

aby_status weight_create(abk_device *device, abk_weight **out, const abk_weight_desc *desc) {
  return Memory::guard([&] {
    Memory::given(device, "weight_create: device");
    Memory::given(out, "weight_create: out");
    Memory::given(desc, "weight_create: desc");
    *out = (new CpuWeight(*CpuDevice::from(device), *desc))->handle();
  });
}

void weight_destroy(abk_weight *weight) { delete static_cast<CpuWeight *>(HostWeight::from(weight)); }

aby_status weight_image(abk_weight *weight, const void **out) {
  return Memory::guard([&] {
    Memory::given(weight, "weight_image: weight");
    Memory::given(out, "weight_image: out");
    *out = CpuWeight::of(*HostWeight::from(weight)).image();
  });
}

// Ops run at once, so a stream is its device under another name.
aby_status stream_create(abk_device *device, abk_stream **out) {
  return Memory::guard([&] {
    Memory::given(device, "stream_create: device");
    Memory::given(out, "stream_create: out");
    *out = reinterpret_cast<abk_stream *>(device);
  });
}

void stream_destroy(abk_stream *) {}

// cpu::linear is overloaded: this picks the op.
void linear(CpuDevice &device, const abk_linear_args &args) { cpu::linear(device, args); }

template <auto Op, typename Args> void plain_op(abk_stream *stream, const abk_batch *, const void *args) {
  Op(CpuDevice::of(stream), *static_cast<const Args *>(args));
}
template <auto Op, typename Args> void batch_op(abk_stream *stream, const abk_batch *batch, const void *args) {
  Op(CpuDevice::of(stream), *HostBatch::from(batch), *static_cast<const Args *>(args));
}

// In the order of their numbers. What attention needs besides is the workers' own.
constexpr HostOp kOps[] = {
    {"embed", true, batch_op<cpu::embed, abk_embed_args>, nullptr},
    {"norm_add", false, plain_op<cpu::norm_add, abk_norm_add_args>, nullptr},
    {"linear", false, plain_op<linear, abk_linear_args>, nullptr},
    {"mlp", false, plain_op<cpu::mlp, abk_mlp_args>, cpu::mlp_scratch},
    {"mla_project", true, batch_op<cpu::mla_project, abk_mla_project_args>, cpu::mla_project_scratch},
    {"mla_attend", true, batch_op<cpu::mla_attend, abk_mla_attend_args>, nullptr},
    {"gqa_attend", true, batch_op<cpu::gqa_attend, abk_gqa_attend_args>, nullptr},
    {"moe_route", false, plain_op<cpu::moe_route, abk_moe_route_args>, nullptr},
    {"moe_experts", false, plain_op<cpu::moe_experts, abk_moe_experts_args>, cpu::moe_experts_scratch},
    {"logits", true, batch_op<cpu::logits, abk_logits_args>, cpu::logits_scratch},
};

aby_status supports(abk_device *device, const abk_op_desc *desc, std::uint64_t *scratch_bytes) {
  return Memory::guard([&] {
    Memory::given(device, "supports: device");
    Memory::given(desc, "supports: desc");
    Memory::given(scratch_bytes, "supports: scratch_bytes");
    *scratch_bytes = scratch_of(find_op(kOps, desc->op, "cpu"), *desc);
  });
}

aby_status run(abk_stream *stream, const abk_batch *batch, abk_op op, const void *args) {
  return Memory::guard([&] { run_op(find_op(kOps, op, "cpu"), stream, batch, args); });
}

} // namespace

const abk_backend *cpu_backend() {
  static const abk_backend backend = {
      .version = ABK_VERSION,
      .struct_size = sizeof(abk_backend),
      .name = "cpu",
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
      .weight_image = weight_image,
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
