#include "model/workspace.h"

#include "base/dtype.h"

#include <algorithm>
#include <array>
#include <bit>

namespace abyssal {

// Bytes of each member of Buffers, in its order.
struct Workspace::Sizes {
  static constexpr std::size_t kCount = 11;
  std::array<std::uint64_t, kCount> bytes;
  static std::array<Buffer Buffers::*, kCount> members() {
    return {&Buffers::residual,    &Buffers::normed,       &Buffers::delta,  &Buffers::final,
            &Buffers::route_index, &Buffers::route_weight, &Buffers::logits, &Buffers::mtp_pair,
            &Buffers::mtp_hidden,  &Buffers::arena,        &Buffers::scratch};
  }
};

namespace {

// Layers that share both parts need the same memory: one of each is enough to ask.
std::vector<LayerSpec> kinds_of(const std::vector<LayerSpec> &layers) {
  std::vector<LayerSpec> kinds;
  for (const LayerSpec &layer : layers) {
    const bool known = std::any_of(kinds.begin(), kinds.end(), [&](const LayerSpec &kind) {
      return kind.attention == layer.attention && kind.feed_forward == layer.feed_forward;
    });
    if (!known)
      kinds.push_back(layer);
  }
  return kinds;
}

} // namespace

Workspace::Workspace(DevicePtr device, const ModelSpec &spec, aby_dtype activations, std::uint32_t absorb_below,
                     bool mtp)
    : device_(std::move(device)), spec_(spec), activations_(activations), absorb_below_(absorb_below), mtp_(mtp),
      layers_(kinds_of(spec.all_layers(mtp))) {}

PassShape Workspace::shape_of(const WorkspaceSize &size) const noexcept {
  return {.hidden = spec_.hidden_size,
          .rows = size.rows,
          .context = size.context,
          .activations = activations_,
          .absorb_below = absorb_below_};
}

std::uint64_t Workspace::arena_bytes(const WorkspaceSize &size) const {
  const PassShape shape = shape_of(size);
  std::uint64_t most = 0;
  for (const LayerSpec &layer : layers_)
    most = std::max({most, layer.attention->arena_bytes(shape), layer.feed_forward->arena_bytes(shape)});
  return most;
}

std::uint64_t Workspace::scratch_bytes(const WorkspaceSize &size) const {
  const PassShape shape = shape_of(size);
  std::uint64_t most = 0;
  const auto ask = [&](const abk_op_desc &desc) {
    std::uint64_t bytes = 0;
    device_->check(device_->api().supports(device_->handle(), &desc, &bytes), "supports");
    most = std::max(most, bytes);
  };
  for (const LayerSpec &layer : layers_) {
    for (const abk_op_desc &desc : layer.attention->ops(shape))
      ask(desc);
    for (const abk_op_desc &desc : layer.feed_forward->ops(shape))
      ask(desc);
  }
  abk_op_desc desc{};
  desc.hidden = spec_.hidden_size;
  desc.vocab = spec_.vocab_size;
  desc.rows = size.rows;
  for (const abk_op op : {ABK_OP_EMBED, ABK_OP_NORM_ADD}) {
    desc.op = op;
    ask(desc);
  }
  desc.op = ABK_OP_LOGITS;
  desc.rows = size.logits_rows;
  ask(desc);
  return most;
}

Workspace::Sizes Workspace::sizes_for(const WorkspaceSize &size) const {
  const auto rows = static_cast<std::uint64_t>(size.rows);
  const auto hidden = static_cast<std::uint64_t>(spec_.hidden_size);
  std::int32_t most_routes = 0;
  for (const LayerSpec &layer : layers_)
    most_routes = std::max(most_routes, layer.feed_forward->routed().top_k);
  const auto top_k = static_cast<std::uint64_t>(most_routes);
  const std::uint64_t act = dtype_size(activations_);
  const std::uint64_t mtp = mtp_ ? 1 : 0;
  Sizes sizes{};
  sizes.bytes = {rows * hidden * 4,
                 rows * hidden * act,
                 rows * hidden * 4,
                 rows * hidden * 4,
                 rows * top_k * 4,
                 rows * top_k * 4,
                 static_cast<std::uint64_t>(size.logits_rows) * static_cast<std::uint64_t>(spec_.vocab_size) * 4,
                 mtp * rows * 2 * hidden * act,
                 mtp * rows * hidden * 4,
                 arena_bytes(size),
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
