// Tokens that were evaluated, the cache blocks that hold them, and the results of the last evaluation.
#pragma once

#include "engine/loaded_model.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace abyssal {

class Sequence;

struct EvalOptions {
  bool keep_hidden = false, keep_layers = false, keep_routes = false;
  std::uint64_t logits = 1;
  bool mtp = false;
  std::uint32_t chunk = 0; // 0: the plan's
};

struct EvalItem {
  Sequence *sequence = nullptr;
  std::span<const std::int32_t> tokens;
  const std::atomic<bool> *cancelled = nullptr; // stops the evaluation as Sequence::cancel does; may be null
};

// A result as a row-major array.
struct OutputArray {
  aby_dtype dtype = ABY_DTYPE_F32;
  const void *data = nullptr;
  std::vector<std::int64_t> shape;
};

class Sequence {
public:
  explicit Sequence(std::shared_ptr<LoadedModel> model);
  ~Sequence();
  Sequence(const Sequence &) = delete;
  Sequence &operator=(const Sequence &) = delete;

  const std::shared_ptr<LoadedModel> &model() const noexcept { return model_; }

  // All but cancel() throw BUSY while another thread is inside a call on this sequence.
  std::size_t length();
  std::vector<std::int32_t> tokens();
  void truncate(std::size_t length);
  std::shared_ptr<Sequence> fork();
  OutputArray output(aby_output kind, std::int32_t layer);
  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }

private:
  friend void evaluate(std::span<const EvalItem> items, const EvalOptions &options);
  friend class Evaluation;

  std::unique_lock<std::mutex> enter();
  void drop_if_stale() noexcept; // after the weights were replaced
  void release_blocks(std::size_t keep) noexcept;
  OutputArray cache_output(aby_output kind, std::int32_t layer);

  std::shared_ptr<LoadedModel> model_;
  std::mutex mutex_;
  std::atomic<bool> cancelled_{false};
  std::uint64_t epoch_;
  std::vector<std::int32_t> tokens_;
  std::vector<std::int32_t> blocks_;
  std::size_t mtp_rows_ = 0; // pairs in the MTP layer's cache
  SequenceOutputs outputs_;
  EvalOptions kept_; // what outputs_ holds
  bool has_outputs_ = false;
  std::vector<float> cache_copy_; // of the last cache output
};

// Appends the tokens of each item to its sequence and evaluates them in shared passes. All sequences belong to one
// model and differ. On any error every sequence is as before, without outputs.
void evaluate(std::span<const EvalItem> items, const EvalOptions &options);

} // namespace abyssal
