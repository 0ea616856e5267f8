#include "model/layers/mlp.h"

#include "model/pass.h"
#include "model/weight_visitor.h"

namespace abyssal {

namespace {

class Mlp final : public FeedForward {
public:
  explicit Mlp(MlpWeights weights) : w_(std::move(weights)) {}

  void run(const Pass &pass) const override {
    abk_mlp_args args{};
    args.rows = pass.rows;
    args.x = pass.normed();
    args.gate = raw(w_.gate);
    args.up = raw(w_.up);
    args.down = raw(w_.down);
    args.out = pass.delta();
    args.scratch = pass.scratch();
    pass.run(ABK_OP_MLP, Part::kMlp, args, [&] { return products(pass.rows, {w_.gate, w_.up, w_.down}); });
  }

private:
  MlpWeights w_;
};

} // namespace

MlpWeights load_mlp(const WeightScope &scope, std::int64_t hidden, std::int64_t inter) {
  return {scope.matrix("gate_proj", inter, hidden), scope.matrix("up_proj", inter, hidden),
          scope.matrix("down_proj", hidden, inter)};
}

std::vector<abk_op_desc> MlpSpec::ops(const PassShape &shape) const {
  abk_op_desc desc{};
  desc.op = ABK_OP_MLP;
  desc.rows = shape.rows;
  desc.hidden = shape.hidden;
  desc.inter = intermediate_size;
  return {desc};
}

std::unique_ptr<const FeedForward> MlpSpec::load(const WeightScope &scope, std::int32_t hidden) const {
  return std::make_unique<const Mlp>(load_mlp(scope, hidden, intermediate_size));
}

} // namespace abyssal
