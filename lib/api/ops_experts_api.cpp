#include "api/boundary.h"
#include "api/handles.h"
#include "ops/host_ops.h"

#include <abyssal/ops.h>

using namespace abyssal;
using namespace abyssal::api;

struct aby_experts {
  DevicePtr device;
  std::int32_t experts, hidden, inter, shared_inter;
  WeightPtr gate, up, down, shared_gate, shared_up, shared_down;
};

namespace {

aby_experts_desc default_experts_desc() noexcept {
  aby_experts_desc desc{};
  desc.compute = ABY_DTYPE_F32;
  desc.scale_dtype = ABY_DTYPE_F32;
  desc.block_n = 128;
  desc.block_k = 128;
  return desc;
}

void check_desc(const aby_experts_desc &desc) {
  const auto check = [](bool good, const char *name, std::int64_t value, const char *expected) {
    if (!good)
      fail(ABY_ERROR_INVALID_ARGUMENT, "experts: ", name, " is ", value, "; expected ", expected);
  };
  check(desc.experts >= 1, "experts", desc.experts, "1 or more");
  check(desc.hidden >= 1, "hidden", desc.hidden, "1 or more");
  check(desc.inter >= 1, "inter", desc.inter, "1 or more");
  check(desc.shared_inter >= 0, "shared_inter", desc.shared_inter, "0 or more");
  check(is_weight_dtype(desc.dtype), "dtype", desc.dtype, "f32, f16, bf16, f8_e4m3 or a block format");
  check(desc.compute == ABY_DTYPE_F32 || desc.compute == ABY_DTYPE_BF16, "compute", desc.compute, "f32 or bf16");
  if (desc.dtype == ABY_DTYPE_F8_E4M3) {
    check(desc.scale_dtype == ABY_DTYPE_F32 || desc.scale_dtype == ABY_DTYPE_F8_E8M0, "scale_dtype", desc.scale_dtype,
          "f32 or f8_e8m0");
    check(desc.block_n >= 1, "block_n", desc.block_n, "1 or more");
    check(desc.block_k >= 1, "block_k", desc.block_k, "1 or more");
  }
}

// Prepares `count` matrices [n, k] of a desc.
WeightPtr prepare(const DevicePtr &device, const aby_experts_desc &given, const char *name, const void *const *data,
                  const void *const *scales, std::int64_t count, std::int64_t n, std::int64_t k) {
  const bool scaled = given.dtype == ABY_DTYPE_F8_E4M3;
  require(data, name);
  if (scaled)
    require(scales, (std::string(name) + "_scale").c_str());
  for (std::int64_t i = 0; i < count; ++i) {
    require(static_cast<const char *>(data[i]), name);
    if (scaled)
      require(static_cast<const char *>(scales[i]), (std::string(name) + "_scale").c_str());
  }
  abk_weight_desc desc{};
  desc.use = ABK_USE_MATRIX;
  desc.dtype = given.dtype;
  desc.n = n;
  desc.k = k;
  desc.count = count;
  desc.data = data;
  desc.compute = given.compute;
  if (scaled) {
    desc.scales = scales;
    desc.scale_dtype = given.scale_dtype;
    desc.block_n = given.block_n;
    desc.block_k = given.block_k;
  }
  return std::make_shared<const Weight>(device, desc);
}

void check_index(const aby_experts &experts, const aby_moe_experts_args &args) {
  for (std::int64_t i = 0; i < std::int64_t{args.tokens} * args.top_k; ++i) {
    if (args.index[i] < 0 || args.index[i] >= experts.experts)
      fail(ABY_ERROR_INVALID_ARGUMENT, "moe_experts: index[", i / args.top_k, ", ", i % args.top_k, "] is ",
           args.index[i], "; there are ", experts.experts, " experts");
    for (std::int64_t j = i - i % args.top_k; j < i; ++j) {
      if (args.index[j] == args.index[i])
        fail(ABY_ERROR_INVALID_ARGUMENT, "moe_experts: row ", i / args.top_k, " names expert ", args.index[i],
             " twice");
    }
  }
}

} // namespace

