// Evaluates new tokens of several sequences: reserves blocks, cuts the tokens into passes, and on any error puts every
// sequence back as it was.
#include "base/status.h"
#include "engine/sequence.h"

#include <algorithm>

namespace abyssal {

namespace {

std::size_t blocks_for(std::size_t tokens) noexcept { return (tokens + ABK_BLOCK_TOKENS - 1) / ABK_BLOCK_TOKENS; }

} // namespace

class Evaluation {
public:
  Evaluation(std::span<const EvalItem> items, const EvalOptions &options) : options_(options) {
    for (const EvalItem &item : items)
      states_.emplace_back(item);
    std::vector<const Sequence *> seen;
    seen.reserve(states_.size());
    for (const State &state : states_)
      seen.push_back(state.sequence);
    std::sort(seen.begin(), seen.end());
    if (std::adjacent_find(seen.begin(), seen.end()) != seen.end())
      fail(ABY_ERROR_INVALID_ARGUMENT, "a sequence occurs twice in one batch");
    for (State &state : states_) {
      if (state.sequence->model_ != model())
        fail(ABY_ERROR_INVALID_ARGUMENT, "the sequences of a batch belong to different models");
      state.lock = state.sequence->enter_to_change(state.writer);
    }
  }

  void run() {
    const std::shared_lock weights(model()->weights_mutex());
    for (State &state : states_) {
      state.sequence->drop_if_stale();
      state.sequence->has_outputs_ = false;
      check(state);
    }
    try {
      for (State &state : states_)
        prepare(state);
      while (next_pass()) {
      }
    } catch (...) {
      for (State &state : states_)
        undo(state);
      throw;
    }
    for (State &state : states_)
      commit(state);
  }

private:
  struct State {
    explicit State(const EvalItem &item)
        : sequence(item.sequence), wanted(item.tokens), writer(item.writer), cancelled(item.cancelled) {}
    Sequence *sequence;
    std::span<const std::int32_t> wanted;
    const void *writer;
    const std::atomic<bool> *cancelled;
    std::unique_lock<std::mutex> lock;
    std::size_t old_length = 0, old_mtp_rows = 0; // old_length: evaluated
    std::vector<std::int32_t> old_blocks;
    std::vector<std::int32_t> replaced; // shared blocks that were copied: released on success
    std::vector<std::int32_t> tokens;   // to evaluate: those wanted, after `lead` others
    std::size_t replay = 0;             // 1 when the last token is evaluated again for its hidden state
    std::size_t lead = 0;               // that one, and tokens that a reply left: their results are not kept
    std::size_t done = 0;               // of tokens
    std::size_t passed = 0;             // of tokens in the pass being built
    SequenceOutputs outputs;
    bool touched = false;
  };

  const std::shared_ptr<LoadedModel> &model() const noexcept { return states_.front().sequence->model_; }

  void check(const State &state) const {
    const ModelSpec &spec = model()->spec();
    const std::size_t length = state.sequence->tokens_.size();
    if (state.wanted.empty())
      fail(ABY_ERROR_INVALID_ARGUMENT, "there are no tokens to evaluate");
    for (std::size_t i = 0; i < state.wanted.size(); ++i) {
      if (state.wanted[i] < 0 || state.wanted[i] >= spec.vocab_size)
        fail(ABY_ERROR_INVALID_ARGUMENT, "token ", state.wanted[i], " at index ", i, " is outside the vocabulary of ",
             spec.vocab_size);
    }
    const auto context = static_cast<std::size_t>(spec.max_position_embeddings);
    if (state.wanted.size() > context || length > context - state.wanted.size())
      fail(ABY_ERROR_CONTEXT_FULL, length, " tokens and ", state.wanted.size(), " new ones exceed the context of ",
           context);
    if (options_.mtp && !model()->mtp())
      fail(ABY_ERROR_STATE, "the model was opened without its MTP layer");
    const std::size_t evaluated = state.sequence->evaluated_;
    if (options_.mtp && evaluated > 0 && state.sequence->mtp_rows_ != evaluated - 1)
      fail(ABY_ERROR_STATE, "the sequence was evaluated without the MTP layer before: it has ", evaluated,
           " tokens, but ", state.sequence->mtp_rows_, " rows in the MTP layer's cache");
  }

  // Takes the blocks that the new tokens need; a shared block that will be written to is replaced by a copy.
  void prepare(State &state) {
    Sequence &sequence = *state.sequence;
    state.old_length = sequence.evaluated_;
    state.old_mtp_rows = sequence.mtp_rows_;
    state.old_blocks = sequence.blocks_;
    state.touched = true;
    if (options_.mtp && state.old_length > 0 && sequence.outputs_.last_hidden.empty()) {
      state.replay = 1;
      state.tokens.push_back(sequence.tokens_[sequence.evaluated_ - 1]);
    }
    state.tokens.insert(state.tokens.end(), sequence.tokens_.begin() + static_cast<std::ptrdiff_t>(state.old_length),
                        sequence.tokens_.end());
    state.lead = state.tokens.size();
    state.tokens.insert(state.tokens.end(), state.wanted.begin(), state.wanted.end());
    const std::size_t begin = state.old_length - state.replay;
    const std::size_t new_length = begin + state.tokens.size();
    sequence.tokens_.reserve(new_length + 1); // and for one that a reply may leave
    prepare_outputs(state);

    BlockPool &pool = model()->cache().pool();
    state.replaced.reserve(state.old_blocks.size()); // so that recording a copy cannot fail
    const std::size_t all = blocks_for(new_length);
    if (all > static_cast<std::size_t>(pool.size()))
      fail(ABY_ERROR_CONTEXT_FULL, new_length, " tokens need ", all, " blocks of ", ABK_BLOCK_TOKENS,
           ", and the whole cache has ", pool.size(), "; see cache_tokens");
    const std::size_t first_written = begin / ABK_BLOCK_TOKENS;
    // Pair i of the MTP layer is cached at position i, one before its token: it may be in an earlier block.
    const std::size_t first_mtp = (begin == 0 ? 0 : begin - 1) / ABK_BLOCK_TOKENS;
    for (std::size_t i = options_.mtp ? first_mtp : first_written; i < state.old_blocks.size(); ++i) {
      if (!pool.shared(sequence.blocks_[i]))
        continue;
      std::vector<std::int32_t> fresh;
      take(1, fresh, state);
      state.replaced.push_back(sequence.blocks_[i]);
      sequence.blocks_[i] = fresh.front();
      const std::lock_guard queue(model()->device()->queue_mutex());
      model()->cache().copy_block(sequence.blocks_[i], state.replaced.back());
      model()->device()->synchronize();
    }
    take(all - sequence.blocks_.size(), sequence.blocks_, state);
  }

