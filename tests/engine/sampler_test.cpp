#include "engine/sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
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

TEST_CASE("argmax: the first of the largest numbers, wherever they are") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const std::size_t size : {1, 15, 16, 17, 255, 256, 257, 1000}) {
    for (std::size_t first = 0; first < size; first += 7) {
      for (const float rest : {-1.0f, -infinity, nan}) {
        std::vector<float> logits(size, rest);
        if (first > 0)
          logits[0] = nan;
        for (const std::size_t other : {size - 1, (first + size) / 2}) // ties behind it
          logits[std::max(first, other)] = 2;
        logits[first] = 2;
        CHECK(argmax(logits) == static_cast<std::int32_t>(first));
      }
    }
  }
  std::vector<float> low(300, nan); // nothing above minus infinity: the first number
  low[270] = low[290] = -infinity;
  CHECK(argmax(low) == 270);
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

namespace {

// The same by sorting everything; without filters in the order of the tokens.
std::int32_t plain_draw(const std::vector<float> &logits, const SamplingOptions &options, std::mt19937_64 &random) {
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (options.top_k > 0 || options.top_p < 1 || options.min_p > 0)
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  if (options.top_k > 0)
    order.resize(std::min<std::size_t>(order.size(), options.top_k));
  const float top = *std::max_element(logits.begin(), logits.end());
  const auto weight = [&](std::size_t i) { return std::exp(static_cast<double>(logits[i]) - top); };
  double total = 0, head = 0;
  for (const std::size_t i : order)
    total += weight(i);
  std::vector<std::size_t> kept;
  for (const std::size_t i : order) {
    if (!kept.empty() && (head >= options.top_p * total || weight(i) < options.min_p))
      break;
    kept.push_back(i);
    head += weight(i);
  }
  double point = static_cast<double>(random() >> 11) * 0x1p-53 * head;
  for (const std::size_t i : kept) {
    point -= weight(i);
    if (point < 0)
      return static_cast<std::int32_t>(i);
  }
  return static_cast<std::int32_t>(kept.back());
}

} // namespace

TEST_CASE("a large vocabulary is drawn from as if it were sorted") {
  std::mt19937 values(5);
  for (const float spread : {0.0f, 0.01f, 1.0f, 8.0f}) { // all alike to one that stands out
    std::vector<float> logits(3000);
    for (float &logit : logits)
      logit = spread * static_cast<float>(values() % 1000) / 100;
    for (const SamplingOptions &options :
         {SamplingOptions{}, SamplingOptions{1.0f, 0.9f, 0.0f, 0, 3}, SamplingOptions{1.0f, 1.0f, 0.2f, 0, 4},
          SamplingOptions{1.0f, 0.99f, 0.0f, 1000, 5}}) {
      Sampler sampler(options);
      std::mt19937_64 random(options.seed);
      for (int i = 0; i < 50; ++i)
        CHECK(sampler.draw(logits) == plain_draw(logits, options, random));
    }
  }
}

TEST_CASE("without filters a draw passes over what is not a number, wherever it stands among many tokens") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::size_t vocab : {1u, 2u, 255u, 256u, 257u, 700u}) {
    // A third of the tokens, none of them the first or the last of many, with 1 to 3 times the least weight.
    std::vector<float> logits(vocab, nan);
    std::vector<double> expected(vocab, 0.0);
    double total = 0;
    for (std::size_t i = vocab > 2 ? 1 : 0; i + (vocab > 2 ? 1 : 0) < vocab; i += 3) {
      logits[i] = std::log(static_cast<float>(1 + i / 100 % 3));
      total += static_cast<double>(1 + i / 100 % 3);
      expected[i] = static_cast<double>(1 + i / 100 % 3);
    }
    SamplingOptions options;
    options.seed = vocab;
    const auto share = frequencies(options, logits, 50000);
    double error = 0;
    for (std::size_t i = 0; i < vocab; ++i) {
      if (expected[i] == 0)
        CHECK(share[i] == 0);
      else
        error += std::pow(share[i] - expected[i] / total, 2) / (expected[i] / total) * 50000;
    }
    // Chi squared: its mean is the number of tokens that can be drawn, less one; its variance twice that.
    const auto freedom =
        static_cast<double>(std::count_if(expected.begin(), expected.end(), [](double e) { return e > 0; }) - 1);
    CHECK(error <= freedom + 5 * std::sqrt(2 * freedom) + 1);
    CHECK(error >= freedom - 5 * std::sqrt(2 * freedom));
  }
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

namespace {

// Of the ids for which keep is true.
template <typename Keep> std::vector<std::uint32_t> mask_of(std::size_t ids, Keep &&keep) {
  std::vector<std::uint32_t> words(abyssal::mask_words(ids));
  for (std::size_t i = 0; i < ids; ++i)
    words[i / 32] |= static_cast<std::uint32_t>(keep(i)) << (i % 32);
  return words;
}

std::vector<float> noise(std::size_t count) {
  std::mt19937 random(3);
  std::vector<float> logits(count);
  for (float &logit : logits)
    logit = static_cast<float>(random() % 1000) / 100;
  return logits;
}

} // namespace

TEST_CASE("a mask: argmax among what is allowed") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::size_t size : {1, 31, 32, 33, 100, 1000}) {
    const std::vector<float> logits = noise(size);
    for (const std::size_t step : {1, 2, 7, 40, 999}) {
      const std::size_t offset = (size - 1) % step;
      const auto keep = [&](std::size_t i) { return i % step == offset; };
      std::size_t best = offset;
      for (std::size_t i = 0; i < size; ++i)
        best = keep(i) && logits[i] > logits[best] ? i : best;
      CHECK(argmax(logits, mask_of(size, keep)) == static_cast<std::int32_t>(best));
      CHECK(argmax(std::vector<float>(size, nan), mask_of(size, keep)) == static_cast<std::int32_t>(offset));
    }
  }
}

TEST_CASE("a mask: draws with every filter are those of logits that lack the other tokens") {
  const std::size_t size = 1037;
  const std::vector<float> logits = noise(size);
  const auto keep = [](std::size_t i) { return i % 5 == 2 || (i >= 320 && i < 400); };
  std::vector<float> lacking = logits;
  for (std::size_t i = 0; i < size; ++i)
    lacking[i] = keep(i) ? logits[i] : std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::uint32_t> some = mask_of(size, keep);
  const std::vector<std::uint32_t> all = mask_of(size, [](std::size_t) { return true; });
  SamplingOptions plain, greedy, top_k, top_p, min_p;
  greedy.temperature = 0;
  top_k.top_k = 9;
  top_p.top_p = 0.4f;
  min_p.min_p = 0.2f;
  for (const SamplingOptions &options : {plain, greedy, top_k, top_p, min_p}) {
    Sampler masked(options), lacked(options), whole(options), unmasked(options);
    for (int i = 0; i < 500; ++i) {
      const std::int32_t token = masked.draw(logits, some);
      REQUIRE(keep(static_cast<std::size_t>(token)));
      REQUIRE(token == lacked.draw(lacking));
      REQUIRE(whole.draw(logits, all) == unmasked.draw(logits));
    }
  }
}

TEST_CASE("a mask: without any number the first token that is allowed") {
  const std::vector<float> logits(100, std::numeric_limits<float>::quiet_NaN());
  const std::vector<std::uint32_t> mask = mask_of(100, [](std::size_t i) { return i == 70; });
  SamplingOptions filtered;
  filtered.top_k = 5;
  CHECK(Sampler(SamplingOptions()).draw(logits, mask) == 70);
  CHECK(Sampler(filtered).draw(logits, mask) == 70);
}
