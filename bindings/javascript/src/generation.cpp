#include "generation.h"

#include <chrono>
#include <deque>
#include <mutex>
#include <utility>

namespace abyssal::node {

namespace {

constexpr std::size_t kAhead = 128; // events that wait for their reader
// A reader is woken at most so often: waking the event loop takes longer than a small model's token, and time from the
// threads that evaluate. A model with tokens longer than this wakes it for each.
constexpr std::chrono::milliseconds kBetweenWakes{5};
constexpr std::uint32_t kStretch = 1000; // microseconds that the library may be left alone with a reply
constexpr std::size_t kEventNumbers = 9; // as stream.cjs reads them

struct Event {
  aby_event raw;
  std::string text;
};
using Events = std::deque<Event>;

const std::uint8_t *flags_of(const std::string &mask) { return reinterpret_cast<const std::uint8_t *>(mask.data()); }

// Characters of a string of JavaScript, which are those of UTF-16.
std::size_t js_length(std::string_view utf8) {
  std::size_t length = 0;
  for (const char byte : utf8) {
    const auto bits = static_cast<unsigned char>(byte);
    length += (bits & 0xC0) == 0x80 ? 0 : bits >= 0xF0 ? 2 : 1;
  }
  return length;
}

// One text, which the script cuts: making a string of each event takes longer than all the rest.
Napi::Value to_js(Napi::Env env, const Events &events) {
  Napi::Float64Array numbers = Napi::Float64Array::New(env, events.size() * kEventNumbers);
  double *next = numbers.Data();
  std::string text;
  std::size_t text_end = 0;
  for (const Event &event : events) {
    text += event.text;
    text_end += js_length(event.text);
    const aby_event &raw = event.raw;
    for (const double number :
         {static_cast<double>(raw.kind), static_cast<double>(raw.text_kind), static_cast<double>(raw.token),
          static_cast<double>(raw.finish_reason), static_cast<double>(raw.prompt_done),
          static_cast<double>(raw.prompt_total), static_cast<double>(raw.completion_tokens),
          static_cast<double>(raw.reasoning_tokens), static_cast<double>(text_end)})
      *next++ = number;
  }
  const Napi::Object made = Napi::Object::New(env);
  made.Set("text", Napi::String::New(env, text));
  made.Set("numbers", numbers);
  return made;
}

} // namespace

class Writer : public Cancellable, public std::enable_shared_from_this<Writer> {
public:
  Writer(Bridge &bridge, std::shared_ptr<SequenceState> on, generation made, bool write_ahead)
      : bridge_(bridge), sequence_(std::move(on)), use_(sequence_->use()), begin_(sequence_->object.length()),
        object_(std::move(made)), write_ahead_(write_ahead) {}

  void cancel() noexcept override {
    try {
      object_.cancel();
    } catch (const std::exception &) { // closed
    }
  }

  // What is there, and goes on writing. On the JavaScript thread, as the next three.
  Events collect(Napi::Env env) {
    const std::lock_guard lock(mutex_);
    Events taken;
    taken.swap(ready_);
    if (taken.empty() && failure_)
      throw_failure(env, *std::exchange(failure_, std::nullopt));
    write_on();
    return taken;
  }

