// Sequences: evaluation, results, and the arrays that look at them.
#include "arrays.h"
#include "bindings.h"
#include "interrupt.h"

#include <pybind11/stl.h>

#include <cstring>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace py = pybind11;

namespace abyssal::python {

std::unique_lock<std::mutex> SequenceState::enter() {
  std::unique_lock lock(use, std::try_to_lock);
  if (!lock.owns_lock())
    throw error(ABY_ERROR_BUSY, "the sequence is in use by a call on another thread");
  return lock;
}

std::unique_lock<std::mutex> SequenceState::enter_to_change() {
  std::unique_lock lock = enter();
  if (views.load() > 0)
    throw py::buffer_error("a view of the sequence's results is alive, and this call would overwrite it: delete the "
                           "view first, or take a copy");
  return lock;
}

namespace {

bool is_cache(aby_output_kind kind) { return kind >= ABY_OUTPUT_CACHE_C_KV && kind <= ABY_OUTPUT_CACHE_V; }

// Counts an array that looks at the library's memory. While it lives that memory stays, and is not overwritten.
class View {
public:
  View(std::shared_ptr<SequenceState> state, bool cache) : state_(std::move(state)), cache_(cache) { count(1); }
  ~View() { count(-1); }
  View(const View &) = delete;
  View &operator=(const View &) = delete;

private:
  void count(int by) {
    state_->views += by;
    state_->model->views += by;
    if (cache_)
      state_->cache_views += by;
  }
  std::shared_ptr<SequenceState> state_;
  bool cache_;
};

std::vector<py::ssize_t> shape_of(const aby_array &array) {
  return std::vector<py::ssize_t>(array.shape, array.shape + array.rank);
}

std::size_t elements(const aby_array &array) {
  std::size_t count = 1;
  for (std::uint32_t i = 0; i < array.rank; ++i)
    count *= static_cast<std::size_t>(array.shape[i]);
  return count;
}

py::dtype dtype_of(const aby_array &array) {
  if (array.dtype == ABY_DTYPE_I32)
    return py::dtype::of<std::int32_t>();
  if (array.dtype == ABY_DTYPE_F32)
    return py::dtype::of<float>();
  throw error(ABY_ERROR_UNSUPPORTED, "a result has the unknown type " + std::to_string(array.dtype));
}

// The library's array. Call it with the sequence entered and the model's results shared.
aby_array fetch(SequenceState &state, aby_output_kind kind, std::int32_t layer) {
  if (is_cache(kind) && state.cache_views.load() > 0)
    throw py::buffer_error("a view of the sequence's cached rows is alive, and this call would overwrite it");
  return state.object.output(kind, layer);
}

py::array copy_output(SequenceState &state, aby_output_kind kind, std::int32_t layer) {
  aby_array array;
  std::unique_ptr<std::uint32_t[]> values; // the bits of float or int32
  {
    const Outside outside;
    const auto lock = state.enter();
    const std::shared_lock results(state.model->results);
    array = fetch(state, kind, layer);
    const std::size_t count = elements(array);
    values = std::make_unique_for_overwrite<std::uint32_t[]>(count);
    if (count > 0)
      std::memcpy(values.get(), array.data, count * sizeof(std::uint32_t));
  }
  const py::capsule base(values.get(), [](void *dead) { delete[] static_cast<std::uint32_t *>(dead); });
  const void *data = values.release();
  return py::array(dtype_of(array), shape_of(array), data, base);
}

py::array view_output(const std::shared_ptr<SequenceState> &state, aby_output_kind kind, std::int32_t layer) {
  aby_array array;
  std::unique_ptr<View> view;
  {
    const Outside outside;
    const auto lock = state->enter();
    const std::shared_lock results(state->model->results);
    array = fetch(*state, kind, layer);
    view = std::make_unique<View>(state, is_cache(kind));
  }
  const py::capsule base(view.get(), [](void *dead) { delete static_cast<View *>(dead); });
  view.release();
  py::array result(dtype_of(array), shape_of(array), array.data, base);
  result.attr("setflags")(py::arg("write") = false);
  return result;
}

py::array output(const SequenceHandle &handle, aby_output_kind kind, std::int32_t layer, bool copy) {
  const auto state = handle.get();
  return copy ? copy_output(*state, kind, layer) : view_output(state, kind, layer);
}

std::unique_ptr<SequenceHandle> create(const ModelHandle &handle) {
  auto of = handle.get();
  sequence made(of->object);
  return std::make_unique<SequenceHandle>(make_state<SequenceState>(std::move(of), std::move(made)));
}

std::unique_ptr<SequenceHandle> fork(const SequenceHandle &handle) {
  const auto state = handle.get();
  const Outside outside;
  return std::make_unique<SequenceHandle>(make_state<SequenceState>(state->model, state->object.fork()));
}

// The evaluation that Sequence.cancel() finds, while this lives.
class Running {
public:
  Running(SequenceState &state, EvalOptions &options) : state_(state) { set(&options); }
  ~Running() { set(nullptr); }
  Running(const Running &) = delete;
  Running &operator=(const Running &) = delete;

private:
  void set(EvalOptions *options) {
    const std::lock_guard lock(state_.running_mutex);
    state_.running = options;
  }
  SequenceState &state_;
};

void eval(const SequenceHandle &handle, const py::buffer &given, EvalOptions &options) {
  const auto state = handle.get();
  const std::vector<std::int32_t> tokens = to_vector(given);
  const auto lock = state->enter_to_change();
  const Running running(*state, options);
  run_interruptible([&] { state->object.eval(tokens, options.raw); }, [&] { options.cancel(); });
}

void eval_batch(const std::vector<const SequenceHandle *> &handles, const std::vector<py::buffer> &given,
                EvalOptions &options) {
  std::vector<std::shared_ptr<SequenceState>> states;
  std::vector<std::unique_lock<std::mutex>> locks;
  std::deque<Running> running;
  std::set<const SequenceState *> seen; // the library refuses a sequence that occurs twice
  std::vector<sequence> sequences;
  std::vector<std::vector<std::int32_t>> tokens;
  for (std::size_t i = 0; i < handles.size(); ++i) {
    if (handles[i] == nullptr)
      throw error(ABY_ERROR_INVALID_ARGUMENT, "sequence " + std::to_string(i) + " is None");
    states.push_back(handles[i]->get());
    if (seen.insert(states.back().get()).second) {
      locks.push_back(states.back()->enter_to_change());
      running.emplace_back(*states.back(), options);
    }
    sequences.push_back(states.back()->object);
  }
  for (const py::buffer &buffer : given)
    tokens.push_back(to_vector(buffer));
  run_interruptible([&] { abyssal::eval_batch(sequences, tokens, options.raw); }, [&] { options.cancel(); });
}

std::size_t length(const SequenceHandle &handle) { return handle.get()->object.length(); }

Ints tokens(const SequenceHandle &handle) { return Ints{handle.get()->object.tokens()}; }

void truncate(const SequenceHandle &handle, std::size_t to) {
  const auto state = handle.get();
  const auto lock = state->enter_to_change();
  const Outside outside;
  state->object.truncate(to);
}

void cancel(const SequenceHandle &handle) {
  const auto state = handle.get();
  const std::lock_guard lock(state->running_mutex);
  if (state->running != nullptr)
    state->running->cancel();
}

std::unique_ptr<EvalOptions> make_options(std::uint32_t keep, std::uint64_t logits, bool mtp, std::uint32_t chunk) {
  auto options = std::make_unique<EvalOptions>();
  options->raw.keep = keep;
  options->raw.logits = logits;
  options->raw.mtp = mtp ? 1 : 0;
  options->raw.chunk = chunk;
  return options;
}

} // namespace

void bind_sequence(py::module_ &module) {
  py::class_<EvalOptions>(module, "EvalOptions", "Options of one evaluation.")
      .def(py::init(&make_options), py::kw_only(), py::arg("keep"), py::arg("logits"), py::arg("mtp"), py::arg("chunk"))
      .def("cancel", &EvalOptions::cancel, "Cancels the evaluation, also before it begins.");
  py::class_<SequenceHandle> type(module, "Sequence", "A sequence.");
  type.def(py::init(&create), py::arg("model"));
  type.def("eval", &eval, py::arg("tokens"), py::arg("options"), "Appends tokens and evaluates them.");
  type.def("output", &output, py::arg("kind"), py::arg("layer"), py::arg("copy"), "A result, as a copy or a view.");
  type.def("length", &length, "Number of tokens.");
  type.def("tokens", &tokens, "The tokens.");
  type.def("truncate", &truncate, py::arg("length"), "Forgets tokens.");
  type.def("fork", &fork, "A second sequence with the same tokens.");
  type.def("cancel", &cancel, "Interrupts a running evaluation.");
  bind_close(type);
  module.def("eval_batch", &eval_batch, py::arg("sequences"), py::arg("tokens"), py::arg("options"),
             "Evaluates several sequences in shared passes.");
}

} // namespace abyssal::python
