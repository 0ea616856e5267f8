#include "objects.h"

#include <utility>

namespace abyssal::node {

namespace {

// A script's progress function. The newest values are kept: a slow script does not hold the opening up.
class Progress : public std::enable_shared_from_this<Progress> {
public:
  Progress(Bridge &bridge, Napi::Function function) : bridge_(bridge), function_(Napi::Persistent(function)) {}

  // On the thread that opens.
  void tell(aby_stage stage, std::uint64_t done, std::uint64_t total) {
    const std::lock_guard lock(mutex_);
    stage_ = stage;
    done_ = done;
    total_ = total;
    if (!posted_)
      bridge_.post([self = shared_from_this()](Napi::Env env) { self->call(env); });
    posted_ = true;
  }

private:
  void call(Napi::Env env) {
    const Napi::HandleScope scope(env);
    std::unique_lock lock(mutex_);
    posted_ = false;
    const aby_stage stage = stage_;
    const auto done = static_cast<double>(done_), total = static_cast<double>(total_);
    lock.unlock();
    function_.Call({Napi::String::New(env, choice_name(stage, kStage, std::size(kStage))), Napi::Number::New(env, done),
                    Napi::Number::New(env, total)});
  }

  Bridge &bridge_;
  Napi::FunctionReference function_;
  std::mutex mutex_;
  aby_stage stage_ = ABY_STAGE_READ;
  std::uint64_t done_ = 0, total_ = 0;
  bool posted_ = false;
};

// A script's warning function. Every text arrives, before the call's promise is settled.
class Warning : public std::enable_shared_from_this<Warning> {
public:
  Warning(Bridge &bridge, Napi::Function function) : bridge_(bridge), function_(Napi::Persistent(function)) {}

  // On the thread that opens.
  void tell(std::string text) {
    bridge_.post([self = shared_from_this(), said = std::move(text)](Napi::Env env) {
      const Napi::HandleScope scope(env);
      self->function_.Call({Napi::String::New(env, said)});
    });
  }

private:
  Bridge &bridge_;
  Napi::FunctionReference function_;
};

// What a call that opens or writes a model asks and tells. Released on the JavaScript thread.
struct Listeners {
  std::shared_ptr<CancelFlag> cancel;
  std::shared_ptr<Progress> progress; // may be null
  std::shared_ptr<Warning> warning;   // may be null

