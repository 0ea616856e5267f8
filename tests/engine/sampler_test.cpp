#include "engine/sampler.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

using abyssal::argmax;
using abyssal::Sampler;
using abyssal::SamplingOptions;

namespace {

std::vector<double> frequencies(const SamplingOptions &options, const std::vector<float> &logits, int draws = 20000) {
  Sampler sampler(options);
  std::vector<double> share(logits.size(), 0.0);
  for (int i = 0; i < draws; ++i)
    share[static_cast<std::size_t>(sampler.draw(logits))] += 1.0 / draws;
  return share;
}

const std::vector<float> kLogits = {std::log(0.1f), std::log(0.4f), std::log(0.2f), std::log(0.3f)};

} // namespace

TEST_CASE("argmax: ties to the lower index, NaN never wins") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(argmax(std::vector<float>{1, 3, 3}) == 1);
  CHECK(argmax(std::vector<float>{nan, -5, nan}) == 1);
  CHECK(argmax(std::vector<float>{nan, nan}) == 0);
  CHECK(argmax(std::vector<float>{-infinity, -infinity}) == 0);
}

TEST_CASE("draws follow the softmax") {
  SamplingOptions options;
  options.seed = 7;
  const auto share = frequencies(options, kLogits);
  for (std::size_t i = 0; i < kLogits.size(); ++i)
    CHECK(share[i] == doctest::Approx(std::exp(kLogits[i])).epsilon(0.1));
}

TEST_CASE("temperature sharpens: at 0.5 probabilities are squared") {
  SamplingOptions options;
  options.temperature = 0.5f;
  const auto share = frequencies(options, kLogits);
  CHECK(share[1] == doctest::Approx(0.16 / 0.30).epsilon(0.1));
}

TEST_CASE("top_k, top_p and min_p keep what they say") {
  SamplingOptions options;
  options.top_k = 2;
  auto share = frequencies(options, kLogits);
  CHECK(share[0] + share[2] == 0);
  CHECK(share[1] == doctest::Approx(4.0 / 7).epsilon(0.1));

  options = {};
  options.top_p = 0.75f; // 0.4 + 0.3 < 0.75: the third is needed to reach it
  share = frequencies(options, kLogits);
  CHECK(share[0] == 0);
  CHECK(share[2] > 0);

  options = {};
  options.min_p = 0.6f; // of 0.4: 0.24
  share = frequencies(options, kLogits);
  CHECK(share[0] + share[2] == 0);
  CHECK(share[3] > 0);
}

TEST_CASE("odd logits never give an index outside") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  Sampler sampler({});
  CHECK(sampler.draw(std::vector<float>{nan, nan}) == 0);
  CHECK(sampler.draw(std::vector<float>{0, infinity, nan}) == 1);
  CHECK(sampler.draw(std::vector<float>{-infinity, -infinity}) == 0);
  CHECK(sampler.draw(std::vector<float>{-infinity, 2.0f}) == 1);
}
