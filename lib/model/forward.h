// One forward pass over a ragged batch, as a sequence of backend ops.
#pragma once

#include "model/model_weights.h"
#include "model/profile.h"
#include "model/rope.h"
#include "model/workspace.h"

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

namespace abyssal {

// What of a pass is kept, per sequence; a pass appends its rows.
struct SequenceOutputs {
  std::vector<float> logits;                          // [n, vocab]
  std::vector<std::vector<float>> hidden;             // [layers + 1] of [n, hidden]; the last after the final norm
  std::vector<std::vector<std::int32_t>> route_index; // [layers] of [n, top_k]; empty for layers without experts
  std::vector<std::vector<float>> route_weight;       // the same
  std::vector<float> mtp_logits;                      // [n, vocab]
  std::vector<float> mtp_hidden;                      // [n, hidden]
  std::vector<float> last_hidden;                     // [hidden] after the final norm, of the newest token (with mtp)
};

// One sequence's share of a pass.
struct PassSequence {
  std::span<const std::int32_t> tokens;
  std::int32_t context = 0;             // cached tokens before these
  std::span<const std::int32_t> blocks; // of the cache, enough for context + tokens
  std::int32_t skip = 0;                // leading rows whose results are not kept
  std::int32_t replay = 0;              // leading rows that are evaluated again, and whose MTP pairs are cached
  std::int32_t logits = 0;              // last rows that logits are wanted of, MTP logits likewise
  bool keep_hidden = false, keep_layers = false, keep_routes = false;
  bool mtp = false;
  std::span<const float> previous_hidden; // [hidden] of the token before; for mtp with context > 0
  SequenceOutputs *out = nullptr;
  const std::atomic<bool> *cancelled = nullptr; // either may be null
  const std::int32_t *cancel = nullptr;
};

// Queries of a pass times the keys that each attends to.
inline std::uint64_t attended_pairs(const PassSequence &sequence) noexcept {
  const std::uint64_t fresh = sequence.tokens.size();
  return fresh * static_cast<std::uint64_t>(sequence.context) + fresh * (fresh + 1) / 2;
}

struct ForwardModel {
  const ModelSpec *spec = nullptr;
  const ModelWeights *weights = nullptr;
  const Rope *rope = nullptr;
  std::span<const LayerCache> cache; // [layers, and one more with MTP]
  aby_dtype cache_dtype = ABY_DTYPE_F32;
  std::uint32_t absorb_below = 128;
  Profile *profile = nullptr; // times the pass when it is on
};

// Runs the pass and waits for it. The caller holds the device's queue mutex. Throws CANCELLED between layers when a
// sequence was cancelled; whatever it throws, the stream is empty afterwards.
void forward_pass(const DevicePtr &device, Workspace &workspace, const ForwardModel &model,
                  std::span<const PassSequence> sequences);

} // namespace abyssal
