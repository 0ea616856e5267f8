// Tokens that were evaluated, the cache blocks that hold them, and the results of the last evaluation.
#pragma once

#include "engine/loaded_model.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace abyssal {

class Sequence;

struct EvalOptions {
  bool keep_hidden = false, keep_layers = false, keep_routes = false;
  std::uint64_t logits = 1;
  bool mtp = false;
  std::uint32_t chunk = 0;              // 0: the plan's
  const std::int32_t *cancel = nullptr; // the evaluation stops soon after it is set; may be null
};

struct EvalItem {
  Sequence *sequence = nullptr;
  std::span<const std::int32_t> tokens;
  const void *writer = nullptr;                 // that asks for it: the reply being written onto the sequence
  const std::atomic<bool> *cancelled = nullptr; // stops the evaluation; may be null
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

  // All throw BUSY while another thread is inside a call on this sequence.
  std::size_t length();
  std::vector<std::int32_t> tokens();
  void truncate(std::size_t length); // BUSY too while a reply is being written
  std::shared_ptr<Sequence> fork();
  OutputArray output(aby_output_kind kind, std::int32_t layer);

  // While a reply is being written, nobody else changes the sequence: they get BUSY, as a second writer does.
  // take_last: the token that a reply left to be evaluated, if there is one, is taken off the sequence. Throws STATE if
  // there is neither that nor logits of the last token.
  std::optional<std::int32_t> begin_writing(const void *writer, bool take_last);
  // left: the token that was drawn last. It belongs to the sequence, and is evaluated with what comes next.
  void end_writing(std::optional<std::int32_t> left) noexcept;

private:
  friend void evaluate(std::span<const EvalItem> items, const EvalOptions &options);
  friend class Evaluation;

  std::unique_lock<std::mutex> enter();
  std::unique_lock<std::mutex> enter_to_change(const void *writer = nullptr);
  void drop_if_stale() noexcept; // after the weights were replaced
  void release_blocks(std::size_t keep) noexcept;
  OutputArray cache_output(aby_output_kind kind, std::int32_t layer);

  std::shared_ptr<LoadedModel> model_;
  std::mutex mutex_;
  const void *writer_ = nullptr; // the reply being written
  std::uint64_t epoch_;
  std::vector<std::int32_t> tokens_;
  std::size_t evaluated_ = 0; // of tokens_; at most one is left
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
