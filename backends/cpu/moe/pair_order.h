// The order in which experts work: all (row, expert) pairs sorted by expert, the shared experts after them as one more
// "expert" that every row chose.
#pragma once

#include <cstdint>
#include <vector>

namespace abyssal::cpu {

struct PairOrder {
  // index: [rows, top_k], each below experts.
  PairOrder(const std::int32_t *index, std::int64_t rows, std::int64_t top_k, std::int64_t experts, bool shared);

  struct Run {
    std::int64_t expert; // -1: the shared ones
    std::int64_t begin, count;
  };
  std::vector<std::int64_t> source; // [pairs (+ rows)]: the row of x at each sorted place
  std::vector<std::int64_t> place;  // [pairs]: the sorted place of each pair
  std::vector<Run> runs;            // experts that have rows, ascending
};

inline PairOrder::PairOrder(const std::int32_t *index, std::int64_t rows, std::int64_t top_k, std::int64_t experts,
                            bool shared) {
  const std::int64_t pairs = rows * top_k;
  std::vector<std::int64_t> begin(static_cast<std::size_t>(experts) + 1, 0);
  for (std::int64_t i = 0; i < pairs; ++i)
    ++begin[static_cast<std::size_t>(index[i]) + 1];
  for (std::size_t e = 0; e < static_cast<std::size_t>(experts); ++e)
    begin[e + 1] += begin[e];
  source.resize(static_cast<std::size_t>(pairs));
  place.resize(static_cast<std::size_t>(pairs));
  std::vector<std::int64_t> next = begin;
  for (std::int64_t i = 0; i < pairs; ++i) {
    const std::int64_t at = next[static_cast<std::size_t>(index[i])]++;
    source[static_cast<std::size_t>(at)] = i / top_k;
    place[static_cast<std::size_t>(i)] = at;
  }
  for (std::int64_t e = 0; e < experts; ++e) {
    const std::int64_t first = begin[static_cast<std::size_t>(e)],
                       count = begin[static_cast<std::size_t>(e) + 1] - first;
    if (count > 0)
      runs.push_back({e, first, count});
  }
  if (!shared)
    return;
  for (std::int64_t r = 0; r < rows; ++r)
    source.push_back(r);
  if (rows > 0)
    runs.push_back({-1, pairs, rows});
}

} // namespace abyssal::cpu
