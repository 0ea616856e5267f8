// Draws the next token from logits.
#pragma once

#include "engine/token_mask.h"

#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace abyssal {

struct SamplingOptions {
  float temperature = 1.0f; // 0: greedy
  float top_p = 1.0f;
  float min_p = 0.0f;      // 0: off
  std::uint32_t top_k = 0; // 0: all
  std::uint64_t seed = 0;
};

// The index of the largest logit that the mask allows; ties to the lower index, NaN never wins. The first one allowed
// where none is a number.
std::int32_t argmax(std::span<const float> logits, TokenMask mask = {}) noexcept;

// The logarithm of a token's probability in softmax(logits). Not a number if a logit is not, or the largest is
// infinite.
float log_probability(std::span<const float> logits, std::int32_t token) noexcept;

class Sampler {
public:
  explicit Sampler(const SamplingOptions &options) : options_(options), random_(options.seed) {}

  // The filters apply in the order of Hugging Face: temperature, top-k, top-p, min-p; to the tokens that the mask
  // allows, of which there must be one.
  std::int32_t draw(std::span<const float> logits, TokenMask mask = {});
  std::uint64_t seed() const noexcept { return options_.seed; }

private:
  struct Candidate {
    std::int32_t token;
    float logit;        // after temperature
    double probability; // over that of the likeliest
  };
  static bool likelier(const Candidate &a, const Candidate &b) noexcept;
  std::int32_t draw_unfiltered(std::span<const float> logits, TokenMask mask);
  // A point in [0, total). 53 random bits, so that it does not depend on the standard library's distributions.
  double point_below(double total) { return static_cast<double>(random_() >> 11) * 0x1p-53 * total; }
  // The candidate of that rank, 0 the likeliest; puts as many in order as it takes.
  const Candidate &ranked(std::size_t rank);

  SamplingOptions options_;
  std::mt19937_64 random_;
  std::vector<Candidate> candidates_; // the first ordered_ in their ranks, all others less likely
  std::size_t ordered_ = 0;
  std::vector<double> stretches_; // without filters: the weight of each stretch of tokens
};

} // namespace abyssal
