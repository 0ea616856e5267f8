// The ops of the reference backend. They throw; reference_backend.cpp turns that into a status.
#pragma once

#include "backends/backend.h"
#include "backends/common/host_batch.h"

namespace abyssal::reference {

void embed(const HostBatch &batch, const abk_embed_args &args);
void norm_add(const abk_norm_add_args &args);
void linear(const abk_linear_args &args);
void mlp(const abk_mlp_args &args);
void mla_project(const HostBatch &batch, const abk_mla_project_args &args);
void mla_attend(const HostBatch &batch, const abk_mla_attend_args &args);
void gqa_attend(const HostBatch &batch, const abk_gqa_attend_args &args);
void moe_route(const abk_moe_route_args &args);
void moe_experts(const abk_moe_experts_args &args);
void logits(const HostBatch &batch, const abk_logits_args &args);

// Device, buffers, weights, streams, copies, batches.
aby_status device_count(std::uint32_t *out);
aby_status device_open(abk_device **out, const abk_device_options *options);
void device_close(abk_device *device);
aby_status device_info(abk_device *device, abk_device_info *out);
aby_status buffer_create(abk_device *device, abk_buffer **out, std::uint64_t bytes);
void buffer_destroy(abk_buffer *buffer);
aby_status weight_size(abk_device *device, const abk_weight_desc *desc, abk_weight_size *out);
aby_status weight_create(abk_device *device, abk_weight **out, const abk_weight_desc *desc);
void weight_destroy(abk_weight *weight);
aby_status stream_create(abk_device *device, abk_stream **out);
void stream_destroy(abk_stream *stream);
aby_status stream_synchronize(abk_stream *stream);
aby_status copy_in(abk_stream *stream, abk_span to, const void *from, std::uint64_t bytes);
aby_status copy_out(abk_stream *stream, void *to, abk_span from, std::uint64_t bytes);
aby_status copy(abk_stream *stream, abk_span to, abk_span from, std::uint64_t bytes);
aby_status batch_create(abk_stream *stream, abk_batch **out, const abk_batch_desc *desc);
void batch_destroy(abk_batch *batch);
aby_status scratch_bytes(abk_device *device, const abk_scratch_desc *desc, std::uint64_t *out);

// Sets the calling thread's error text.
void set_error(const char *text) noexcept;
const char *error_text();

} // namespace abyssal::reference
