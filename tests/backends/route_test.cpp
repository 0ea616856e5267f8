// moe_route on every backend, against routing as the models' papers define it.
#include "base/status.h"
#include "naive_ops.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace abyssal;
using namespace abyssal::test;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct RouteCase {
  std::int32_t rows, experts, top_k, n_group, topk_group;
  abk_scoring scoring;
  abk_topk_method method;
  bool norm_topk_prob;
  float factor;
};

std::string text_of(const RouteCase &c) {
  return concat(c.rows, " rows, top ", c.top_k, " of ", c.experts, ", ", c.topk_group, " of ", c.n_group,
                " groups, scoring ", c.scoring, " method ", c.method, " norm ", c.norm_topk_prob);
}

struct Routes {
  std::vector<std::int32_t> index; // [rows, top_k]
  Values weight;                   // [rows, top_k]
};

// The places of the `count` largest, one after the other, each time the first of the largest; in ascending order.
std::vector<std::size_t> largest(Values values, std::size_t count) {
  std::vector<std::size_t> found;
  std::vector<bool> taken(values.size());
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t best = values.size();
    for (std::size_t j = 0; j < values.size(); ++j) {
      if (!taken[j] && (best == values.size() || values[j] > values[best]))
        best = j;
    }
    taken[best] = true;
    found.push_back(best);
  }
  std::sort(found.begin(), found.end());
  return found;
}

Values scores_of(const Values &logits, abk_scoring scoring) {
  Values scores;
  double sum = 0;
  for (const double z : logits)
    sum += std::exp(z);
  for (const double z : logits)
    scores.push_back(scoring == ABK_SCORING_SIGMOID ? 1 / (1 + std::exp(-z)) : std::exp(z) / sum);
  return scores;
}

// What experts are compared by: minus infinity in the groups that are dropped.
Values choices_of(const RouteCase &c, const Values &scores, const WeightData &bias) {
  Values choice = scores;
  for (std::size_t e = 0; bias.present() && e < choice.size(); ++e)
    choice[e] += bias.values[e];
  if (c.method == ABK_TOPK_GREEDY)
    return choice;
  const auto groups = static_cast<std::size_t>(c.n_group);
  const std::size_t size = choice.size() / groups;
  Values of_groups;
  for (std::size_t g = 0; g < groups; ++g) {
    Values members(choice.begin() + static_cast<std::ptrdiff_t>(g * size),
                   choice.begin() + static_cast<std::ptrdiff_t>((g + 1) * size));
    std::sort(members.rbegin(), members.rend());
    of_groups.push_back(c.method == ABK_TOPK_NOAUX_TC && size > 1 ? members[0] + members[1] : members[0]);
  }
  const std::vector<std::size_t> kept = largest(of_groups, static_cast<std::size_t>(c.topk_group));
  for (std::size_t e = 0; e < choice.size(); ++e) {
    if (!std::binary_search(kept.begin(), kept.end(), e / size))
      choice[e] = -kInfinity;
  }
  return choice;
}

Routes naive_route(const RouteCase &c, const Values &logits, const WeightData &bias) {
  Routes routes;
  for (std::int64_t r = 0; r < c.rows; ++r) {
    const Values row(logits.begin() + r * c.experts, logits.begin() + (r + 1) * c.experts);
    const Values scores = scores_of(row, c.scoring);
    const auto chosen = largest(choices_of(c, scores, bias), static_cast<std::size_t>(c.top_k));
    double sum = 0;
    for (const std::size_t e : chosen)
      sum += scores[e];
    for (const std::size_t e : chosen) {
      routes.index.push_back(static_cast<std::int32_t>(e));
      routes.weight.push_back(scores[e] / (c.norm_topk_prob ? sum + 1e-20 : 1) * static_cast<double>(c.factor));
    }
  }
  return routes;
}

Routes run_route(OpDevice &device, const RouteCase &c, const Values &logits, const WeightData &bias) {
  const std::int64_t count = std::int64_t{c.rows} * c.top_k;
  abk_moe_route_args args{};
  args.rows = c.rows;
  args.experts = c.experts;
  args.top_k = c.top_k;
  args.n_group = c.n_group;
  args.topk_group = c.topk_group;
  args.scoring = c.scoring;
  args.method = c.method;
  args.norm_topk_prob = c.norm_topk_prob ? 1 : 0;
  args.routed_scaling_factor = c.factor;
  args.logits = device.rows(logits, c.rows, c.experts, ABY_DTYPE_F32, 3);
  args.bias = device.weight(bias);
  args.index = device.ints(std::vector<std::int32_t>(static_cast<std::size_t>(count + 1), -77)); // and one behind
  args.weight = device.floats(Values(static_cast<std::size_t>(count + 1), -77));
  device.must(device.run(ABK_OP_MOE_ROUTE, &args), "moe_route");
  Routes routes{device.download_ints(args.index, count + 1), device.download(args.weight, count + 1, ABY_DTYPE_F32)};
  CHECK(routes.index.back() == -77);
  CHECK(routes.weight.back() == -77);
  routes.index.pop_back();
  routes.weight.pop_back();
  return routes;
}

