// The ops of the reference backend. They throw; reference_backend.cpp turns that into a status.
#pragma once

#include "backends/host/host_batch.h"
#include "device/backend.h"

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

} // namespace abyssal::reference
