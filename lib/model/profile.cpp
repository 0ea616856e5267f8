#include "model/profile.h"

namespace abyssal {

const char *part_name(Part part) noexcept {
  constexpr std::array<const char *, kParts> names = {
      "embedding", "norms", "attention projections", "attention", "router", "experts", "mlp", "head", "sampling"};
  return names[static_cast<std::size_t>(part)];
}

void Profile::start() {
  const std::lock_guard lock(mutex_);
  totals_ = {};
  on_.store(true, std::memory_order_relaxed);
}

PartTotals Profile::totals(Part part) const {
  const std::lock_guard lock(mutex_);
  return totals_[static_cast<std::size_t>(part)];
}

void Profile::record(Part part, const Work &work, double seconds) {
  const std::lock_guard lock(mutex_);
  PartTotals &totals = totals_[static_cast<std::size_t>(part)];
  ++totals.calls;
  totals.flops += work.flops;
  totals.bytes += work.bytes;
  totals.seconds += seconds;
}

} // namespace abyssal
