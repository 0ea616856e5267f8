// Where the time of evaluations goes: calls, seconds and work of each part of the forward pass, on any backend.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace abyssal {

enum class Part : std::uint8_t {
  kEmbedding,
  kNorms,       // and the residual's additions
  kProjections, // of attention; for MLA with its inner norms, RoPE and the cache's rows
  kAttention,   // for grouped-query attention with RoPE and the cache's rows
  kRouter,
  kExperts, // routed and shared
  kMlp,
  kHead,
  kSampling
};
constexpr std::size_t kParts = 9;
const char *part_name(Part part) noexcept;

// What a call had to do at least.
struct Work {
  std::uint64_t flops = 0; // two for a multiplication and its addition
  std::uint64_t bytes = 0; // of weights and cached rows, read once
};

struct PartTotals {
  std::uint64_t calls = 0, flops = 0, bytes = 0;
  double seconds = 0;
};

// Any thread may use it at any time.
class Profile {
public:
  // Begins anew.
  void start();
  void stop() noexcept { on_.store(false, std::memory_order_relaxed); }
  bool on() const noexcept { return on_.load(std::memory_order_relaxed); }

  PartTotals totals(Part part) const;
  void record(Part part, const Work &work, double seconds);

  // Runs the body, which is one call of a part on the host, and returns its result.
  template <typename Body> auto timed(Part part, Body &&body) {
    if (!on())
      return body();
    const auto begin = std::chrono::steady_clock::now();
    auto result = body();
    record(part, {}, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    return result;
  }

private:
  mutable std::mutex mutex_;
  std::atomic<bool> on_{false};
  std::array<PartTotals, kParts> totals_{};
};

} // namespace abyssal
