// moe_route
#include "backends/host/moe_checks.h"
#include "backends/reference/reference_math.h"
#include "backends/reference/reference_ops.h"

#include <algorithm>
#include <cmath>

namespace abyssal::reference {

namespace {

// Best first: the larger value, NaN after everything else, the lower index among equals. A total order, so that a
// broken model's logits still give valid and repeatable routes.
struct BestFirst {
  std::span<const double> values;
  bool operator()(std::int32_t a, std::int32_t b) const {
    const double x = values[static_cast<std::size_t>(a)];
    const double y = values[static_cast<std::size_t>(b)];
    if (std::isnan(x) || std::isnan(y))
      return std::isnan(x) == std::isnan(y) ? a < b : std::isnan(y);
    return x != y ? x > y : a < b;
  }
};

// The `count` best of 0 .. values.size() - 1 that are allowed, ascending.
template <typename Allowed>
std::vector<std::int32_t> best(std::span<const double> values, std::int64_t count, Allowed &&allowed) {
  std::vector<std::int32_t> order;
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(values.size()); ++i) {
    if (allowed(i))
      order.push_back(i);
  }
  const auto end = order.begin() + count;
  std::partial_sort(order.begin(), end, order.end(), BestFirst{values});
  order.erase(end, order.end());
  std::sort(order.begin(), order.end());
  return order;
}

// choice: [experts]. The best one of each group, or the sum of its two best.
std::vector<double> group_scores(std::span<const double> choice, std::int32_t groups, bool two) {
  const std::size_t size = choice.size() / static_cast<std::size_t>(groups);
  std::vector<double> scores;
  for (std::size_t g = 0; g < static_cast<std::size_t>(groups); ++g) {
    const std::span<const double> members = choice.subspan(g * size, size);
    double score = 0;
    const auto taken = best(members, two && size > 1 ? 2 : 1, [](std::int32_t) { return true; });
    for (const std::int32_t i : taken)
      score += members[static_cast<std::size_t>(i)];
    scores.push_back(score);
  }
  return scores;
}

std::vector<double> scores_of(std::span<const double> logits, abk_scoring scoring) {
  std::vector<double> scores(logits.begin(), logits.end());
  if (scoring == ABK_SCORING_SOFTMAX) {
    softmax(scores);
    return scores;
  }
  for (double &score : scores)
    score = 1.0 / (1.0 + std::exp(-score));
  return scores;
}

// What experts are compared by. Without a bias both scores rise with the logit, so the logit itself decides: two
// experts whose scores both vanish in the softmax are then still told apart.
std::vector<double> choice_of(std::span<const double> logits, std::span<const double> scores,
                              const abk_moe_route_args &args, std::span<const double> bias) {
  if (args.method != ABK_TOPK_NOAUX_TC)
    return {logits.begin(), logits.end()};
  std::vector<double> choice(scores.begin(), scores.end());
  for (std::size_t i = 0; i < bias.size(); ++i)
    choice[i] += bias[i];
  return choice;
}

std::vector<std::int32_t> choose(std::span<const double> choice, const abk_moe_route_args &args) {
  if (args.method == ABK_TOPK_GREEDY)
    return best(choice, args.top_k, [](std::int32_t) { return true; });
  const bool two = args.method == ABK_TOPK_NOAUX_TC;
  const std::vector<std::int32_t> kept =
      best(group_scores(choice, args.n_group, two), args.topk_group, [](std::int32_t) { return true; });
  const std::int32_t size = args.experts / args.n_group;
  return best(choice, args.top_k,
              [&](std::int32_t expert) { return std::binary_search(kept.begin(), kept.end(), expert / size); });
}

} // namespace

void moe_route(const abk_moe_route_args &args) {
  const MoeRouteCall call = check_moe_route(args);
  const std::vector<double> bias = optional_vector(call.bias);
  std::vector<double> logits(static_cast<std::size_t>(args.experts));
  for (std::int64_t r = 0; r < args.rows; ++r) {
    load(call.logits.row(r), ABY_DTYPE_F32, args.experts, logits.data());
    const std::vector<double> scores = scores_of(logits, args.scoring);
    const std::vector<std::int32_t> chosen = choose(choice_of(logits, scores, args, bias), args);
    double sum = 0;
    for (const std::int32_t expert : chosen)
      sum += scores[static_cast<std::size_t>(expert)];
    const double factor = args.routed_scaling_factor / (args.norm_topk_prob != 0 ? sum + 1e-20 : 1.0);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const auto at = static_cast<std::size_t>(r * args.top_k) + i;
      call.index[at] = chosen[i];
      call.weight[at] = static_cast<float>(scores[static_cast<std::size_t>(chosen[i])] * factor);
    }
  }
}

} // namespace abyssal::reference
