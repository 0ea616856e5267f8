// Draws the next token from logits.
#pragma once

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

// The index of the largest logit; ties to the lower index, NaN never wins.
std::int32_t argmax(std::span<const float> logits) noexcept;

class Sampler {
public:
  explicit Sampler(const SamplingOptions &options) : options_(options), random_(options.seed) {}

  // The filters apply in the order of Hugging Face: temperature, top-k, top-p, min-p.
  std::int32_t draw(std::span<const float> logits);

private:
  struct Candidate {
    std::int32_t token;
    float logit;       // after temperature
    double probability;
  };
  SamplingOptions options_;
  std::mt19937_64 random_;
  std::vector<Candidate> candidates_;
};

} // namespace abyssal