  static std::int32_t tell(void *context, aby_stage stage, std::uint64_t done, std::uint64_t total) {
    static_cast<const Listeners *>(context)->progress->tell(stage, done, total);
    return 0;
  }
  static void warn(void *context, const char *text) { static_cast<const Listeners *>(context)->warning->tell(text); }
};

// Listeners that the options point to.
std::shared_ptr<Listeners> listen(Bridge &bridge, aby_model_options &raw, const Cancel &cancel, Napi::Value progress,
                                  Napi::Value warning) {
  auto made = std::make_shared<Listeners>();
  made->cancel = cancel.flag();
  if (progress.IsFunction())
    made->progress = std::make_shared<Progress>(bridge, progress.As<Napi::Function>());
  if (warning.IsFunction())
    made->warning = std::make_shared<Warning>(bridge, warning.As<Napi::Function>());
  bridge.watch(made->cancel);
  raw.cancel = made->cancel->raw();
  raw.progress = made->progress ? &Listeners::tell : nullptr;
  raw.warning = made->warning ? &Listeners::warn : nullptr;
  raw.progress_context = raw.warning_context = made.get();
  return made;
}

// The device must live until the call has begun to use it.
std::shared_ptr<aby_device> set_device(aby_model_options &raw, const Device *on) {
  std::shared_ptr<aby_device> held = on == nullptr ? nullptr : on->object().get();
  raw.device = held.get();
  return held;
}

} // namespace

const device &Device::object() const {
  if (!object_)
    throw error(ABY_ERROR_STATE, "the device was not opened");
  return *object_;
}

void Device::open(Napi::Env env, DeviceOptions options) {
  object_.emplace(options->raw);
  lane_ = Bridge::of(env).make_lane();
}

void Device::open_of(const Model &model) {
  object_.emplace(model.object().device());
  lane_ = model.lane();
}

const model &Model::object() const {
  if (!state_->object)
    throw error(ABY_ERROR_STATE, "the model was not opened");
  return *state_->object;
}

Task Model::start_opening(Napi::Env env, const Device *device, ModelOptions options, const Cancel &cancel,
                          Napi::Value progress, Napi::Value warning,
                          std::function<model(const aby_model_options &)> make) {
  Bridge &bridge = Bridge::of(env);
  auto listeners = listen(bridge, options->raw, cancel, progress, warning);
  auto held = set_device(options->raw, device);
  state_->lane = device == nullptr ? bridge.make_lane() : device->lane();
  auto work = [state = state_, options, held, make = std::move(make)] { state->object.emplace(make(options->raw)); };
  return make_task(bridge.side_lane(), std::move(work), listeners);
}

Task Model::open(Napi::Env env, std::string path, ModelOptions options, const Device *device, const Cancel &cancel,
                 Napi::Value progress, Napi::Value warning) {
  return start_opening(env, device, std::move(options), cancel, progress, warning,
                       [path = std::move(path)](const aby_model_options &raw) { return model(path, raw); });
}

Task Model::open_tensors(Napi::Env env, std::string config, const Tensors &tensors, ModelOptions options,
                         const Device *device, const Cancel &cancel, Napi::Value progress, Napi::Value warning) {
  return start_opening(env, device, std::move(options), cancel, progress, warning,
                       [config = std::move(config), list = tensors.list()](const aby_model_options &raw) {
                         return model(config, list->pointers(), raw);
                       });
}

Task Model::plan(Napi::Env env, std::string path, ModelOptions options, const Device *device) {
  auto held = set_device(options->raw, device);
  return make_task(Bridge::of(env).side_lane(), [path = std::move(path), options, held]() -> Convert {
    return [plan = model::plan(path, options->raw)](Napi::Env on) mutable { return write_struct(on, plan); };
  });
}

Task Model::quantize(Napi::Env env, std::string path, std::string out, ModelOptions options, const Cancel &cancel,
                     Napi::Value progress) {
  Bridge &bridge = Bridge::of(env);
  auto listeners = listen(bridge, options->raw, cancel, progress, env.Undefined());
  auto work = [path = std::move(path), out = std::move(out), options] { model::quantize(path, out, options->raw); };
  return make_task(bridge.side_lane(), std::move(work), listeners);
}

Task Model::profile(bool on) {
  return make_task(lane(), [of = object(), on]() mutable { of.profile(on); });
}

Task Model::update(const Tensors &tensors) {
  return make_task(lane(), [on = object(), list = tensors.list()]() mutable { on.update(list->pointers()); });
}

Task Model::tokenize(Napi::Env env, std::string text, std::uint32_t flags) const {
  return make_task(Bridge::of(env).side_lane(),
                   [on = object(), text = std::move(text), flags] { return on.tokenize(text, flags); });
}

Task Model::detokenize(Napi::Env env, std::vector<std::int32_t> tokens, std::uint32_t flags) const {
  return make_task(Bridge::of(env).side_lane(),
                   [on = object(), tokens = std::move(tokens), flags] { return Bytes{on.detokenize(tokens, flags)}; });
}

Task Model::render_chat(Napi::Env env, std::string messages, ChatOptions options) const {
  return make_task(Bridge::of(env).side_lane(), [on = object(), messages = std::move(messages), options] {
    return on.render_chat(messages, options->raw);
  });
}

// Giving back gigabytes takes long.
void Model::close() {
  if (closed())
    return;
  std::shared_ptr<void> last = object().get();
  state_->object->close();
  release_later(env_, std::move(last));
}

std::vector<aby_backend_info> list_backends() { return backends(); }

} // namespace abyssal::node
