// What scripts hold: devices, models and sequences. SWIG wraps these classes, and index.cjs what SWIG makes.
//
// Every object keeps the lane of its device, on which all its evaluations run, one after the other. Calls take copies
// of the handles that they need, so collecting, or closing, an object during a call is safe.
#pragma once

#include "bridge.h"
#include "struct_visitor.h"
#include "task.h"
#include "tensors.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace abyssal::node {

using DeviceOptions = Options<aby_device_options>;
using ModelOptions = Options<aby_model_options>;
using ChatOptions = Options<aby_chat_options>;
using EvalOptions = Options<aby_eval_options>;

class Model;

class Device {
public:
  void open(Napi::Env env, DeviceOptions options);
  void open_of(const Model &model);
  aby_device_info info() const { return object().info(); }
  bool closed() const { return !object_ || object_->closed(); }
  void close() {
    if (object_)
      object_->close();
  }

  const device &object() const;
  const std::shared_ptr<Lane> &lane() const { return lane_; }

private:
  std::optional<device> object_;
  std::shared_ptr<Lane> lane_;
};

class Model {
public:
  explicit Model(Napi::Env env) : env_(env) {}
  ~Model() { close(); }

  // progress(stage, done, total) and warning(text), which may be undefined, are called on the JavaScript thread. device
  // may be null.
  Task open(Napi::Env env, std::string path, ModelOptions options, const Device *device, const Cancel &cancel,
            Napi::Value progress, Napi::Value warning);
  Task open_tensors(Napi::Env env, std::string config, const Tensors &tensors, ModelOptions options,
                    const Device *device, const Cancel &cancel, Napi::Value progress, Napi::Value warning);
  static Task plan(Napi::Env env, std::string path, ModelOptions options, const Device *device);
  static Task quantize(Napi::Env env, std::string path, std::string out, ModelOptions options, const Cancel &cancel,
                       Napi::Value progress);
  Task update(const Tensors &tensors);
  // Between the evaluations of the device, so that those which were started before it are not measured.
  Task profile(bool on);
  std::vector<aby_profile_part> profile_parts() const { return object().profile_parts(); }

  aby_model_info info() const { return object().info(); }
  std::vector<std::int32_t> eos_tokens() const { return object().eos_tokens(); }
  Task tokenize(Napi::Env env, std::string text, std::uint32_t flags) const;
  Task detokenize(Napi::Env env, std::vector<std::int32_t> tokens, std::uint32_t flags) const;
  Task render_chat(Napi::Env env, std::string messages, ChatOptions options) const;
  bool closed() const { return !state_->object || state_->object->closed(); }
  void close();

  const model &object() const;
  const std::shared_ptr<Lane> &lane() const { return state_->lane; }

private:
  struct State {
    std::optional<model> object;
    std::shared_ptr<Lane> lane;
  };
  Task start_opening(Napi::Env env, const Device *device, ModelOptions options, const Cancel &cancel,
                     Napi::Value progress, Napi::Value warning, std::function<model(const aby_model_options &)> make);

  Napi::Env env_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// A sequence, and what it is busy with: a call, from its start and not only from when it has its thread, and a reply.
class SequenceState : public std::enable_shared_from_this<SequenceState> {
public:
  SequenceState(sequence made, std::shared_ptr<Lane> on) : object(std::move(made)), lane(std::move(on)) {}
  // Both until the result is destroyed, and both throw ABY_ERROR_BUSY: a call, and a reply that is written onto it.
  std::shared_ptr<void> use();
  std::shared_ptr<void> write();
  // Throw ABY_ERROR_BUSY: for what reads, which a reply lets in between its steps, and for what changes.
  void check_free() const;
  void check_unwritten() const;
  bool busy() const noexcept { return used_ || written_; }

  sequence object;
  const std::shared_ptr<Lane> lane;
  // The call, and the reply. On the JavaScript thread.
  std::weak_ptr<Cancellable> evaluation, reply;

private:
  std::atomic<bool> used_{false}, written_{false};
};

class Sequence {
public:
  explicit Sequence(Napi::Env env) : env_(env) {}
  ~Sequence();

  void create(const Model &model);
  void fork_of(const Sequence &other);
  Task eval(std::vector<std::int32_t> tokens, EvalOptions options, const Cancel &cancel);
  aby_array output(aby_output_kind kind, std::int32_t layer);
  std::uint32_t length() const { return static_cast<std::uint32_t>(free_state().object.length()); }
  std::vector<std::int32_t> tokens() const { return free_state().object.tokens(); }
  void truncate(std::uint32_t length);
  // The evaluation that runs.
  void cancel();
  bool closed() const { return !state_; }
  // Cancels a reply that is written onto it too.
  void close();

  const std::shared_ptr<SequenceState> &state() const; // throws STATE when it is closed
  const model &model_of() const;                       // the same

private:
  SequenceState &free_state() const; // throws BUSY too

  Napi::Env env_;
  std::shared_ptr<SequenceState> state_;
  std::optional<model> model_;
};

// Sequences that are evaluated in shared passes.
class Batch {
public:
  explicit Batch(Napi::Env env) : env_(env) {}
  void add(const Sequence &sequence, std::vector<std::int32_t> tokens);
  Task eval(EvalOptions options, const Cancel &cancel);

private:
  Napi::Env env_;
  std::vector<std::shared_ptr<SequenceState>> sequences_;
  std::vector<std::vector<std::int32_t>> tokens_;
};

std::vector<aby_backend_info> list_backends();

} // namespace abyssal::node
