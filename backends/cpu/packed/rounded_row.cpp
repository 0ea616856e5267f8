#include "backends/cpu/packed/rounded_row.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace abyssal::cpu {

namespace {

// A group is wide from twice the row's usual scale on. The usual one is the geometric mean, near enough the median, but
// for its logarithms a positive float's bits serve: they grow by kOctave with each doubling, in straight lines between.
constexpr std::int64_t kOctave = 1 << 23;

bool counts(float scale) noexcept { return scale > 0 && std::isfinite(scale); }

} // namespace

void choose_wide_groups(const RoundedRow &row, WideGroups which) noexcept {
  const std::int64_t groups = row.units * kUnitScales;
  if (which == WideGroups::kAll) {
    std::fill_n(row.wide, groups, std::uint8_t{1});
    return;
  }
  std::int64_t sum = 0, counted = 0;
  for (std::int64_t g = 0; g < groups; ++g) {
    if (counts(row.scale[g])) {
      sum += std::bit_cast<std::int32_t>(row.scale[g]);
      ++counted;
    }
  }
  const std::int64_t least = counted > 0 ? sum / counted + kOctave : 0;
  for (std::int64_t g = 0; g < groups; ++g)
    row.wide[g] = counts(row.scale[g]) && std::bit_cast<std::int32_t>(row.scale[g]) > least ? 1 : 0;
}

} // namespace abyssal::cpu