extern "C" {

aby_status aby_experts_desc_init(aby_experts_desc *out, size_t struct_size) {
  return init_struct(out, struct_size, default_experts_desc(), "aby_experts_desc");
}

aby_status aby_experts_create(aby_experts **out, aby_device *device, const aby_experts_desc *raw_desc) {
  return guard([&] {
    require(out, "out");
    require(device, "device");
    require(raw_desc, "desc");
    const auto desc = read_struct(raw_desc, default_experts_desc(), "aby_experts_desc");
    check_desc(desc);
    auto handle = std::make_unique<aby_experts>();
    const DevicePtr &on = handle->device = device->device;
    handle->experts = desc.experts;
    handle->hidden = desc.hidden;
    handle->inter = desc.inter;
    handle->shared_inter = desc.shared_inter;
    handle->gate = prepare(on, desc, "gate", desc.gate, desc.gate_scale, desc.experts, desc.inter, desc.hidden);
    handle->up = prepare(on, desc, "up", desc.up, desc.up_scale, desc.experts, desc.inter, desc.hidden);
    handle->down = prepare(on, desc, "down", desc.down, desc.down_scale, desc.experts, desc.hidden, desc.inter);
    if (desc.shared_inter > 0) {
      handle->shared_gate = prepare(on, desc, "shared_gate", &desc.shared_gate, &desc.shared_gate_scale, 1,
                                    desc.shared_inter, desc.hidden);
      handle->shared_up =
          prepare(on, desc, "shared_up", &desc.shared_up, &desc.shared_up_scale, 1, desc.shared_inter, desc.hidden);
      handle->shared_down = prepare(on, desc, "shared_down", &desc.shared_down, &desc.shared_down_scale, 1, desc.hidden,
                                    desc.shared_inter);
    }
    *out = handle.release();
  });
}

void aby_experts_destroy(aby_experts *experts) { delete experts; }

aby_status aby_moe_experts_args_init(aby_moe_experts_args *out, size_t struct_size) {
  return init_struct(out, struct_size, aby_moe_experts_args{}, "aby_moe_experts_args");
}

aby_status aby_moe_experts(const aby_experts *experts, const aby_moe_experts_args *raw_args) {
  return guard([&] {
    require(experts, "experts");
    require(raw_args, "args");
    const auto given = read_struct(raw_args, aby_moe_experts_args{}, "aby_moe_experts_args");
    if (given.tokens < 0 || given.top_k < 1 || given.top_k > experts->experts)
      fail(ABY_ERROR_INVALID_ARGUMENT, "moe_experts: tokens is ", given.tokens, " and top_k ", given.top_k,
           "; expected 0 or more, and 1 to ", experts->experts);
    if (given.tokens == 0)
      return;
    require(given.x, "x");
    require(given.index, "index");
    require(given.weight, "weight");
    require(given.out, "out");
    check_index(*experts, given);

    HostOp op(experts->device);
    const auto rows = static_cast<std::uint64_t>(given.tokens);
    const std::uint64_t row_bytes = rows * static_cast<std::uint64_t>(experts->hidden) * sizeof(float);
    const std::uint64_t chosen = rows * static_cast<std::uint64_t>(given.top_k);
    abk_op_desc scratch{};
    scratch.op = ABK_OP_MOE_EXPERTS;
    scratch.rows = given.tokens;
    scratch.hidden = experts->hidden;
    scratch.inter = experts->inter;
    scratch.shared_inter = experts->shared_inter;
    scratch.experts = experts->experts;
    scratch.top_k = given.top_k;
    abk_moe_experts_args args{};
    args.rows = given.tokens;
    args.top_k = given.top_k;
    args.x = dense_rows(op.upload(given.x, row_bytes), experts->hidden);
    args.index = op.upload(given.index, chosen * sizeof(std::int32_t));
    args.weight = op.upload(given.weight, chosen * sizeof(float));
    args.gate = raw(experts->gate);
    args.up = raw(experts->up);
    args.down = raw(experts->down);
    args.shared_gate = raw(experts->shared_gate);
    args.shared_up = raw(experts->shared_up);
    args.shared_down = raw(experts->shared_down);
    args.out = dense_rows(op.upload(nullptr, row_bytes), experts->hidden);
    args.scratch = op.scratch(scratch);
    op.run(ABK_OP_MOE_EXPERTS, nullptr, args);
    op.download(given.out, args.out.span, row_bytes);
    op.finish();
  });
}

} // extern "C"
