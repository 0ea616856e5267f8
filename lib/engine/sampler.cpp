#include "engine/sampler.h"

#include <algorithm>
#include <cmath>

namespace abyssal {

std::int32_t argmax(std::span<const float> logits) noexcept {
  std::size_t best = 0;
  bool found = false;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i]) || (found && !(logits[i] > logits[best])))
      continue;
    best = i;
    found = true;
  }
  return static_cast<std::int32_t>(best);
}

std::int32_t Sampler::draw(std::span<const float> logits) {
  if (options_.temperature <= 0.0f)
    return argmax(logits);
  candidates_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i]))
      candidates_.push_back({static_cast<std::int32_t>(i), logits[i] / options_.temperature, 0.0});
  }
  if (candidates_.empty())
    return 0;
  const auto likelier = [](const Candidate &a, const Candidate &b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
  };
  if (options_.top_k > 0 && options_.top_k < candidates_.size()) {
    const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(options_.top_k);
    std::partial_sort(candidates_.begin(), end, candidates_.end(), likelier);
    candidates_.erase(end, candidates_.end());
  } else {
    std::sort(candidates_.begin(), candidates_.end(), likelier);
  }

  const float top = candidates_.front().logit;
  if (std::isinf(top)) // an infinite logit wins outright; its softmax would not be a number
    return candidates_.front().token;
  double total = 0;
  for (Candidate &c : candidates_) {
    c.probability = std::exp(static_cast<double>(c.logit) - top);
    total += c.probability;
  }
  // top-p: the shortest head that holds that much of the total, at least one token; then min-p.
  std::size_t kept = 0;
  double head = 0;
  while (kept < candidates_.size() && (kept == 0 || head < options_.top_p * total))
    head += candidates_[kept++].probability;
  while (kept > 1 && candidates_[kept - 1].probability < options_.min_p)
    head -= candidates_[--kept].probability;

  // 53 random bits, so that the draw does not depend on the standard library's distributions.
  double point = static_cast<double>(random_() >> 11) * 0x1p-53 * head;
  for (std::size_t i = 0; i < kept; ++i) {
    point -= candidates_[i].probability;
    if (point < 0)
      return candidates_[i].token;
  }
  return candidates_[kept - 1].token;
}

} // namespace abyssal
