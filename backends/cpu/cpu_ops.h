// The ops of the CPU backend. They throw; cpu_backend.cpp turns that into a status.
#pragma once

#include "backends/cpu/device/cpu_device.h"
#include "backends/host/host_batch.h"

namespace abyssal::cpu {

void embed(CpuDevice &device, const HostBatch &batch, const abk_embed_args &args);
void norm_add(CpuDevice &device, const abk_norm_add_args &args);
void linear(CpuDevice &device, const abk_linear_args &args);
void mlp(CpuDevice &device, const abk_mlp_args &args);
void mla_project(CpuDevice &device, const HostBatch &batch, const abk_mla_project_args &args);
void mla_attend(CpuDevice &device, const HostBatch &batch, const abk_mla_attend_args &args);
void gqa_attend(CpuDevice &device, const HostBatch &batch, const abk_gqa_attend_args &args);
void moe_route(CpuDevice &device, const abk_moe_route_args &args);
void moe_experts(CpuDevice &device, const abk_moe_experts_args &args);
void logits(CpuDevice &device, const HostBatch &batch, const abk_logits_args &args);

// Bytes of scratch that an op needs.
std::uint64_t mlp_scratch(const abk_op_desc &desc);
std::uint64_t mla_project_scratch(const abk_op_desc &desc);
std::uint64_t moe_experts_scratch(const abk_op_desc &desc);
std::uint64_t logits_scratch(const abk_op_desc &desc);

// Carves aligned arrays out of one piece of memory, such as an op's scratch span. Used twice: without memory, to
// measure.
class Carve {
public:
  explicit Carve(std::byte *memory = nullptr) : memory_(memory) {}
  template <typename Element> Element *take(std::int64_t count) {
    Element *at = memory_ != nullptr ? reinterpret_cast<Element *>(memory_ + used_) : nullptr;
    used_ += (static_cast<std::uint64_t>(count) * sizeof(Element) + 63) / 64 * 64;
    return at;
  }
  std::uint64_t used() const noexcept { return used_; }

private:
  std::byte *memory_;
  std::uint64_t used_ = 0;
};

} // namespace abyssal::cpu
