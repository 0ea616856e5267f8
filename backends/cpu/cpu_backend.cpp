#include "backends/cpu/cpu_backend.h"

#include "backends/common/host_error.h"
#include "backends/common/host_memory.h"
#include "backends/common/op_checks.h"
#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/device/cpu_weight.h"

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

aby_status scratch_bytes(abk_device *device, const abk_scratch_desc *desc, std::uint64_t *out) {
  return Memory::guard([&] {
    Memory::given(device, "scratch_bytes: device");
    Memory::given(desc, "scratch_bytes: desc");
    Memory::given(out, "scratch_bytes: out");
    switch (desc->op) {
    case ABK_OP_MLP:
      *out = cpu::mlp_scratch(*desc);
      return;
    case ABK_OP_MLA_PROJECT:
      *out = cpu::mla_project_scratch(*desc);
      return;
    case ABK_OP_MOE_EXPERTS:
      *out = cpu::moe_experts_scratch(*desc);
      return;
    case ABK_OP_LOGITS:
      *out = cpu::logits_scratch(*desc);
      return;
    case ABK_OP_MLA_ATTEND: // the workers' own
    case ABK_OP_GQA_ATTEND:
      *out = 0;
      return;
    default:
      fail(ABY_ERROR_INVALID_ARGUMENT, "scratch_bytes: op ", desc->op, " is unknown");
    }
  });
}

// Wraps an op that throws as a function of the contract.
template <auto Op, typename Args> aby_status run_op(abk_stream *stream, const Args *args) {
  return Memory::guard([&] { Op(CpuDevice::of(stream), check_call(stream, args)); });
}

template <auto Op, typename Args>
aby_status run_batch_op(abk_stream *stream, const abk_batch *batch, const Args *args) {
  return Memory::guard([&] {
    check_call(stream, args);
    Op(CpuDevice::of(stream), check_batch(batch, op_name(args)), *args);
  });
}

// linear is overloaded: this picks the op.
void linear_op(CpuDevice &device, const abk_linear_args &args) { cpu::linear(device, args); }

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
      .scratch_bytes = scratch_bytes,
      .embed = run_batch_op<cpu::embed, abk_embed_args>,
      .norm_add = run_op<cpu::norm_add, abk_norm_add_args>,
      .linear = run_op<linear_op, abk_linear_args>,
      .mlp = run_op<cpu::mlp, abk_mlp_args>,
      .mla_project = run_batch_op<cpu::mla_project, abk_mla_project_args>,
      .mla_attend = run_batch_op<cpu::mla_attend, abk_mla_attend_args>,
      .gqa_attend = run_batch_op<cpu::gqa_attend, abk_gqa_attend_args>,
      .moe_route = run_op<cpu::moe_route, abk_moe_route_args>,
      .moe_experts = run_op<cpu::moe_experts, abk_moe_experts_args>,
      .logits = run_batch_op<cpu::logits, abk_logits_args>,
  };
  return &backend;
}

} // namespace abyssal
