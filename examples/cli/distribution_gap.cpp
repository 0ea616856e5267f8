#include "distribution_gap.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace cli {

namespace {

void check_finite(const float *logits, std::size_t vocab, std::size_t position, const char *whose) {
  const float *const wrong = std::find_if(logits, logits + vocab, [](float value) { return !std::isfinite(value); });
  if (wrong != logits + vocab)
    throw std::runtime_error(std::string(whose) + " logits: that of token " + std::to_string(wrong - logits) +
                             " at position " + std::to_string(position) + " is not a finite number");
}

} // namespace

void DistributionGap::add(const float *exact, const float *tested, std::int32_t next) {
  check_finite(exact, vocab_, divergences_.size(), "float32");
  check_finite(tested, vocab_, divergences_.size(), "tested");
  const float *const top_exact = std::max_element(exact, exact + vocab_);
  const float *const top_tested = std::max_element(tested, tested + vocab_);
  double sum_exact = 0, sum_tested = 0;
  for (std::size_t i = 0; i < vocab_; ++i) {
    probability_[i] = std::exp(double{exact[i]} - *top_exact);
    sum_exact += probability_[i];
    sum_tested += std::exp(double{tested[i]} - *top_tested);
  }
  // log softmax of a logit is the logit less these
  const double norm_exact = *top_exact + std::log(sum_exact), norm_tested = *top_tested + std::log(sum_tested);
  double divergence = 0;
  for (std::size_t i = 0; i < vocab_; ++i)
    divergence += probability_[i] * ((exact[i] - norm_exact) - (tested[i] - norm_tested));
  divergences_.push_back(std::max(0.0, divergence / sum_exact)); // rounding can take it below its least value
  same_ += top_exact - exact == top_tested - tested ? 1 : 0;
  if (next < 0)
    return;
  ++predicted_;
  loss_exact_ += norm_exact - exact[next];
  loss_tested_ += norm_tested - tested[next];
}

GapSummary DistributionGap::summary() const {
  GapSummary made;
  made.positions = divergences_.size();
  if (divergences_.empty())
    return made;
  std::vector<double> sorted = divergences_;
  std::sort(sorted.begin(), sorted.end());
  const auto count = static_cast<double>(sorted.size());
  for (const double divergence : sorted)
    made.mean += divergence / count;
  const double rank = 0.99 * (count - 1);
  const auto below = static_cast<std::size_t>(rank);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  made.p99 = sorted[below] + (rank - static_cast<double>(below)) * (sorted[above] - sorted[below]);
  made.max = sorted.back();
  made.same_top1 = static_cast<double>(same_) / count;
  made.predicted = predicted_;
  if (predicted_ > 0) {
    made.perplexity_exact = std::exp(loss_exact_ / static_cast<double>(predicted_));
    made.perplexity_tested = std::exp(loss_tested_ / static_cast<double>(predicted_));
  }
  return made;
}

} // namespace cli
