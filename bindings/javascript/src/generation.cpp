#include "generation.h"

#include "events.h"

#include <mutex>
#include <utility>

namespace abyssal::node {

namespace {

constexpr std::size_t kAhead = 128; // events that wait for their reader: with as many no step begins
// What a step that goes ahead may take: waking the event loop takes longer than a small model's token. Other replies of
// the device have their turn after it.
constexpr std::uint64_t kStepMicroseconds = 2000;

const std::uint8_t *flags_of(const std::string &mask) { return reinterpret_cast<const std::uint8_t *>(mask.data()); }

} // namespace

Task Constraint::compile_with(Napi::Env env, const model &of, aby_constraint_kind kind, std::string text) {
  return make_task(Bridge::of(env).side_lane(),
                   [object = object_, of, kind, text = std::move(text)] { object->emplace(of, kind, text); });
}

Task Constraint::compile(Napi::Env env, const Model &model, aby_constraint_kind kind, std::string text) {
  return compile_with(env, model.object(), kind, std::move(text));
}

Task Constraint::compile_for(Napi::Env env, const Sequence &sequence, aby_constraint_kind kind, std::string text) {
  return compile_with(env, sequence.model_of(), kind, std::move(text));
}

std::shared_ptr<aby_constraint> Constraint::get() const {
  if (!*object_)
    throw error(ABY_ERROR_STATE, "the constraint was not compiled");
  return (*object_)->get();
}

class Writer : public Cancellable, public std::enable_shared_from_this<Writer> {
public:
  Writer(Bridge &bridge, std::shared_ptr<SequenceState> on, std::shared_ptr<void> writes, generation made, bool ahead)
      : bridge_(bridge), sequence_(std::move(on)), ahead_(ahead), seed_(made.seed()), object_(std::move(made)),
        writes_(std::move(writes)) {}

  std::uint64_t seed() const noexcept { return seed_; }
  const std::shared_ptr<Lane> &lane() const { return sequence_->lane; }

  void cancel() noexcept override {
    try {
      object_.cancel();
    } catch (const std::exception &) { // closed
    }
  }

  // What is there, and goes on writing. On the JavaScript thread, as take.
  Events collect(Napi::Env env) {
    const std::lock_guard lock(mutex_);
    Events taken;
    std::swap(taken, ready_);
    if (taken.empty() && failure_)
      throw_failure(env, *std::exchange(failure_, std::nullopt));
    write_on();
    return taken;
  }

  Napi::Value take(Napi::Env env) {
    std::unique_lock lock(mutex_);
    if (waiting_)
      throw error(ABY_ERROR_BUSY, "another reader waits for an event of this reply");
    waiting_ = std::make_shared<Napi::Promise::Deferred>(env);
    bridge_.begin_pending();
    const Napi::Value promise = waiting_->Promise();
    write_on();
    wake(lock);
    return promise;
  }

  // On the lane.
  void set_mask(const std::string &mask) { object_.set_mask(flags_of(mask), mask.size()); }

  // No step begins after this.
  void stop() noexcept {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    cancel();
  }

  // On the lane, at the end or after stop: frees the sequence.
  void finish() {
    object_.close();
    writes_ = nullptr;
  }

private:
  bool at_end() const { return ended_ || stopped_ || failure_; }

  // Under the lock.
  void write_on() {
    if (step_ || at_end() || ready_.size() >= (ahead_ ? kAhead : waiting_ ? 1 : 0))
      return;
    auto use = sequence_->use();
    if (lane()->submit([self = shared_from_this()] { self->step(); }))
      step_ = std::move(use);
  }

