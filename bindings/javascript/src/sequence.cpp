#include "objects.h"

#include <set>
#include <utility>

namespace abyssal::node {

void SequenceState::cancel() noexcept {
  cancelled = true;
  try {
    object.cancel();
  } catch (const std::exception &) { // closed: nothing to cancel
  }
}

void SequenceState::check_free() const {
  if (used_)
    throw error(ABY_ERROR_BUSY, "the sequence is in use by a call on another thread");
}

std::shared_ptr<void> SequenceState::use() {
  check_free();
  used_ = true;
  cancelled = false;
  return {this, [self = shared_from_this()](void *) { self->used_ = false; }};
}

const std::shared_ptr<SequenceState> &Sequence::state() const {
  if (!state_)
    throw error(ABY_ERROR_STATE, "the sequence is closed");
  return state_;
}

SequenceState &Sequence::free_state() const {
  state()->check_free();
  return *state_;
}

// Collected: a call that was started before goes on, and the sequence goes with the last thing that it holds.
Sequence::~Sequence() {
  if (state_ && !state_->in_use())
    close();
}

void Sequence::create(const Model &model) {
  state_ = std::make_shared<SequenceState>(sequence(model.object()), model.lane());
  Bridge::of(env_).watch(state_);
}

void Sequence::fork_of(const Sequence &other) {
  state_ = std::make_shared<SequenceState>(other.free_state().object.fork(), other.state()->lane);
  Bridge::of(env_).watch(state_);
}

Task Sequence::eval(std::vector<std::int32_t> tokens, EvalOptions options) {
  auto work = [on = state(), use = state()->use(), tokens = std::move(tokens), options] {
    if (on->cancelled)
      throw error(ABY_ERROR_CANCELLED, "the evaluation was cancelled");
    on->object.eval(tokens, options->raw);
  };
  return make_task(state_->lane, std::move(work));
}

aby_array Sequence::output(aby_output kind, std::int32_t layer) { return free_state().object.output(kind, layer); }

void Sequence::cancel() {
  if (state_)
    state_->cancel();
}

// Its cache is free at once, though collected objects may still know the state.
void Sequence::close() {
  if (state_)
    state_->object.close();
  state_ = nullptr;
}

void Batch::add(const Sequence &sequence, std::vector<std::int32_t> tokens) {
  sequences_.push_back(sequence.state());
  tokens_.push_back(std::move(tokens));
}

Task Batch::eval(EvalOptions options) {
  if (sequences_.empty())
    throw error(ABY_ERROR_INVALID_ARGUMENT, "evalBatch: there are no sequences");
  if (std::set(sequences_.begin(), sequences_.end()).size() != sequences_.size())
    throw error(ABY_ERROR_INVALID_ARGUMENT, "a sequence occurs twice in one batch");
  std::vector<std::shared_ptr<void>> uses;
  for (const auto &on : sequences_)
    uses.push_back(on->use());
  auto work = [states = sequences_, uses = std::move(uses), tokens = tokens_, options] {
    std::vector<sequence> objects;
    for (const auto &on : states) {
      if (on->cancelled)
        throw error(ABY_ERROR_CANCELLED, "the evaluation was cancelled");
      objects.push_back(on->object);
    }
    eval_batch(objects, tokens, options->raw);
  };
  return make_task(sequences_.front()->lane, std::move(work));
}

} // namespace abyssal::node