void check_route(const RouteCase &c, const Values &logits, const WeightData &bias) {
  const Routes expected = naive_route(c, logits, bias);
  for (const abk_backend *backend : backends()) {
    INFO(std::string(backend->name), ": ", text_of(c));
    OpDevice device(backend);
    const Routes got = run_route(device, c, logits, bias);
    CHECK(got.index == expected.index);
    CHECK(difference(got.weight, expected.weight, 1e-6) == "");
  }
}

// Few values, so that there are ties; moved a little, so that two scores do not add up to what two others do.
Values tied_logits(Random &random, std::int64_t count) {
  Values logits;
  for (std::int64_t i = 0; i < count; ++i)
    logits.push_back(static_cast<float>(static_cast<double>(random() % 24) / 4 - 3 + 0.03));
  return logits;
}

} // namespace

TEST_CASE("moe_route with every scoring and method, groups, rows") {
  struct Shape {
    std::int32_t experts, top_k, n_group, topk_group;
  };
  const std::vector<Shape> shapes = {{1, 1, 1, 1},   {2, 1, 2, 1},   {2, 2, 1, 1},   {6, 2, 3, 2},  {7, 7, 1, 1},
                                     {8, 8, 4, 4},   {8, 4, 4, 2},   {9, 2, 9, 2},   {16, 6, 4, 3}, {64, 6, 1, 1},
                                     {64, 6, 8, 3},  {160, 6, 8, 3}, {256, 8, 8, 4}, {33, 8, 3, 1}, {32, 8, 8, 2},
                                     {384, 8, 1, 1}, {17, 1, 17, 5}};
  std::size_t i = 0;
  for (const Shape &s : shapes) {
    for (const abk_scoring scoring : {ABK_SCORING_SOFTMAX, ABK_SCORING_SIGMOID}) {
      for (const abk_topk_method method : {ABK_TOPK_GREEDY, ABK_TOPK_GROUP_LIMITED_GREEDY, ABK_TOPK_NOAUX_TC}) {
        for (const std::int32_t rows : {0, 1, 17, 65}) {
          ++i;
          Random random(static_cast<unsigned>(i));
          const bool tied = i % 2 == 0;
          const std::int64_t count = std::int64_t{rows} * s.experts;
          const Values logits = tied ? tied_logits(random, count) : random_values(random, count, -6, 6);
          WeightData bias;
          if (method == ABK_TOPK_NOAUX_TC && i % 5 != 0) {
            Values values; // quarters: with tied logits there are ties still
            for (std::int32_t e = 0; e < s.experts; ++e)
              values.push_back(static_cast<double>(random() % 5) / 4 - (i % 3 == 0 ? 3.0 : 0.5));
            bias = vector_of(values);
          }
          check_route({rows, s.experts, s.top_k, s.n_group, s.topk_group, scoring, method, i % 3 != 0,
                       std::vector<float>{1, 2.5f, 16, 2.827f}[i % 4]},
                      logits, bias);
        }
      }
    }
  }
}

TEST_CASE("moe_route gives ties to the lower index, of experts and of groups") {
  const Values zeros(2 * 12);
  for (const abk_scoring scoring : {ABK_SCORING_SOFTMAX, ABK_SCORING_SIGMOID}) {
    for (const abk_topk_method method : {ABK_TOPK_GREEDY, ABK_TOPK_GROUP_LIMITED_GREEDY, ABK_TOPK_NOAUX_TC}) {
      for (const abk_backend *backend : backends()) {
        INFO(std::string(backend->name), " scoring ", scoring, " method ", method);
        OpDevice device(backend);
        const RouteCase c{2, 12, 5, 4, 2, scoring, method, true, 1};
        const Routes got = run_route(device, c, zeros, {});
        CHECK(got.index == std::vector<std::int32_t>{0, 1, 2, 3, 4, 0, 1, 2, 3, 4});
        CHECK(difference(got.weight, Values(10, 0.2), 1e-6) == "");
      }
    }
  }
}

