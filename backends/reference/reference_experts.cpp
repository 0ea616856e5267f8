// moe_experts
#include "backends/host/moe_checks.h"
#include "backends/reference/reference_math.h"
#include "backends/reference/reference_ops.h"

#include <algorithm>

namespace abyssal::reference {

namespace {

// The places (row * top_k + i) that chose each expert.
std::vector<std::vector<std::int64_t>> places_by_expert(const MoeExpertsCall &call, std::int64_t entries) {
  std::vector<std::vector<std::int64_t>> places(static_cast<std::size_t>(call.routed.gate->count));
  for (std::int64_t i = 0; i < entries; ++i)
    places[static_cast<std::size_t>(call.index[i])].push_back(i);
  return places;
}

} // namespace

void moe_experts(const abk_moe_experts_args &args) {
  const MoeExpertsCall call = check_moe_experts(args);
  const Matrix x = load_rows(call.x);
  const std::int64_t entries = std::int64_t{args.rows} * args.top_k;
  // Expert by expert, so that each weight is widened once; kept apart, so that rows sum up in the order of index.
  Matrix parts(entries, x.cols);
  const auto places = places_by_expert(call, entries);
  for (std::size_t e = 0; e < places.size(); ++e) {
    Matrix chosen(static_cast<std::int64_t>(places[e].size()), x.cols);
    for (std::int64_t i = 0; i < chosen.rows; ++i)
      std::copy_n(x.row(places[e][static_cast<std::size_t>(i)] / args.top_k), x.cols, chosen.row(i));
    const Matrix made =
        swiglu(chosen, *call.routed.gate, *call.routed.up, *call.routed.down, static_cast<std::int64_t>(e));
    for (std::int64_t i = 0; i < made.rows; ++i)
      std::copy_n(made.row(i), x.cols, parts.row(places[e][static_cast<std::size_t>(i)]));
  }
  Matrix out(x.rows, x.cols);
  for (std::int64_t i = 0; i < entries; ++i) {
    for (std::int64_t c = 0; c < x.cols; ++c)
      out.row(i / args.top_k)[c] += static_cast<double>(call.weight[i]) * parts.row(i)[c];
  }
  if (call.shared.gate != nullptr) {
    const Matrix shared = swiglu(x, *call.shared.gate, *call.shared.up, *call.shared.down);
    for (std::size_t i = 0; i < out.values.size(); ++i)
      out.values[i] += shared.values[i];
  }
  store_rows(call.out, out);
}

} // namespace abyssal::reference
