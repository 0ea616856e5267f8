#include "engine/sampler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace abyssal {

namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// Sixteen running maxima: as many compare at once as the machine has lanes. NaN is greater than nothing.
float largest(std::span<const float> values) noexcept {
  std::array<float, 16> most;
  most.fill(kLowest);
  std::size_t i = 0;
  for (; i + most.size() <= values.size(); i += most.size())
    for (std::size_t lane = 0; lane < most.size(); ++lane)
      most[lane] = values[i + lane] > most[lane] ? values[i + lane] : most[lane];
  for (; i < values.size(); ++i)
    most[0] = values[i] > most[0] ? values[i] : most[0];
  return *std::max_element(most.begin(), most.end());
}

// The first allowed one that is a number, or the first allowed one: for logits that are all NaN or minus infinity.
std::size_t first_allowed(std::span<const float> logits, TokenMask mask) noexcept {
  std::size_t allowed = logits.size();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!allows(mask, i))
      continue;
    if (!std::isnan(logits[i]))
      return i;
    allowed = std::min(allowed, i);
  }
  return allowed < logits.size() ? allowed : logits.empty() ? 0 : logits.size() - 1;
}

} // namespace

std::int32_t argmax(std::span<const float> logits, TokenMask mask) noexcept {
  constexpr std::size_t kPart = 256; // whole words of masks
  std::size_t best = logits.size();
  float most = kLowest;
  for (std::size_t begin = 0; begin < logits.size(); begin += kPart) {
    const std::size_t end = std::min(begin + kPart, logits.size());
    if (!(largest(logits.subspan(begin, end - begin)) > most))
      continue; // without those that the mask forbids it would be smaller still
    for_each_allowed(mask, begin, end, [&](std::size_t i) {
      if (logits[i] > most) {
        most = logits[i];
        best = i;
      }
    });
  }
  return static_cast<std::int32_t>(best < logits.size() ? best : first_allowed(logits, mask));
}

float log_probability(std::span<const float> logits, std::int32_t token) noexcept {
  const float top = largest(logits);
  double sum = 0;
  for (const float logit : logits)
    sum += std::exp(static_cast<double>(logit) - top);
  return static_cast<float>(static_cast<double>(logits[static_cast<std::size_t>(token)]) - top - std::log(sum));
}

namespace {

// A head this long is enough for nearly every draw from a trained model.
constexpr std::size_t kFirstHead = 64;

constexpr std::size_t kStretch =
    256; // tokens whose weights are summed before a draw looks among them; whole words of masks

// The place where the running sum of weights passes `point`; the last of any weight where rounding has it pass none.
// before: the sum that it starts with, then the one in front of the place.
template <typename Weight> std::size_t place_of(double point, std::size_t count, double &before, Weight &&weight) {
  std::size_t last = 0;
  double sum = before;
  for (std::size_t i = 0; i < count; ++i) {
    const double w = weight(i);
    if (w > 0) {
      last = i;
      before = sum;
    }
    sum += w;
    if (point < sum)
      break;
  }
  return last;
}

} // namespace

bool Sampler::likelier(const Candidate &a, const Candidate &b) noexcept {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

// A vocabulary of 100,000 takes milliseconds to sort, and a draw looks at the likeliest few: the head that is in order
// grows fourfold when a draw gets to its end.
const Sampler::Candidate &Sampler::ranked(std::size_t rank) {
  while (rank >= ordered_) {
    const std::size_t end = std::min(candidates_.size(), std::max(kFirstHead, ordered_ * 4));
    const auto from = candidates_.begin() + static_cast<std::ptrdiff_t>(ordered_),
               to = candidates_.begin() + static_cast<std::ptrdiff_t>(end);
    if (to != candidates_.end())
      std::nth_element(from, to, candidates_.end(), likelier);
    std::sort(from, to, likelier);
    ordered_ = end;
  }
  return candidates_[rank];
}

// Where every token may be drawn their order does not matter, and the order they come in costs nothing: a pass for the
// largest logit, one for the sums, and a short one to where the point falls.
std::int32_t Sampler::draw_unfiltered(std::span<const float> logits, TokenMask mask) {
  const std::int32_t best = argmax(logits, mask);
  const float top = logits[static_cast<std::size_t>(best)] / options_.temperature;
  if (!std::isfinite(top)) // an infinite logit wins outright, and without any number the first token does
    return best;
  const auto weight = [&](std::size_t i) {
    const float logit = logits[i] / options_.temperature;
    return std::isnan(logit) ? 0.0 : std::exp(static_cast<double>(logit) - top);
  };
  stretches_.clear();
  double total = 0;
  for (std::size_t begin = 0; begin < logits.size(); begin += kStretch) {
    double sum = 0;
    for_each_allowed(mask, begin, std::min(begin + kStretch, logits.size()), [&](std::size_t i) { sum += weight(i); });
    stretches_.push_back(sum);
    total += sum;
  }
  const double point = point_below(total);
  double before = 0;
  const std::size_t begin =
      kStretch * place_of(point, stretches_.size(), before, [&](std::size_t i) { return stretches_[i]; });
  const std::size_t count = std::min(kStretch, logits.size() - begin);
  return static_cast<std::int32_t>(begin + place_of(point, count, before, [&](std::size_t i) {
                                     return allows(mask, begin + i) ? weight(begin + i) : 0.0;
                                   }));
}

std::int32_t Sampler::draw(std::span<const float> logits, TokenMask mask) {
  if (options_.temperature <= 0.0f)
    return argmax(logits, mask);
  const bool all = options_.top_k == 0 || options_.top_k >= logits.size();
  if (all && !logits.empty() && options_.top_p >= 1.0f && options_.min_p <= 0.0f)
    return draw_unfiltered(logits, mask);
  candidates_.clear();
  ordered_ = 0;
  for_each_allowed(mask, 0, logits.size(), [&](std::size_t i) {
    if (!std::isnan(logits[i]))
      candidates_.push_back({static_cast<std::int32_t>(i), logits[i] / options_.temperature, 0.0});
  });
  if (candidates_.empty())
    return argmax(logits, mask);
  if (options_.top_k > 0 && options_.top_k < candidates_.size()) {
    ranked(options_.top_k - 1);
    candidates_.resize(options_.top_k);
    ordered_ = std::min<std::size_t>(ordered_, options_.top_k);
  }

  const float top = ranked(0).logit;
  if (std::isinf(top)) // an infinite logit wins outright; its softmax would not be a number
    return ranked(0).token;
  double total = 0;
  for (Candidate &c : candidates_) {
    c.probability = std::exp(static_cast<double>(c.logit) - top);
    total += c.probability;
  }
  // top-p: the shortest head that holds that much of the total, at least one token; then min-p.
  std::size_t kept = candidates_.size();
  double head = total;
  if (options_.top_p < 1.0f) {
    for (kept = 0, head = 0; kept < candidates_.size() && (kept == 0 || head < options_.top_p * total); ++kept)
      head += ranked(kept).probability;
  }
  if (options_.min_p > 0.0f) {
    std::size_t likely = 0;
    double sum = 0;
    for (; likely < kept && (likely == 0 || ranked(likely).probability >= options_.min_p); ++likely)
      sum += ranked(likely).probability;
    kept = likely;
    head = sum;
  }

  double point = point_below(head);
  for (std::size_t i = 0; i < kept; ++i) {
    point -= ranked(i).probability;
    if (point < 0)
      return ranked(i).token;
  }
  return ranked(kept - 1).token;
}

} // namespace abyssal