TEST_CASE("moe_route by hand: the two best of a group count, and dropped groups never win") {
  // c = s + bias = {-1.5, -1.5 | -0.6, -4.5 | -1.45, -1.45 | -9.5, -9.5}. Sums of two: -3, -5.1, -2.9, -19: groups 2
  // and 0 stay, although group 1 has the best expert, and although 0 is more than any c.
  const WeightData bias = vector_of({-2, -2, -1.1, -5, -1.95, -1.95, -10, -10});
  const Values expected = {1, 1, 1}; // each 0.5 / 1.5, times 3
  for (const abk_backend *backend : backends()) {
    INFO(std::string(backend->name));
    OpDevice device(backend);
    const RouteCase c{1, 8, 3, 4, 2, ABK_SCORING_SIGMOID, ABK_TOPK_NOAUX_TC, true, 3};
    const Routes got = run_route(device, c, Values(8), bias);
    CHECK(got.index == std::vector<std::int32_t>{0, 4, 5});
    CHECK(difference(got.weight, expected, 1e-6) == "");
  }
}

TEST_CASE("moe_route by the best of a group") {
  // Best ones: 3, 5, 4. Groups 1 and 2 stay; the second best expert of all is in group 0.
  const Values logits = {3, 3, 3, 5, -1, -2, 4, 0, -5};
  for (const abk_backend *backend : backends()) {
    INFO(std::string(backend->name));
    OpDevice device(backend);
    const RouteCase c{1, 9, 3, 3, 2, ABK_SCORING_SOFTMAX, ABK_TOPK_GROUP_LIMITED_GREEDY, false, 1};
    CHECK(run_route(device, c, logits, {}).index == std::vector<std::int32_t>{3, 6, 7});
  }
}

TEST_CASE("moe_route of far-apart logits") {
  const Values logits = {1000, 0, -1000, 999, -3e38, 3e38, 0, 1};
  for (const abk_backend *backend : backends()) {
    INFO(std::string(backend->name));
    OpDevice device(backend);
    const RouteCase softmax{2, 4, 2, 1, 1, ABK_SCORING_SOFTMAX, ABK_TOPK_GREEDY, true, 1};
    const Routes got = run_route(device, softmax, logits, {});
    CHECK(got.index == std::vector<std::int32_t>{0, 3, 1, 3});
    CHECK(difference(got.weight, {1 / (1 + std::exp(-1.0)), 1 / (1 + std::exp(1.0)), 1, 0}, 1e-6) == "");
    const RouteCase sigmoid{1, 4, 2, 1, 1, ABK_SCORING_SIGMOID, ABK_TOPK_GREEDY, true, 1};
    const Routes all_vanish = run_route(device, sigmoid, {-3e38, -1000, -999, -3e38}, {});
    CHECK(all_vanish.index == std::vector<std::int32_t>{1, 2});
    CHECK(all_vanish.weight == Values{0, 0}); // the 1e-20 in the sum
  }
}

TEST_CASE("moe_route of broken logits gives valid experts, and leaves the other rows alone") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Values> broken = {Values(8, nan),
                                      Values(8, kInfinity),
                                      Values(8, -kInfinity),
                                      {nan, 1, 2, 3, 4, 5, 6, 7},
                                      {0, 1, 2, 3, 4, 5, 6, nan},
                                      {kInfinity, nan, -kInfinity, 1, nan, nan, nan, nan},
                                      {nan, nan, nan, nan, nan, nan, nan, 1}};
  for (const abk_scoring scoring : {ABK_SCORING_SOFTMAX, ABK_SCORING_SIGMOID}) {
    for (const abk_topk_method method : {ABK_TOPK_GREEDY, ABK_TOPK_GROUP_LIMITED_GREEDY, ABK_TOPK_NOAUX_TC}) {
      for (const Values &row : broken) {
        Random random(7);
        Values logits = random_values(random, 3 * 8);
        const RouteCase c{3, 8, 3, 4, 2, scoring, method, true, 1};
        const Routes expected = naive_route(c, logits, {});
        std::copy(row.begin(), row.end(), logits.begin() + 8);
        for (const abk_backend *backend : backends()) {
          INFO(std::string(backend->name), " scoring ", scoring, " method ", method, " first ", row[0]);
          OpDevice device(backend);
          const Routes got = run_route(device, c, logits, {});
          for (const std::size_t i : {0, 1, 2, 6, 7, 8}) {
            CHECK(got.index[i] == expected.index[i]);
            CHECK(got.weight[i] == doctest::Approx(expected.weight[i]).epsilon(1e-6));
          }
          CHECK((0 <= got.index[3] && got.index[3] < got.index[4] && got.index[4] < got.index[5] && got.index[5] < 8));
        }
      }
    }
  }
}
