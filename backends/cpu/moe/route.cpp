// moe_route
#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/device/cpu_weight.h"
#include "backends/host/moe_checks.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace abyssal::cpu {

namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr std::int64_t kRowsPerTask = 16;

// NaN comes after everything else.
float comparable(float value) { return std::isnan(value) ? kNever : value; }

// One row's working memory.
struct Row {
  std::vector<float> score, choice, group;
  std::vector<std::int32_t> order, kept;
};

// Moves the `count` best of order to its front: the larger value first, the lower index among equals.
void take_best(std::vector<std::int32_t> &order, const std::vector<float> &value, std::int64_t count) {
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](std::int32_t a, std::int32_t b) {
    const float x = value[static_cast<std::size_t>(a)], y = value[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  });
  order.resize(static_cast<std::size_t>(count));
}

// scores from logits, in double where sums are formed.
void score(const abk_moe_route_args &args, const float *logits, Row &row) {
  const auto n = static_cast<std::size_t>(args.experts);
  if (args.scoring == ABK_SCORING_SIGMOID) {
    for (std::size_t e = 0; e < n; ++e)
      row.score[e] = static_cast<float>(1.0 / (1.0 + std::exp(-double{logits[e]})));
    return;
  }
  const float top = *std::max_element(logits, logits + n);
  double total = 0;
  for (std::size_t e = 0; e < n; ++e)
    total += std::exp(double{logits[e]} - top);
  for (std::size_t e = 0; e < n; ++e)
    row.score[e] = static_cast<float>(std::exp(double{logits[e]} - top) / total);
}

// The groups that are kept, by the best or the sum of the two best of their choices.
void keep_groups(const abk_moe_route_args &args, Row &row) {
  const std::int32_t size = args.experts / args.n_group;
  const bool two = args.method == ABK_TOPK_NOAUX_TC && size > 1;
  row.kept.resize(static_cast<std::size_t>(args.n_group));
  std::iota(row.kept.begin(), row.kept.end(), 0);
  for (std::int32_t g = 0; g < args.n_group; ++g) {
    float first = kNever, second = kNever;
    for (std::int32_t e = g * size; e < (g + 1) * size; ++e) {
      const float value = row.choice[static_cast<std::size_t>(e)];
      if (value > first) {
        second = first;
        first = value;
      } else if (value > second) {
        second = value;
      }
    }
    row.group[static_cast<std::size_t>(g)] = two ? first + second : first;
  }
  take_best(row.kept, row.group, args.topk_group);
}

void route_row(const abk_moe_route_args &args, const float *bias, const float *logits, Row &row, std::int32_t *index,
               float *weight) {
  score(args, logits, row);
  for (std::int32_t e = 0; e < args.experts; ++e) {
    const auto at = static_cast<std::size_t>(e);
    // Without a bias the logit itself decides: two experts whose scores both vanish are then still told apart.
    row.choice[at] =
        comparable(args.method == ABK_TOPK_NOAUX_TC ? row.score[at] + (bias != nullptr ? bias[e] : 0.0f) : logits[e]);
  }
  row.order.clear();
  if (args.method == ABK_TOPK_GREEDY) {
    row.order.resize(static_cast<std::size_t>(args.experts));
    std::iota(row.order.begin(), row.order.end(), 0);
  } else {
    keep_groups(args, row);
    const std::int32_t size = args.experts / args.n_group;
    std::sort(row.kept.begin(), row.kept.end());
    for (const std::int32_t g : row.kept) {
      for (std::int32_t e = g * size; e < (g + 1) * size; ++e)
        row.order.push_back(e);
    }
  }
  take_best(row.order, row.choice, args.top_k);
  std::sort(row.order.begin(), row.order.end());
  double sum = 0;
  for (const std::int32_t e : row.order)
    sum += row.score[static_cast<std::size_t>(e)];
  const double factor = args.routed_scaling_factor / (args.norm_topk_prob != 0 ? sum + 1e-20 : 1.0);
  for (std::size_t i = 0; i < row.order.size(); ++i) {
    index[i] = row.order[i];
    weight[i] = static_cast<float>(row.score[static_cast<std::size_t>(row.order[i])] * factor);
  }
}

} // namespace

void moe_route(CpuDevice &device, const abk_moe_route_args &args) {
  const MoeRouteCall call = check_moe_route(args);
  const float *bias = vector_or_null(call.bias);
  device.run((args.rows + kRowsPerTask - 1) / kRowsPerTask, [&](std::int64_t task, Worker &) {
    const auto experts = static_cast<std::size_t>(args.experts);
    Row row{std::vector<float>(experts),
            std::vector<float>(experts),
            std::vector<float>(static_cast<std::size_t>(std::max(args.n_group, 1))),
            {},
            {}};
    for (std::int64_t r = task * kRowsPerTask; r < std::min<std::int64_t>(args.rows, (task + 1) * kRowsPerTask); ++r)
      route_row(args, bias, reinterpret_cast<const float *>(call.logits.row(r)), row, call.index + r * args.top_k,
                call.weight + r * args.top_k);
  });
}

} // namespace abyssal::cpu