  void take(std::size_t count, std::vector<std::int32_t> &out, const State &state) {
    BlockPool &pool = model()->cache().pool();
    if (!pool.take(static_cast<std::int32_t>(count), out))
      fail(ABY_ERROR_CACHE_FULL, "the cache is full: ", state.wanted.size(), " new tokens need ", count, " blocks of ",
           ABK_BLOCK_TOKENS, " tokens, and ", pool.free(), " of ", pool.size(), " are free; see cache_tokens");
  }

  void prepare_outputs(State &state) {
    const ModelSpec &spec = model()->spec();
    const auto layers = spec.layers.size();
    if (options_.keep_hidden || options_.keep_layers)
      state.outputs.hidden.resize(layers + 1);
    if (options_.keep_routes) {
      state.outputs.route_index.resize(layers);
      state.outputs.route_weight.resize(layers);
    }
  }

  // The share of one sequence in the next pass, of at most `room` tokens.
  PassSequence share_of(State &state, std::size_t room) {
    const std::size_t count = std::min(room, state.tokens.size() - state.done);
    const std::size_t left = state.tokens.size() - state.done - count; // after this pass
    Sequence &sequence = *state.sequence;
    PassSequence share;
    share.tokens = std::span<const std::int32_t>(state.tokens).subspan(state.done, count);
    share.context = static_cast<std::int32_t>(state.old_length - state.replay + state.done);
    share.blocks = sequence.blocks_;
    const std::size_t skip = std::min(count, state.lead - std::min(state.lead, state.done));
    share.skip = static_cast<std::int32_t>(skip);
    share.replay = static_cast<std::int32_t>(state.done == 0 ? state.replay : 0);
    share.logits = static_cast<std::int32_t>(
        options_.logits > left ? std::min<std::uint64_t>(options_.logits - left, count - skip) : 0);
    share.keep_hidden = options_.keep_hidden || options_.keep_layers;
    share.keep_layers = options_.keep_layers;
    share.keep_routes = options_.keep_routes;
    share.mtp = options_.mtp;
    share.previous_hidden = state.done == 0 ? sequence.outputs_.last_hidden : state.outputs.last_hidden;
    share.out = &state.outputs;
    share.cancelled = state.cancelled;
    share.cancel = options_.cancel;
    state.passed = count;
    return share;
  }

  bool next_pass() {
    std::size_t room = options_.chunk != 0 ? options_.chunk : model()->plan().chunk;
    std::vector<PassSequence> shares;
    for (State &state : states_) {
      state.passed = 0;
      if (room == 0 || state.done == state.tokens.size())
        continue;
      shares.push_back(share_of(state, room));
      room -= state.passed;
    }
    if (shares.empty())
      return false;
    {
      const std::lock_guard queue(model()->device()->queue_mutex());
      forward_pass(model()->device(), model()->workspace(), model()->forward_model(), shares);
    }
    for (State &state : states_)
      state.done += state.passed;
    return true;
  }

  void undo(State &state) noexcept {
    if (!state.touched)
      return;
    BlockPool &pool = model()->cache().pool();
    // Blocks that are not among the old ones were taken by this evaluation. Old ones that were replaced are put back:
    // their reference was not given up yet.
    for (std::size_t i = 0; i < state.sequence->blocks_.size(); ++i) {
      if (i >= state.old_blocks.size() || state.sequence->blocks_[i] != state.old_blocks[i])
        pool.release(state.sequence->blocks_[i]);
    }
    state.sequence->blocks_ = std::move(state.old_blocks);
  }

  void commit(State &state) noexcept {
    Sequence &sequence = *state.sequence;
    for (const std::int32_t block : state.replaced)
      model()->cache().pool().release(block);
    sequence.tokens_.insert(sequence.tokens_.end(), state.wanted.begin(), state.wanted.end()); // reserved in prepare
    sequence.evaluated_ = sequence.tokens_.size();
    sequence.outputs_ = std::move(state.outputs);
    sequence.kept_ = options_;
    sequence.has_outputs_ = true;
    if (options_.mtp)
      sequence.mtp_rows_ = sequence.tokens_.size() - 1;
  }

  const EvalOptions &options_;
  std::vector<State> states_;
};

void evaluate(std::span<const EvalItem> items, const EvalOptions &options) {
  if (items.empty())
    fail(ABY_ERROR_INVALID_ARGUMENT, "there are no sequences to evaluate");
  Evaluation(items, options).run();
}

} // namespace abyssal
