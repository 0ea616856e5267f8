// embed, norm_add, linear, mlp, logits
#include "backends/host/op_checks.h"
#include "backends/reference/reference_math.h"
#include "backends/reference/reference_ops.h"

namespace abyssal::reference {

void embed(const HostBatch &batch, const abk_embed_args &args) {
  const EmbedCall call = check_embed(batch, args);
  const ReferenceWeight &table = ReferenceWeight::of(call.table);
  std::vector<double> row(static_cast<std::size_t>(table.k));
  for (std::int64_t r = 0; r < call.out.rows; ++r) {
    table.widen_row(0, call.ids[r], row.data());
    store(call.out.row(r), call.out.dtype, table.k, row.data());
  }
}

void norm_add(const abk_norm_add_args &args) {
  const NormAddCall call = check_norm_add(args);
  const std::vector<double> weight = optional_vector(call.weight);
  const std::int64_t hidden = call.residual.cols;
  std::vector<double> row(static_cast<std::size_t>(hidden));
  std::vector<double> delta(static_cast<std::size_t>(hidden));
  for (std::int64_t r = 0; r < call.residual.rows; ++r) {
    load(call.residual.row(r), ABY_DTYPE_F32, hidden, row.data());
    if (call.delta.data != nullptr) {
      load(call.delta.row(r), call.delta.dtype, hidden, delta.data());
      for (std::size_t i = 0; i < row.size(); ++i)
        row[i] = static_cast<float>(row[i] + delta[i]); // the stored sum is what is normed
      store(call.residual.row(r), ABY_DTYPE_F32, hidden, row.data());
    }
    if (call.out.data != nullptr) {
      rms_norm(row, weight, args.epsilon);
      store(call.out.row(r), call.out.dtype, hidden, row.data());
    }
  }
}

void linear(const abk_linear_args &args) {
  const LinearCall call = check_linear(args);
  store_rows(call.out, product(load_rows(call.x), call.w, 0, call.bias));
}

void mlp(const abk_mlp_args &args) {
  const MlpCall call = check_mlp(args);
  store_rows(call.out, swiglu(load_rows(call.x), *call.w.gate, *call.w.up, *call.w.down));
}

void logits(const HostBatch &batch, const abk_logits_args &args) {
  const LogitsCall call = check_logits(batch, args);
  const std::vector<double> norm = optional_vector(call.norm);
  Matrix x(args.rows, call.x.cols);
  for (std::int64_t i = 0; i < args.rows; ++i) {
    load(call.x.row(args.row_ids[i]), call.x.dtype, x.cols, x.row(i));
    if (call.norm != nullptr)
      rms_norm({x.row(i), static_cast<std::size_t>(x.cols)}, norm, args.epsilon);
  }
  store_rows(call.out, product(std::move(x), call.head));
}

} // namespace abyssal::reference