  // On the lane. Others that wait for the lane have their turn before the next one.
  void step() {
    std::unique_lock lock(mutex_);
    if (!stopped_) {
      lock.unlock();
      std::optional<Failure> failed;
      try {
        const aby_events events = object_.step(ahead_ ? kStepMicroseconds : 0);
        lock.lock();
        ready_.add(events);
        ended_ = events.kind[events.count - 1] == ABY_EVENT_END;
      } catch (...) {
        failed = current_failure();
      }
      if (!lock)
        lock.lock();
      failure_ = std::move(failed);
    }
    if (ended_)
      finish(); // before its reader knows
    step_ = nullptr;
    write_on();
    wake(lock);
  }

  // Gives the reader that waits what there is. Lets go of the lock first, for which it would wait.
  void wake(std::unique_lock<std::mutex> &lock) {
    if (!waiting_ || woken_ || (ready_.empty() && !at_end()))
      return;
    woken_ = true;
    lock.unlock();
    bridge_.post([self = shared_from_this()](Napi::Env env) { self->deliver(env); });
  }

  void deliver(Napi::Env env) {
    const Napi::HandleScope scope(env);
    std::shared_ptr<Napi::Promise::Deferred> waiting;
    {
      const std::lock_guard lock(mutex_);
      woken_ = false;
      waiting.swap(waiting_);
    }
    bridge_.end_pending();
    try {
      waiting->Resolve(collect(env).to_js(env));
    } catch (const Napi::Error &failed) {
      waiting->Reject(failed.Value());
    } catch (...) {
      waiting->Reject(make_error(env, current_failure()));
    }
  }

  Bridge &bridge_;
  const std::shared_ptr<SequenceState> sequence_;
  const bool ahead_;
  const std::uint64_t seed_;
  generation object_;
  std::shared_ptr<void> writes_; // until finish

  std::mutex mutex_; // of what follows
  Events ready_;
  std::optional<Failure> failure_;
  std::shared_ptr<void> step_; // the sequence's use by one that was begun
  bool ended_ = false, stopped_ = false, woken_ = false;
  std::shared_ptr<Napi::Promise::Deferred> waiting_;
};

Generation::~Generation() {
  if (!writer_)
    return;
  writer_->stop();
  try {
    writer_->lane()->submit([writer = writer_] { writer->finish(); });
  } catch (const std::exception &) { // no thread: the handles go with the last reference
  }
}

void Generation::create(Napi::Env env, const Sequence &sequence, std::vector<std::int32_t> prompt, ReplyOptions options,
                        std::vector<std::int32_t> stop_tokens, const std::string &mask, const Constraint *constraint,
                        bool ahead) {
  const auto &on = sequence.state();
  auto writes = on->write();
  aby_reply_options &raw = options->raw;
  raw.stop_tokens = stop_tokens.data();
  raw.stop_token_count = stop_tokens.size();
  const std::vector<std::uint32_t> words = mask_words(flags_of(mask), mask.size());
  raw.mask = words.empty() ? nullptr : words.data();
  raw.mask_count = mask.size();
  const std::shared_ptr<aby_constraint> bound = constraint == nullptr ? nullptr : constraint->get();
  raw.constraint = bound.get();
  writer_ =
      std::make_shared<Writer>(Bridge::of(env), on, std::move(writes), generation(on->object, prompt, raw), ahead);
  on->reply = writer_;
  Bridge::of(env).watch(writer_);
}

std::uint64_t Generation::seed() const { return writer_->seed(); }

Napi::Value Generation::poll(Napi::Env env) {
  const Events events = writer_->collect(env);
  return events.empty() ? env.Null() : events.to_js(env);
}

Napi::Value Generation::take(Napi::Env env) { return writer_->take(env); }

void Generation::cancel() {
  if (writer_)
    writer_->cancel();
}

Task Generation::set_mask(std::string mask) {
  return make_task(writer_->lane(), [writer = writer_, mask = std::move(mask)] { writer->set_mask(mask); });
}

Task Generation::stop() {
  writer_->stop();
  return make_task(writer_->lane(), [writer = writer_] { writer->finish(); });
}

} // namespace abyssal::node
