// Checks of the routing and expert ops' arguments for host backends; see op_checks.h.
#pragma once

#include "backends/host/op_checks.h"

#include <cmath>

namespace abyssal {

struct MoeRouteCall {
  HostRows logits;
  const HostWeight *bias;        // or nullptr
  std::int32_t *index = nullptr; // [rows, top_k]
  float *weight = nullptr;       // [rows, top_k]
};

// Groups are looked at only by the methods that use them.
inline void check_groups(const abk_moe_route_args &args) {
  if (args.method == ABK_TOPK_GREEDY)
    return;
  if (args.n_group < 1 || args.experts % args.n_group != 0)
    fail(ABY_ERROR_INVALID_ARGUMENT, "moe_route: ", args.n_group, " groups of ", args.experts, " experts");
  if (args.topk_group < 1 || args.topk_group > args.n_group)
    fail(ABY_ERROR_INVALID_ARGUMENT, "moe_route: topk_group ", args.topk_group, " of ", args.n_group, " groups");
  const std::int64_t kept = std::int64_t{args.topk_group} * (args.experts / args.n_group);
  if (args.top_k > kept)
    fail(ABY_ERROR_INVALID_ARGUMENT, "moe_route: top_k ", args.top_k, " of the ", kept, " experts in the groups kept");
}

inline MoeRouteCall check_moe_route(const abk_moe_route_args &args) {
  check_row_count(args.rows, "moe_route");
  check_size(args.experts, 1, "moe_route: experts");
  if (args.top_k < 1 || args.top_k > args.experts)
    fail(ABY_ERROR_INVALID_ARGUMENT, "moe_route: top_k ", args.top_k, " of ", args.experts, " experts");
  if (args.scoring != ABK_SCORING_SOFTMAX && args.scoring != ABK_SCORING_SIGMOID)
    fail(ABY_ERROR_INVALID_ARGUMENT, "moe_route: scoring ", args.scoring, " is unknown");
  if (args.method < ABK_TOPK_GREEDY || args.method > ABK_TOPK_NOAUX_TC)
    fail(ABY_ERROR_INVALID_ARGUMENT, "moe_route: method ", args.method, " is unknown");
  if (args.bias != nullptr && args.method != ABK_TOPK_NOAUX_TC)
    fail(ABY_ERROR_INVALID_ARGUMENT, "moe_route: a bias is only for the method noaux_tc");
  if (!std::isfinite(args.routed_scaling_factor))
    fail(ABY_ERROR_INVALID_ARGUMENT, "moe_route: routed_scaling_factor ", args.routed_scaling_factor);
  check_groups(args);
  MoeRouteCall call{};
  call.logits = check_rows_f32(args.logits, args.rows, args.experts, "moe_route: logits");
  call.bias = check_vector(args.bias, args.experts, true, "moe_route: bias");
  if (args.rows > 0) {
    const std::uint64_t bytes = static_cast<std::uint64_t>(args.rows) * static_cast<std::uint64_t>(args.top_k) * 4;
    call.index = reinterpret_cast<std::int32_t *>(check_span(args.index, bytes, 4, "moe_route: index"));
    call.weight = reinterpret_cast<float *>(check_span(args.weight, bytes, 4, "moe_route: weight"));
  }
  return call;
}

struct MoeExpertsCall {
  HostRows x;
  const std::int32_t *index = nullptr; // [rows, top_k], each an expert
  const float *weight = nullptr;       // [rows, top_k]
  SwigluWeights routed;
  SwigluWeights shared; // gate nullptr: none
  HostRows out;
};

inline MoeExpertsCall check_moe_experts(const abk_moe_experts_args &args) {
  check_row_count(args.rows, "moe_experts");
  check_size(args.top_k, 1, "moe_experts: top_k");
  const std::int64_t hidden = check_size(args.x.cols, 1, "moe_experts: hidden");
  if (args.gate == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, "moe_experts: gate: weight is NULL");
  const std::int64_t experts = HostWeight::from(args.gate)->count;
  MoeExpertsCall call{};
  call.x = check_rows(args.x, args.rows, hidden, "moe_experts: x");
  call.routed = check_swiglu(args.gate, args.up, args.down, hidden, experts, "moe_experts: ");
  if (args.shared_gate != nullptr || args.shared_up != nullptr || args.shared_down != nullptr)
    call.shared = check_swiglu(args.shared_gate, args.shared_up, args.shared_down, hidden, 1, "moe_experts: shared_");
  call.out = check_rows(args.out, args.rows, hidden, "moe_experts: out");
  if (args.rows == 0)
    return call;
  const std::uint64_t entries = static_cast<std::uint64_t>(args.rows) * static_cast<std::uint64_t>(args.top_k);
  call.index = reinterpret_cast<const std::int32_t *>(check_span(args.index, entries * 4, 4, "moe_experts: index"));
  call.weight = reinterpret_cast<const float *>(check_span(args.weight, entries * 4, 4, "moe_experts: weight"));
  for (std::uint64_t i = 0; i < entries; ++i) {
    if (call.index[i] < 0 || call.index[i] >= experts)
      fail(ABY_ERROR_INVALID_ARGUMENT, "moe_experts: expert ", call.index[i], " in row ",
           i / static_cast<std::uint64_t>(args.top_k), ", there are ", experts);
  }
  return call;
}

} // namespace abyssal
