// Where the time of evaluations goes: calls, seconds and work of each part of the forward pass, on any backend.
#pragma once

#include "model/weight_visitor.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace abyssal {

struct ForwardModel;

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
struct PartWork {
  Part part = Part::kEmbedding;
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
  // Begins anew. weights: those that the passes will use, by name.
  void start(const WeightMap &weights);
  void stop() noexcept { on_.store(false, std::memory_order_relaxed); }
  bool on() const noexcept { return on_.load(std::memory_order_relaxed); }
  // The weights were replaced.
  void rebind(const WeightMap &weights);

  PartTotals totals(Part part) const;
  void record(const PartWork &work, double seconds);

  // Runs the body, which is one call of a part on the host, and returns its result.
  template <typename Body> auto timed(Part part, Body &&body) {
    if (!on())
      return body();
    const auto begin = std::chrono::steady_clock::now();
    auto result = body();
    record({part}, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    return result;
  }

  // What is known of a weight: which part a product with it belongs to, and its size. All zero for nullptr.
  struct WeightFacts {
    Part part = Part::kProjections;
    std::uint64_t elements = 0; // of one matrix
    std::uint64_t count = 0, bytes = 0;
  };
  WeightFacts facts(const abk_weight *weight) const;

private:
  mutable std::mutex mutex_;
  std::atomic<bool> on_{false};
  std::array<PartTotals, kParts> totals_{};
  std::unordered_map<const abk_weight *, WeightFacts> weights_;
};

// While it lives, ops that its thread calls through api() are timed: the stream is synchronised before and after each.
// Without a profile that is on, api() is the device's own table and nothing is done.
class ProfiledPass {
public:
  ProfiledPass(Device &device, const ForwardModel &model);
  ~ProfiledPass();
  ProfiledPass(const ProfiledPass &) = delete;
  ProfiledPass &operator=(const ProfiledPass &) = delete;

  const abk_backend &api() const noexcept { return profile_ != nullptr ? table_ : inner_; }

  // Says what a batch holds, which the ops of attention depend on, to the pass of this thread if there is one.
  static void note(const abk_batch *batch, const abk_batch_desc &desc);

  // One sequence's tokens in a batch.
  struct Share {
    std::uint64_t fresh, context;
  };

private:
  template <auto Op> friend struct TimedOp;
  Profile *profile_ = nullptr;
  const abk_backend &inner_;
  abk_backend table_;
  std::vector<std::pair<const abk_batch *, std::vector<Share>>> batches_;
};

} // namespace abyssal