  Napi::Value take(Napi::Env env) {
    {
      const std::lock_guard lock(mutex_);
      if (waiting_)
        throw error(ABY_ERROR_BUSY, "another reader waits for an event of this reply");
      waiting_ = std::make_shared<Napi::Promise::Deferred>(env);
      bridge_.begin_pending();
    }
    const Napi::Value promise = waiting_->Promise();
    write_on_or_wake();
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

  // On the lane, after stop: takes back what is beyond a number of tokens of the reply, and frees the sequence. A reply
  // that has ended by itself uses it too, until its reader knows.
  void finish(std::uint64_t keep) {
    const auto use = std::move(use_); // until all is done
    object_.close();
    if (!use || sequence_->object.closed())
      return; // finished before, or nobody can look
    if (sequence_->object.length() - begin_ > keep)
      sequence_->object.truncate(begin_ + keep);
  }

  // The same at once, on the JavaScript thread, for a reply that has ended by itself and was read to its end.
  bool finish_at_end() {
    {
      const std::lock_guard lock(mutex_);
      if (!ended_ || !ready_.empty())
        return false;
    }
    finish(UINT64_MAX);
    return true;
  }

  const std::shared_ptr<Lane> &lane() const { return sequence_->lane; }

private:
  bool at_end() const { return ended_ || stopped_ || failure_; }

  // Under the lock.
  void write_on() {
    if (writing_ || at_end() || ready_.size() >= (write_ahead_ ? kAhead : waiting_ ? 1 : 0))
      return;
    writing_ = lane()->submit([self = shared_from_this()] { self->step(); });
  }

  void write_on_or_wake() {
    std::unique_lock lock(mutex_);
    write_on();
    wake(lock, !ready_.empty() || at_end());
  }

  // One step, on the lane. Others that wait for the lane have their turn before the next one.
  void step() {
    std::optional<Failure> failed;
    Event event{};
    {
      std::unique_lock lock(mutex_);
      if (stopped_) {
        writing_ = false;
        return wake(lock, true);
      }
    }
    try {
      event.raw = object_.step();
      event.text = text_of(event.raw);
    } catch (...) {
      failed = current_failure();
    }
    std::unique_lock lock(mutex_);
    writing_ = false;
    if (failed) {
      failure_ = std::move(failed);
    } else {
      ended_ = event.raw.kind == ABY_EVENT_END;
      ready_.push_back(std::move(event));
    }
    const bool due = is_due();
    write_on();
    wake(lock, due);
  }

  // Under the lock: whether the reader is to have what there is at once. If not, which is only where it writes ahead,
  // the next step, which follows right away, asks again: nothing is kept back while another job has the lane.
  bool is_due() const {
    return at_end() || !write_ahead_ || ready_.size() >= kAhead / 2 || lane()->has_waiting_jobs() ||
           std::chrono::steady_clock::now() - last_wake_ >= kBetweenWakes;
  }

  // If it is due, gives the reader that waits what there is. Lets go of the lock first, for which it would wait.
  void wake(std::unique_lock<std::mutex> &lock, bool due) {
    if (!due || !waiting_ || woken_)
      return;
    woken_ = true;
    last_wake_ = std::chrono::steady_clock::now();
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
      waiting->Resolve(to_js(env, collect(env)));
    } catch (const Napi::Error &failed) {
      waiting->Reject(failed.Value());
    } catch (...) {
      waiting->Reject(make_error(env, current_failure()));
    }
  }

  Bridge &bridge_;
  const std::shared_ptr<SequenceState> sequence_;
  std::shared_ptr<void> use_; // until finish
  const std::uint64_t begin_;
  generation object_;
  const bool write_ahead_;

  std::mutex mutex_; // of what follows
  Events ready_;
  std::optional<Failure> failure_;
  bool writing_ = false, ended_ = false, stopped_ = false, woken_ = false;
  std::chrono::steady_clock::time_point last_wake_ = std::chrono::steady_clock::now();
  std::shared_ptr<Napi::Promise::Deferred> waiting_;
};

Generation::~Generation() {
  if (!writer_)
    return;
  writer_->stop();
  try {
    writer_->lane()->submit([writer = writer_] {
      try {
        writer->finish(UINT64_MAX);
      } catch (const std::exception &) { // the sequence was closed meanwhile
      }
    });
  } catch (const std::exception &) { // no thread: the handles go with the last reference
  }
}

void Generation::create(Napi::Env env, const Sequence &sequence, std::vector<std::int32_t> prompt,
                        GenerationOptions options, std::vector<std::int32_t> stop_tokens, const std::string &mask,
                        bool write_ahead) {
  const auto &on = sequence.state();
  on->check_free();
  options->raw.stop_tokens = stop_tokens.data();
  options->raw.stop_token_count = stop_tokens.size();
  const std::vector<std::uint32_t> words = mask_words(flags_of(mask), mask.size());
  options->raw.mask = words.empty() ? nullptr : words.data();
  options->raw.mask_count = mask.size();
  options->raw.write_ahead = write_ahead ? kStretch : 0;
  writer_ = std::make_shared<Writer>(Bridge::of(env), on, generation(on->object, prompt, options->raw), write_ahead);
  Bridge::of(env).watch(writer_);
}

Napi::Value Generation::poll(Napi::Env env) {
  const Events events = writer_->collect(env);
  return events.empty() ? env.Null() : to_js(env, events);
}

Napi::Value Generation::take(Napi::Env env) { return writer_->take(env); }

void Generation::cancel() {
  if (writer_)
    writer_->cancel();
}

Task Generation::set_mask(std::string mask) {
  return make_task(writer_->lane(), [writer = writer_, mask = std::move(mask)] { writer->set_mask(mask); });
}

bool Generation::finish_at_end() { return writer_->finish_at_end(); }

Task Generation::stop(std::uint64_t prompt_done, std::uint64_t completion_tokens) {
  writer_->stop();
  // The token drawn last is evaluated only when another one is wanted.
  const std::uint64_t keep = prompt_done + (completion_tokens == 0 ? 0 : completion_tokens - 1);
  return make_task(writer_->lane(), [writer = writer_, keep] { writer->finish(keep); });
}

} // namespace abyssal::node
