// Routing, experts and MLA on the caller's arrays. The package's Python half has checked shapes against each other.
#include "arrays.h"
#include "bindings.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace py = pybind11;

namespace abyssal::python {

namespace {

std::int32_t size32(py::ssize_t size) {
  if (size > INT32_MAX)
    throw error(ABY_ERROR_INVALID_ARGUMENT, std::to_string(size) + " rows; expected at most 2^31 - 1");
  return static_cast<std::int32_t>(size);
}

py::tuple moe_route(const DeviceHandle &handle, const FloatArray &logits, const std::optional<FloatArray> &bias,
                    std::int32_t top_k, std::int32_t n_group, std::int32_t topk_group, aby_scoring scoring,
                    aby_topk_method topk_method, bool norm_topk_prob, float routed_scaling_factor) {
  const auto on = handle.get();
  auto args = default_moe_route_args();
  args.tokens = size32(logits.shape(0));
  args.experts = size32(logits.shape(1));
  args.top_k = top_k;
  args.n_group = n_group;
  args.topk_group = topk_group;
  args.scoring = scoring;
  args.topk_method = topk_method;
  args.norm_topk_prob = norm_topk_prob ? 1 : 0;
  args.routed_scaling_factor = routed_scaling_factor;
  args.logits = logits.data();
  args.bias = bias ? bias->data() : nullptr;
  const py::ssize_t width = std::clamp(top_k, 0, args.experts); // another top_k is refused before it is written to
  py::array_t<std::int32_t> index({logits.shape(0), width});
  py::array_t<float> weight({logits.shape(0), width});
  args.index = index.mutable_data();
  args.weight = weight.mutable_data();
  {
    const Outside outside;
    abyssal::moe_route(*on, args);
  }
  return py::make_tuple(index, weight);
}

class ExpertsHandle : public Handle<experts> {
public:
  explicit ExpertsHandle(experts made) : Handle(make_state<experts>(std::move(made)), "expert layer") {}
};

using Buffers = std::vector<py::buffer>;

// Pointers to arrays whose buffers stay exported.
class Pointers {
public:
  explicit Pointers(const Buffers &buffers) {
    for (const py::buffer &buffer : buffers) {
      infos_.push_back(buffer.request());
      pointers_.push_back(infos_.back().ptr);
    }
  }
  const void *const *data() const noexcept { return pointers_.empty() ? nullptr : pointers_.data(); }
  const void *at(std::size_t i) const noexcept { return i < pointers_.size() ? pointers_[i] : nullptr; }

private:
  std::vector<py::buffer_info> infos_;
  std::vector<const void *> pointers_;
};

// weights: gates, ups, downs. shared: none, or gate, up, down. scales: none; those of gates, ups and downs; or these
// and those of the shared gate, up and down.
std::unique_ptr<ExpertsHandle> make_experts(const DeviceHandle &handle, const std::array<Buffers, 3> &weights,
                                            const Buffers &shared, const std::vector<Buffers> &scales,
                                            std::int32_t hidden, std::int32_t inter, std::int32_t shared_inter,
                                            aby_dtype dtype, aby_dtype scale_dtype, std::int32_t block_n,
                                            std::int32_t block_k, aby_dtype compute) {
  const auto on = handle.get();
  const Pointers gate(weights[0]), up(weights[1]), down(weights[2]), shared_weights(shared);
  std::array<std::unique_ptr<Pointers>, 6> groups;
  for (std::size_t i = 0; i < groups.size(); ++i)
    groups[i] = std::make_unique<Pointers>(i < scales.size() ? scales[i] : Buffers());
  auto desc = default_experts_desc();
  desc.experts = size32(static_cast<py::ssize_t>(weights[0].size()));
  desc.hidden = hidden;
  desc.inter = inter;
  desc.shared_inter = shared_inter;
  desc.dtype = dtype;
  desc.compute = compute;
  desc.scale_dtype = scale_dtype;
  desc.block_n = block_n;
  desc.block_k = block_k;
  desc.gate = gate.data();
  desc.up = up.data();
  desc.down = down.data();
  desc.gate_scale = groups[0]->data();
  desc.up_scale = groups[1]->data();
  desc.down_scale = groups[2]->data();
  desc.shared_gate = shared_weights.at(0);
  desc.shared_up = shared_weights.at(1);
  desc.shared_down = shared_weights.at(2);
  desc.shared_gate_scale = groups[3]->at(0);
  desc.shared_up_scale = groups[4]->at(0);
  desc.shared_down_scale = groups[5]->at(0);
  const Outside outside;
  return std::make_unique<ExpertsHandle>(experts(*on, desc));
}

py::array_t<float> run_experts(const ExpertsHandle &handle, const FloatArray &x, const IntArray &index,
                               const FloatArray &weight) {
  const auto held = handle.get();
  const std::vector<std::int32_t> chosen = to_vector(index); // checked before use: nobody may change it meanwhile
  py::array_t<float> out({x.shape(0), x.shape(1)});
  auto args = default_moe_experts_args();
  args.tokens = size32(x.shape(0));
  args.top_k = size32(index.shape(1));
  args.x = x.data();
  args.index = chosen.data();
  args.weight = weight.data();
  args.out = out.mutable_data();
  {
    const Outside outside;
    held->run(args);
  }
  return out;
}

class MlaHandle : public Handle<mla> {
public:
  explicit MlaHandle(mla made) : Handle(make_state<mla>(std::move(made)), "MLA layer") {}
};

std::unique_ptr<MlaHandle> make_mla(const DeviceHandle &handle, const py::buffer &kv_b, std::int32_t heads,
                                    std::int32_t kv_lora_rank, std::int32_t qk_nope_head_dim,
                                    std::int32_t qk_rope_head_dim, std::int32_t v_head_dim, aby_dtype dtype,
                                    aby_dtype compute) {
  const auto on = handle.get();
  const py::buffer_info weight = kv_b.request();
  auto desc = default_mla_desc();
  desc.heads = heads;
  desc.kv_lora_rank = kv_lora_rank;
  desc.qk_nope_head_dim = qk_nope_head_dim;
  desc.qk_rope_head_dim = qk_rope_head_dim;
  desc.v_head_dim = v_head_dim;
  desc.dtype = dtype;
  desc.compute = compute;
  desc.kv_b = weight.ptr;
  const Outside outside;
  return std::make_unique<MlaHandle>(mla(*on, desc));
}

py::array_t<float> attend(const MlaHandle &handle, const FloatArray &q, const py::buffer &cache,
                          const IntArray &row_begin, const IntArray &context, const IntArray &block_table,
                          aby_dtype cache_dtype, float scale, std::uint32_t absorb_below, std::int32_t v_head_dim) {
  const auto held = handle.get();
  const py::buffer_info rows = cache.request();
  // Copies of what is checked before use.
  const std::vector<std::int32_t> begins = to_vector(row_begin), contexts = to_vector(context),
                                  blocks = to_vector(block_table);
  py::array_t<float> out({q.shape(0), q.shape(1), py::ssize_t{v_head_dim}});
  auto args = default_mla_attend_args();
  args.sequences = size32(context.shape(0));
  args.row_begin = begins.data();
  args.context = contexts.data();
  args.block_table = blocks.data();
  args.table_stride = size32(block_table.shape(1));
  args.blocks = size32(rows.shape.at(0));
  args.cache_dtype = cache_dtype;
  args.scale = scale;
  args.absorb_below = absorb_below;
  args.cache = rows.ptr;
  args.q = q.data();
  args.out = out.mutable_data();
  {
    const Outside outside;
    held->attend(args);
  }
  return out;
}

} // namespace

void bind_ops(py::module_ &module) {
  module.def("moe_route", &moe_route, py::arg("device"), py::arg("logits"), py::arg("bias"), py::kw_only(),
             py::arg("top_k"), py::arg("n_group"), py::arg("topk_group"), py::arg("scoring"), py::arg("topk_method"),
             py::arg("norm_topk_prob"), py::arg("routed_scaling_factor"), "Chooses experts: (index, weight).");
  py::class_<ExpertsHandle> experts_type(module, "Experts", "Expert weights prepared on a device.");
  experts_type.def(py::init(&make_experts), py::arg("device"), py::arg("weights"), py::arg("shared"), py::arg("scales"),
                   py::kw_only(), py::arg("hidden"), py::arg("inter"), py::arg("shared_inter"), py::arg("dtype"),
                   py::arg("scale_dtype"), py::arg("block_n"), py::arg("block_k"), py::arg("compute"));
  experts_type.def("run", &run_experts, py::arg("x"), py::arg("index"), py::arg("weight"), "Runs the experts.");
  bind_close(experts_type);
  py::class_<MlaHandle> mla_type(module, "Mla", "kv_b_proj of an MLA layer prepared on a device.");
  mla_type.def(py::init(&make_mla), py::arg("device"), py::arg("kv_b"), py::kw_only(), py::arg("heads"),
               py::arg("kv_lora_rank"), py::arg("qk_nope_head_dim"), py::arg("qk_rope_head_dim"), py::arg("v_head_dim"),
               py::arg("dtype"), py::arg("compute"));
  mla_type.def("attend", &attend, py::arg("q"), py::arg("cache"), py::arg("row_begin"), py::arg("context"),
               py::arg("block_table"), py::kw_only(), py::arg("cache_dtype"), py::arg("scale"), py::arg("absorb_below"),
               py::arg("v_head_dim"), "Attention over a paged latent cache.");
  bind_close(mla_type);
}

} // namespace abyssal::python
