// How far predictions of the next token are from those of exact arithmetic, over the positions of texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cli {

struct GapSummary {
  std::size_t positions = 0;
  double mean = 0, p99 = 0, max = 0; // KL(exact || tested), in nats
  double same_top1 = 0;              // share of positions whose likeliest token is the same; ties to the lower id
  std::size_t predicted = 0;         // positions whose next token is known: those that the perplexities are of
  double perplexity_exact = 0, perplexity_tested = 0; // 0 where predicted is
};

class DistributionGap {
public:
  explicit DistributionGap(std::size_t vocab) : vocab_(vocab), probability_(vocab) {}

  // Logits [vocab] of the next position, by both ways of computing. next: the token that follows in the text, or -1.
  // Throws std::runtime_error where a logit is not a finite number.
  void add(const float *exact, const float *tested, std::int32_t next);

  // The 99th percentile lies between the two nearest positions, by linear interpolation.
  GapSummary summary() const;

private:
  std::size_t vocab_;
  std::vector<double> probability_; // of the exact logits, before they are divided by their sum
  std::vector<double> divergences_;
  std::size_t same_ = 0, predicted_ = 0;
  double loss_exact_ = 0, loss_tested_ = 0;
};

} // namespace cli
