#include "cli/distribution_gap.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

using cli::DistributionGap;
using cli::GapSummary;

namespace {

// Logits of a distribution over two tokens, shifted by `shift`, which changes nothing.
std::vector<float> logits_of(double first, float shift = 0) {
  return {static_cast<float>(std::log(first)) + shift, static_cast<float>(std::log(1 - first)) + shift};
}

double divergence(double p, double q) { return p * std::log(p / q) + (1 - p) * std::log((1 - p) / (1 - q)); }

} // namespace

TEST_CASE("the same logits have no gap at all") {
  DistributionGap gap(3);
  const std::vector<float> row = {1.25f, -80.5f, 1e4f};
  for (int i = 0; i < 5; ++i)
    gap.add(row.data(), row.data(), 0);
  const GapSummary summary = gap.summary();
  CHECK(summary.positions == 5);
  CHECK(summary.mean == 0);
  CHECK(summary.max == 0);
  CHECK(summary.same_top1 == 1);
  CHECK(summary.perplexity_exact == summary.perplexity_tested);
}

TEST_CASE("mean, largest, top-1 and perplexity of two positions") {
  DistributionGap gap(2);
  gap.add(logits_of(0.5).data(), logits_of(0.25, 100).data(), 0); // a tie is its lower id: another top-1
  gap.add(logits_of(0.9).data(), logits_of(0.8, -3).data(), -1);
  const GapSummary summary = gap.summary();
  const double first = divergence(0.5, 0.25), second = divergence(0.9, 0.8);
  CHECK(summary.mean == doctest::Approx((first + second) / 2).epsilon(1e-5));
  CHECK(summary.max == doctest::Approx(first).epsilon(1e-5));
  CHECK(summary.p99 == doctest::Approx(second + 0.99 * (first - second)).epsilon(1e-5));
  CHECK(summary.same_top1 == 0.5);
  CHECK(summary.predicted == 1); // the last token has none after it
  CHECK(summary.perplexity_exact == doctest::Approx(2).epsilon(1e-5));
  CHECK(summary.perplexity_tested == doctest::Approx(4).epsilon(1e-5));
}

TEST_CASE("a likely token of a large vocabulary and a tail that counts") {
  constexpr std::size_t kVocab = 150000;
  std::vector<float> exact(kVocab, 0), tested(kVocab, 0.01f);
  exact[7] = tested[7] = 12;
  DistributionGap gap(kVocab);
  gap.add(exact.data(), tested.data(), 7);
  const double tail = kVocab - 1, p = std::exp(12.0) / (std::exp(12.0) + tail);
  const double q = std::exp(12.0) / (std::exp(12.0) + tail * std::exp(double{0.01f}));
  CHECK(gap.summary().mean == doctest::Approx(divergence(p, q)).epsilon(1e-9));
}

TEST_CASE("nothing was added") {
  const GapSummary summary = DistributionGap(4).summary();
  CHECK(summary.positions == 0);
  CHECK(summary.predicted == 0);
}

TEST_CASE("logits that are no numbers are refused with their place") {
  DistributionGap gap(2);
  const std::vector<float> good = {0, 1}, bad = {0, std::numeric_limits<float>::quiet_NaN()};
  gap.add(good.data(), good.data(), 0);
  CHECK_THROWS_WITH(gap.add(good.data(), bad.data(), 0),
                    "tested logits: that of token 1 at position 1 is not a finite number");
  CHECK_THROWS_WITH(gap.add(bad.data(), good.data(), 0),
                    "float32 logits: that of token 1 at position 1 is not a finite number");
}
