#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace abyssal {

namespace {

// Frequencies without scaling: theta^(-2i / dim).
std::vector<double> plain_frequencies(double theta, std::int32_t dim) {
  std::vector<double> frequency(static_cast<std::size_t>(dim / 2));
  for (std::size_t i = 0; i < frequency.size(); ++i)
    frequency[i] = std::pow(theta, -2.0 * static_cast<double>(i) / dim);
  return frequency;
}

double yarn_mscale(double factor, double mscale) { return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; }

// YaRN (arXiv 2309.00071): a linear ramp, over the frequency's index, from the original frequencies (those that turn at
// least beta_fast times within the original context) to the interpolated ones (those that turn at most beta_slow
// times).
void scale_yarn(std::vector<double> &frequency, const RopeConfig &rope, std::int32_t dim) {
  const auto index_of_rotations = [&](double rotations) {
    return dim * std::log(rope.original_max_position_embeddings / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(rope.theta));
  };
  const double low = std::max(std::floor(index_of_rotations(rope.beta_fast)), 0.0);
  double high = std::min(std::ceil(index_of_rotations(rope.beta_slow)), dim - 1.0);
  if (low == high)
    high += 0.001;
  for (std::size_t i = 0; i < frequency.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    frequency[i] = frequency[i] / rope.factor * ramp + frequency[i] * (1 - ramp);
  }
}

// Llama 3: long wavelengths divided by factor, short ones kept, a smooth step between.
void scale_llama3(std::vector<double> &frequency, const RopeConfig &rope) {
  for (double &f : frequency) {
    const double turns = rope.original_max_position_embeddings * f / (2 * std::numbers::pi);
    const double smooth =
        std::clamp((turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor), 0.0, 1.0);
    f = (1 - smooth) * f / rope.factor + smooth * f;
  }
}

} // namespace

Rope::Rope(const RopeConfig &rope) {
  std::vector<double> frequency = plain_frequencies(rope.theta, rope.dim);
  double score = 1.0 / std::sqrt(static_cast<double>(rope.score_dim));
  switch (rope.scaling) {
  case RopeScaling::kNone:
    break;
  case RopeScaling::kLinear:
    for (double &f : frequency)
      f /= rope.factor;
    break;
  case RopeScaling::kYarn:
    scale_yarn(frequency, rope, rope.dim);
    attention_factor_ =
        static_cast<float>(yarn_mscale(rope.factor, rope.mscale) / yarn_mscale(rope.factor, rope.mscale_all_dim));
    if (rope.scores_scaled && rope.mscale_all_dim != 0)
      score *= std::pow(yarn_mscale(rope.factor, rope.mscale_all_dim), 2);
    break;
  case RopeScaling::kLlama3:
    scale_llama3(frequency, rope);
    break;
  }
  for (std::size_t i = 0; i < rope.frequency_divisors.size() && i < frequency.size(); ++i)
    frequency[i] /= double{rope.frequency_divisors[i]};
  score_scale_ = static_cast<float>(score);
  inverse_frequency_.assign(frequency.begin(), frequency.end());
}

void Rope::append(std::vector<float> &table, std::int32_t position) const {
  // The angle is rounded to float32, as it is where the checkpoints were trained and evaluated.
  for (const float f : inverse_frequency_) {
    const double angle = static_cast<float>(position) * f;
    table.push_back(static_cast<float>(std::cos(angle)) * attention_factor_);
    table.push_back(static_cast<float>(std::sin(angle)) * attention_factor_);
  }
}

} // namespace abyssal
