#include "api/boundary.h"
#include "api/handles.h"
#include "ops/host_ops.h"

#include <abyssal/ops.h>

#include <optional>

using namespace abyssal;
using namespace abyssal::api;

namespace {

aby_moe_route_args default_route_args() noexcept {
  aby_moe_route_args args{};
  args.n_group = 1;
  args.topk_group = 1;
  args.routed_scaling_factor = 1.0f;
  return args;
}

void check_route(const aby_moe_route_args &args) {
  const auto check = [](bool good, const char *name, std::int64_t value, const char *expected) {
    if (!good)
      fail(ABY_ERROR_INVALID_ARGUMENT, "moe_route: ", name, " is ", value, "; expected ", expected);
  };
  check(args.tokens >= 0, "tokens", args.tokens, "0 or more");
  check(args.experts >= 1, "experts", args.experts, "1 or more");
  check(args.top_k >= 1 && args.top_k <= args.experts, "top_k", args.top_k, "1 to experts");
  check(args.n_group >= 1 && args.experts % args.n_group == 0, "n_group", args.n_group, "a divisor of experts");
  check(args.topk_group >= 1 && args.topk_group <= args.n_group, "topk_group", args.topk_group, "1 to n_group");
  check(args.topk_method == ABY_TOPK_GREEDY || args.top_k <= args.experts / args.n_group * args.topk_group, "top_k",
        args.top_k, "at most the experts of topk_group groups");
  check(args.scoring == ABY_SCORING_SOFTMAX || args.scoring == ABY_SCORING_SIGMOID, "scoring", args.scoring,
        "softmax (0) or sigmoid (1)");
  check(args.topk_method >= ABY_TOPK_GREEDY && args.topk_method <= ABY_TOPK_NOAUX_TC, "topk_method", args.topk_method,
        "0 to 2");
  if (args.tokens > 0) {
    require(args.logits, "logits");
    require(args.index, "index");
    require(args.weight, "weight");
  }
}

} // namespace

extern "C" {

aby_status aby_moe_route_args_init(aby_moe_route_args *out, size_t struct_size) {
  return init_struct(out, struct_size, default_route_args(), "aby_moe_route_args");
}

aby_status aby_moe_route(aby_device *device, const aby_moe_route_args *raw_args) {
  return guard([&] {
    require(device, "device");
    require(raw_args, "args");
    const auto given = read_struct(raw_args, default_route_args(), "aby_moe_route_args");
    check_route(given);
    if (given.tokens == 0)
      return;
    std::optional<Weight> bias;
    if (given.bias != nullptr) {
      const void *data = given.bias;
      abk_weight_desc desc{};
      desc.use = ABK_USE_VECTOR;
      desc.dtype = ABY_DTYPE_F32;
      desc.n = given.experts;
      desc.k = 1;
      desc.count = 1;
      desc.data = &data;
      desc.compute = ABY_DTYPE_F32;
      bias.emplace(device->device, desc);
    }
    HostOp op(device->device);
    const auto rows = static_cast<std::uint64_t>(given.tokens);
    const std::uint64_t chosen = rows * static_cast<std::uint64_t>(given.top_k);
    abk_moe_route_args args{};
    args.rows = given.tokens;
    args.experts = given.experts;
    args.top_k = given.top_k;
    args.n_group = given.n_group;
    args.topk_group = given.topk_group;
    args.scoring = given.scoring;
    args.method = given.topk_method;
    args.norm_topk_prob = given.norm_topk_prob;
    args.routed_scaling_factor = given.routed_scaling_factor;
    args.logits = dense_rows(op.upload(given.logits, rows * static_cast<std::uint64_t>(given.experts) * sizeof(float)),
                             given.experts);
    args.bias = bias ? bias->get() : nullptr;
    args.index = op.upload(nullptr, chosen * sizeof(std::int32_t));
    args.weight = op.upload(nullptr, chosen * sizeof(float));
    op.run(ABK_OP_MOE_ROUTE, nullptr, args);
    op.download(given.index, args.index, chosen * sizeof(std::int32_t));
    op.download(given.weight, args.weight, chosen * sizeof(float));
    op.finish();
  });
}

} // extern "C"
