#include "model/layers/moe.h"

#include "model/layers/mlp.h"
#include "model/pass.h"
#include "model/weight_visitor.h"

#include <algorithm>

namespace abyssal {

namespace {

struct MoeWeights {
  WeightPtr router;      // gate.weight [experts, hidden]
  WeightPtr router_bias; // e_score_correction_bias, noaux_tc only
  MlpWeights experts;    // stacked
  MlpWeights shared;     // null without shared experts
};

abk_rows router_logits(const MoeSpec &spec, Arena &arena, std::int64_t rows) {
  return arena.rows(rows, spec.n_routed_experts, ABY_DTYPE_F32);
}

class Moe final : public FeedForward {
public:
  Moe(const MoeSpec &spec, MoeWeights weights) : spec_(spec), w_(std::move(weights)) {}

  void run(const Pass &pass) const override {
    Arena arena = pass.arena();
    const abk_rows logits = router_logits(spec_, arena, pass.rows);
    linear(pass, Part::kRouter, pass.normed(), w_.router, nullptr, logits);
    route(pass, logits);
    run_experts(pass);
  }

private:
  void route(const Pass &pass, abk_rows logits) const {
    abk_moe_route_args args{};
    args.rows = pass.rows;
    args.experts = spec_.n_routed_experts;
    args.top_k = spec_.num_experts_per_tok;
    args.n_group = spec_.n_group;
    args.topk_group = spec_.topk_group;
    args.scoring = spec_.scoring;
    args.method = spec_.topk_method;
    args.norm_topk_prob = spec_.norm_topk_prob ? 1 : 0;
    args.routed_scaling_factor = spec_.routed_scaling_factor;
    args.logits = logits;
    args.bias = raw(w_.router_bias);
    args.index = pass.workspace.at().route_index.at(0);
    args.weight = pass.workspace.at().route_weight.at(0);
    pass.run(ABK_OP_MOE_ROUTE, Part::kRouter, args);
  }

  void run_experts(const Pass &pass) const {
    abk_moe_experts_args args{};
    args.rows = pass.rows;
    args.top_k = spec_.num_experts_per_tok;
    args.x = pass.normed();
    args.index = pass.workspace.at().route_index.at(0);
    args.weight = pass.workspace.at().route_weight.at(0);
    args.gate = raw(w_.experts.gate);
    args.up = raw(w_.experts.up);
    args.down = raw(w_.experts.down);
    args.shared_gate = raw(w_.shared.gate);
    args.shared_up = raw(w_.shared.up);
    args.shared_down = raw(w_.shared.down);
    args.out = pass.delta();
    args.scratch = pass.scratch();
    pass.run(ABK_OP_MOE_EXPERTS, Part::kExperts, args, [&] { return work(pass.rows); });
  }

  // The experts that are used can be known only to the device: as many as there can be are counted.
  Work work(std::int32_t rows) const {
    Work work = products(rows, {w_.shared.gate, w_.shared.up, w_.shared.down});
    const std::uint64_t pairs =
        static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(spec_.num_experts_per_tok);
    const auto experts = static_cast<std::uint64_t>(spec_.n_routed_experts);
    for (const WeightPtr &weight : {w_.experts.gate, w_.experts.up, w_.experts.down}) {
      work.flops += 2 * pairs * static_cast<std::uint64_t>(weight->n() * weight->k());
      work.bytes += weight->size().bytes / experts * std::min(pairs, experts);
    }
    return work;
  }

  MoeSpec spec_;
  MoeWeights w_;
};

} // namespace

std::uint64_t MoeSpec::arena_bytes(const PassShape &shape) const {
  Arena arena;
  router_logits(*this, arena, shape.rows);
  return arena.used();
}

std::vector<abk_op_desc> MoeSpec::ops(const PassShape &shape) const {
  abk_op_desc desc{};
  desc.rows = shape.rows;
  desc.hidden = shape.hidden;
  desc.inter = moe_intermediate_size;
  desc.shared_inter = n_shared_experts * moe_intermediate_size;
  desc.experts = n_routed_experts;
  desc.top_k = num_experts_per_tok;
  std::vector<abk_op_desc> ops;
  for (const abk_op op : {ABK_OP_LINEAR, ABK_OP_MOE_ROUTE, ABK_OP_MOE_EXPERTS}) {
    desc.op = op;
    ops.push_back(desc);
  }
  return ops;
}

std::unique_ptr<const FeedForward> MoeSpec::load(const WeightScope &scope, std::int32_t hidden) const {
  MoeWeights w;
  w.router = scope.router("gate", n_routed_experts, hidden);
  if (topk_method == ABK_TOPK_NOAUX_TC)
    w.router_bias = scope.vector("gate.e_score_correction_bias", n_routed_experts);
  const auto stacked = [&](const char *suffix, std::int64_t n, std::int64_t k) {
    return scope.stacked("experts", suffix, n_routed_experts, n, k);
  };
  w.experts.gate = stacked("gate_proj.weight", moe_intermediate_size, hidden);
  w.experts.up = stacked("up_proj.weight", moe_intermediate_size, hidden);
  w.experts.down = stacked("down_proj.weight", hidden, moe_intermediate_size);
  if (n_shared_experts > 0)
    w.shared = load_mlp(scope.below("shared_experts."), hidden, std::int64_t{n_shared_experts} * moe_intermediate_size);
  return std::make_unique<const Moe>(*this, std::move(w));
}

} // namespace abyssal
