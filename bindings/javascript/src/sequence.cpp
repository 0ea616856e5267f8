#include "objects.h"

#include <set>
#include <utility>

namespace abyssal::node {

namespace {

// Cancelled with its own flag, with those that it is told of, and by a teardown.
void set_cancel(Napi::Env env, const EvalOptions &options, const Cancel &cancel) {
  options->raw.cancel = cancel.flag()->raw();
  Bridge::of(env).watch(cancel.flag());
}

} // namespace

void SequenceState::check_free() const {
  if (used_)
    throw error(ABY_ERROR_BUSY, "the sequence is in use by a call on another thread");
}

void SequenceState::check_unwritten() const {
  check_free();
  if (written_)
    throw error(ABY_ERROR_BUSY, "a reply is being written onto the sequence: until it has ended or was closed, nothing "
                                "else changes it");
}

std::shared_ptr<void> SequenceState::use() {
  check_free();
  used_ = true;
  return {this, [self = shared_from_this()](void *) { self->used_ = false; }};
}

std::shared_ptr<void> SequenceState::write() {
  check_unwritten();
  written_ = true;
  return {this, [self = shared_from_this()](void *) { self->written_ = false; }};
}

const std::shared_ptr<SequenceState> &Sequence::state() const {
  if (!state_)
    throw error(ABY_ERROR_STATE, "the sequence is closed");
  return state_;
}

const model &Sequence::model_of() const {
  static_cast<void>(state());
  return *model_;
}

SequenceState &Sequence::free_state() const {
  state()->check_free();
  return *state_;
}

// Collected: a call that was started before goes on, and the sequence goes with the last thing that it holds.
Sequence::~Sequence() {
  if (state_ && !state_->busy())
    close();
}

void Sequence::create(const Model &model) {
  model_ = model.object();
  state_ = std::make_shared<SequenceState>(sequence(*model_), model.lane());
}

void Sequence::fork_of(const Sequence &other) {
  state_ = std::make_shared<SequenceState>(other.free_state().object.fork(), other.state()->lane);
  model_ = other.model_;
}

// The call has a handle of its own: closing the sequence cancels it, and nothing more.
Task Sequence::eval(std::vector<std::int32_t> tokens, EvalOptions options, const Cancel &cancel) {
  state()->check_unwritten();
  set_cancel(env_, options, cancel);
  auto work = [object = state_->object, use = state_->use(), tokens = std::move(tokens), options,
               flag = cancel.flag()]() mutable { object.eval(tokens, options->raw); };
  state_->evaluation = cancel.flag();
  return make_task(state_->lane, std::move(work));
}

aby_array Sequence::output(aby_output_kind kind, std::int32_t layer) { return free_state().object.output(kind, layer); }

void Sequence::truncate(std::uint32_t length) {
  state()->check_unwritten();
  state_->object.truncate(length);
}

void Sequence::cancel() {
  if (!state_)
    return;
  if (const auto evaluation = state_->evaluation.lock())
    evaluation->cancel();
}

// Its cache is free at once, though collected objects may still know the state.
void Sequence::close() {
  cancel();
  if (state_) {
    if (const auto reply = state_->reply.lock())
      reply->cancel();
    state_->object.close();
  }
  state_ = nullptr;
  model_.reset();
}

void Batch::add(const Sequence &sequence, std::vector<std::int32_t> tokens) {
  sequences_.push_back(sequence.state());
  tokens_.push_back(std::move(tokens));
}

Task Batch::eval(EvalOptions options, const Cancel &cancel) {
  if (sequences_.empty())
    throw error(ABY_ERROR_INVALID_ARGUMENT, "evalBatch: there are no sequences");
  if (std::set(sequences_.begin(), sequences_.end()).size() != sequences_.size())
    throw error(ABY_ERROR_INVALID_ARGUMENT, "a sequence occurs twice in one batch");
  set_cancel(env_, options, cancel);
  std::vector<std::shared_ptr<void>> uses;
  std::vector<sequence> objects;
  for (const auto &on : sequences_) {
    on->check_unwritten();
    uses.push_back(on->use());
    objects.push_back(on->object);
  }
  for (const auto &on : sequences_)
    on->evaluation = cancel.flag();
  auto work = [objects = std::move(objects), uses = std::move(uses), tokens = tokens_, options, flag = cancel.flag()] {
    eval_batch(objects, tokens, options->raw);
  };
  return make_task(sequences_.front()->lane, std::move(work));
}

} // namespace abyssal::node
