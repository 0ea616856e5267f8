#include "backends/reference/reference_backend.h"

#include "backends/common/op_checks.h"
#include "backends/reference/reference_ops.h"

namespace abyssal {

namespace {

// Wraps an op that throws as a function of the contract.
template <auto Op, typename Args> aby_status run_op(abk_stream *stream, const Args *args) {
  return guarded([&] { Op(check_call(stream, args)); }, reference::set_error);
}

template <auto Op, typename Args>
aby_status run_batch_op(abk_stream *stream, const abk_batch *batch, const Args *args) {
  return guarded(
      [&] {
        check_call(stream, args);
        Op(check_batch(batch, op_name(args)), *args);
      },
      reference::set_error);
}

} // namespace

const abk_backend *reference_backend() {
  static const abk_backend backend = {
      .version = ABK_VERSION,
      .struct_size = sizeof(abk_backend),
      .name = "reference",
      .error_text = reference::error_text,
      .device_count = reference::device_count,
      .device_open = reference::device_open,
      .device_close = reference::device_close,
      .device_info = reference::device_info,
      .buffer_create = reference::buffer_create,
      .buffer_destroy = reference::buffer_destroy,
      .weight_size = reference::weight_size,
      .weight_create = reference::weight_create,
      .weight_destroy = reference::weight_destroy,
      .weight_image = nullptr,
      .stream_create = reference::stream_create,
      .stream_destroy = reference::stream_destroy,
      .stream_synchronize = reference::stream_synchronize,
      .copy_in = reference::copy_in,
      .copy_out = reference::copy_out,
      .copy = reference::copy,
      .batch_create = reference::batch_create,
      .batch_destroy = reference::batch_destroy,
      .scratch_bytes = reference::scratch_bytes,
      .embed = run_batch_op<reference::embed, abk_embed_args>,
      .norm_add = run_op<reference::norm_add, abk_norm_add_args>,
      .linear = run_op<reference::linear, abk_linear_args>,
      .mlp = run_op<reference::mlp, abk_mlp_args>,
      .mla_project = run_batch_op<reference::mla_project, abk_mla_project_args>,
      .mla_attend = run_batch_op<reference::mla_attend, abk_mla_attend_args>,
      .gqa_attend = run_batch_op<reference::gqa_attend, abk_gqa_attend_args>,
      .moe_route = run_op<reference::moe_route, abk_moe_route_args>,
      .moe_experts = run_op<reference::moe_experts, abk_moe_experts_args>,
      .logits = run_batch_op<reference::logits, abk_logits_args>,
  };
  return &backend;
}

} // namespace abyssal
