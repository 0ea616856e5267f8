// The parts of a decoder layer: an attention and a feed-forward. A kind of either is a spec (its sizes, what it caches,
// what memory it takes, which weights it has) and what the spec loads, which runs. A new kind is a new file beside this
// one, and a family that puts it into its layers.
#pragma once

#include "device/backend.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace abyssal {

struct Pass;
class WeightScope;

// What an attention keeps of each token.
struct CacheSpec {
  abk_cache_kind kind = ABK_CACHE_LATENT;
  std::int32_t heads = 1, width = 0, rope_dim = 0; // as in abk_cache_desc
  std::int32_t tokens_per_row = 1;                 // a divisor of ABK_BLOCK_TOKENS; more than 1: compressed rows
  std::int32_t window = 0;                         // only rows of the last so many tokens are read; 0: all

  abk_cache_desc desc(aby_dtype dtype) const noexcept { return {kind, dtype, heads, width, rope_dim}; }
  std::int32_t values() const noexcept { return heads * width + rope_dim; }
  std::int32_t rows_per_block() const noexcept { return ABK_BLOCK_TOKENS / tokens_per_row; }
};

// The cached rows of one layer: a span for each of its caches, in their order.
using LayerCache = std::vector<abk_span>;

// What memory and ops depend on.
struct PassShape {
  std::int32_t hidden = 0;
  std::int32_t rows = 0;    // tokens of one pass
  std::int32_t context = 0; // longest sequence in it, the new tokens included
  aby_dtype activations = ABY_DTYPE_F32;
  std::uint32_t absorb_below = 0;
};

class LayerPart {
public:
  virtual ~LayerPart() = default;
  // Bytes of the workspace's arena that a run takes.
  virtual std::uint64_t arena_bytes(const PassShape &shape) const = 0;
  // The ops of a run.
  virtual std::vector<abk_op_desc> ops(const PassShape &shape) const = 0;

protected:
  LayerPart() = default;
  LayerPart(const LayerPart &) = default;
  LayerPart &operator=(const LayerPart &) = default;
};

// With its weights: pass.normed() -> pass.delta().
class Attention {
public:
  virtual ~Attention() = default;
  virtual void run(const Pass &pass, const LayerCache &cache) const = 0;
};

class FeedForward {
public:
  virtual ~FeedForward() = default;
  virtual void run(const Pass &pass) const = 0;
};

// What is told of a model's attention.
struct AttentionInfo {
  const char *name; // "mla", "gqa"
  std::int32_t heads, kv_heads, kv_lora_rank;
};

class AttentionSpec : public LayerPart {
public:
  virtual std::vector<CacheSpec> caches() const = 0;
  virtual AttentionInfo info() const = 0;
  // attention: the weights below "self_attn.".
  virtual std::unique_ptr<const Attention> load(const WeightScope &attention, std::int32_t hidden) const = 0;
};

struct RoutedExperts {
  std::int32_t experts = 0, top_k = 0;
};

class FeedForwardSpec : public LayerPart {
public:
  // The routes of a pass are then in the workspace's route_index and route_weight.
  virtual RoutedExperts routed() const { return {}; }
  // mlp: the weights below "mlp.".
  virtual std::unique_ptr<const FeedForward> load(const WeightScope &mlp, std::int32_t hidden) const = 0;
};

} // namespace abyssal
