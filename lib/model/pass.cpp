#include "model/pass.h"

namespace abyssal {

void linear(const Pass &pass, Part part, abk_rows x, const WeightPtr &w, const WeightPtr &bias, abk_rows out) {
  abk_linear_args args{};
  args.rows = pass.rows;
  args.x = x;
  args.w = raw(w);
  args.bias = raw(bias);
  args.out = out;
  pass.run(ABK_OP_LINEAR, part, args, [&] { return products(pass.rows, {w}); });
}

void norm_add(const Pass &pass, bool add, const WeightPtr &weight, abk_rows out) {
  abk_norm_add_args args{};
  args.rows = pass.rows;
  args.residual = pass.residual();
  if (add)
    args.delta = pass.delta();
  args.weight = raw(weight);
  args.epsilon = pass.spec.rms_norm_eps;
  args.out = out;
  pass.run(ABK_OP_NORM_ADD, Part::kNorms, args);
}

void embed(const Pass &pass, const WeightPtr &table) {
  abk_embed_args args{};
  args.table = raw(table);
  args.out = pass.residual();
  pass.run(ABK_OP_EMBED, Part::kEmbedding, args);
}

} // namespace abyssal
