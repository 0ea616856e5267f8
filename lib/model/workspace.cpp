#include "model/workspace.h"

#include "base/dtype.h"

#include <algorithm>
#include <array>
#include <bit>

namespace abyssal {

// Bytes of each member of Buffers, in its order.
struct Workspace::Sizes {
  static constexpr std::size_t kCount = 15;
  std::array<std::uint64_t, kCount> bytes;
  static std::array<Buffer Buffers::*, kCount> members() {
    return {&Buffers::residual, &Buffers::normed, &Buffers::delta,    &Buffers::final,      &Buffers::q,
            &Buffers::k,        &Buffers::v,      &Buffers::attended, &Buffers::router,     &Buffers::index,
            &Buffers::weight,   &Buffers::logits, &Buffers::mtp_pair, &Buffers::mtp_hidden, &Buffers::scratch};
  }
};

Workspace::Workspace(DevicePtr device, const ModelConfig &config, aby_dtype activations, std::uint32_t absorb_below,
                     bool mtp)
    : device_(std::move(device)), config_(config), activations_(activations), absorb_below_(absorb_below), mtp_(mtp) {}

std::uint64_t Workspace::scratch_bytes(const WorkspaceSize &size) const {
  const ModelConfig &c = config_;
  abk_scratch_desc desc{};
  desc.context = size.context;
  desc.hidden = c.hidden_size;
  desc.experts = c.n_routed_experts;
  desc.top_k = c.num_experts_per_tok;
  desc.shared_inter = c.n_shared_experts * c.moe_intermediate_size;
  desc.vocab = c.vocab_size;
  desc.heads = c.num_attention_heads;
  desc.kv_heads = c.num_key_value_heads;
  desc.head_dim = c.head_dim;
  desc.q_lora = c.q_lora_rank;
  desc.kv_lora = c.kv_lora_rank;
  desc.qk_nope = c.qk_nope_head_dim;
  desc.rope_dim = c.qk_rope_head_dim;
  desc.v_dim = c.v_head_dim;
  desc.absorb_below = absorb_below_;

  std::uint64_t most = 0;
  const auto take = [&](abk_op op, std::int32_t rows, std::int32_t inter) {
    desc.op = op;
    desc.rows = rows;
    desc.inter = inter;
    std::uint64_t bytes = 0;
    device_->check(device_->api().scratch_bytes(device_->handle(), &desc, &bytes), "scratch_bytes");
    most = std::max(most, bytes);
  };
  take(ABK_OP_MLP, size.rows, c.intermediate_size);
  if (c.attention == Attention::kMla) {
    take(ABK_OP_MLA_PROJECT, size.rows, 0);
    take(ABK_OP_MLA_ATTEND, size.rows, 0);
  } else {
    take(ABK_OP_GQA_ATTEND, size.rows, 0);
  }
  if (c.n_routed_experts > 0)
    take(ABK_OP_MOE_EXPERTS, size.rows, c.moe_intermediate_size);
  take(ABK_OP_LOGITS, size.logits_rows, 0);
  return most;
}

Workspace::Sizes Workspace::sizes_for(const WorkspaceSize &size) const {
  const ModelConfig &c = config_;
  const bool mla = c.attention == Attention::kMla;
  const auto rows = static_cast<std::uint64_t>(size.rows);
  const auto hidden = static_cast<std::uint64_t>(c.hidden_size);
  const auto heads = static_cast<std::uint64_t>(c.num_attention_heads);
  const auto q_dim = static_cast<std::uint64_t>(mla ? c.qk_nope_head_dim + c.qk_rope_head_dim : c.head_dim);
  const auto v_dim = static_cast<std::uint64_t>(mla ? c.v_head_dim : c.head_dim);
  const auto kv = mla ? 0 : static_cast<std::uint64_t>(c.num_key_value_heads) * static_cast<std::uint64_t>(c.head_dim);
  const auto experts = static_cast<std::uint64_t>(c.n_routed_experts);
  const auto top_k = static_cast<std::uint64_t>(c.num_experts_per_tok);
  const std::uint64_t act = dtype_size(activations_);
  const std::uint64_t mtp = mtp_ ? 1 : 0;
  Sizes sizes{};
  sizes.bytes = {rows * hidden * 4,
                 rows * hidden * act,
                 rows * hidden * 4,
                 rows * hidden * 4,
                 rows * heads * q_dim * act,
                 rows * kv * act,
                 rows * kv * act,
                 rows * heads * v_dim * act,
                 rows * experts * 4,
                 rows * top_k * 4,
                 rows * top_k * 4,
                 static_cast<std::uint64_t>(size.logits_rows) * static_cast<std::uint64_t>(c.vocab_size) * 4,
                 mtp * rows * 2 * hidden * act,
                 mtp * rows * hidden * 4,
                 scratch_bytes(size)};
  return sizes;
}

std::uint64_t Workspace::bytes_for(const WorkspaceSize &size) const {
  std::uint64_t total = 0;
  for (const std::uint64_t bytes : sizes_for(size).bytes)
    total += bytes;
  return total;
}

void Workspace::reserve(const WorkspaceSize &size) {
  if (size.rows <= size_.rows && size.context <= size_.context && size.logits_rows <= size_.logits_rows)
    return;
  // Powers of two, so that a growing context reallocates seldom.
  const auto round_up = [](std::int32_t value) {
    return static_cast<std::int32_t>(std::bit_ceil(static_cast<std::uint32_t>(std::max(value, 1))));
  };
  WorkspaceSize grown;
  grown.rows = std::max(size.rows > size_.rows ? round_up(size.rows) : 0, size_.rows);
  grown.context = std::max(size.context > size_.context ? round_up(size.context) : 0, size_.context);
  grown.logits_rows =
      std::max(size.logits_rows > size_.logits_rows ? round_up(size.logits_rows) : 0, size_.logits_rows);
  const Sizes sizes = sizes_for(grown);
  const auto members = Sizes::members();
  Buffers next;
  for (std::size_t i = 0; i < Sizes::kCount; ++i) {
    if (sizes.bytes[i] > (buffers_.*members[i]).bytes())
      next.*members[i] = Buffer(device_, sizes.bytes[i]);
  }
  for (std::size_t i = 0; i < Sizes::kCount; ++i) {
    if ((next.*members[i]).bytes() > 0)
      buffers_.*members[i] = std::move(next.*members[i]);
  }
  size_ = grown;
}

abk_rows Workspace::rows(const Buffer &buffer, aby_dtype dtype, std::int64_t cols) {
  return {buffer.at(0), dtype, static_cast<std::int32_t>(cols), cols};
}

} // namespace abyssal
