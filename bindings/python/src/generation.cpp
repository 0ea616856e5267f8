// Replies, a step at a time.
#include "arrays.h"
#include "bindings.h"
#include "interrupt.h"

#include <pybind11/gil_safe_call_once.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace py = pybind11;

namespace abyssal::python {

namespace {

// Handing a step to the helper thread costs two switches of threads, which a small model's token has no time for. A
// step that will be as short as this may keep Ctrl-C waiting.
constexpr double kShortStep = 0.02; // seconds

struct ReplyOptions {
  aby_reply_options raw = default_reply_options();
  std::vector<std::int32_t> stop_tokens;
  std::vector<std::uint32_t> mask;
  std::shared_ptr<constraint> bound; // compiled before
  aby_constraint_kind kind = 0;      // of `text`, to be compiled with the reply; 0: none
  std::string text;
};

struct GenerationState {
  GenerationState(std::shared_ptr<SequenceState> on, generation made, std::uint64_t prompt_tokens, bool tell_logprobs)
      : sequence(std::move(on)), object(std::move(made)), left(prompt_tokens), logprobs(tell_logprobs) {}

  std::shared_ptr<SequenceState> sequence;
  generation object;
  std::uint64_t left; // tokens of the prompt that are not evaluated
  bool logprobs;
};

class GenerationHandle : public Handle<GenerationState> {
public:
  explicit GenerationHandle(std::shared_ptr<GenerationState> state) : Handle(std::move(state), "reply") {}
};

// A flag for each id, in whatever has the buffer protocol.
std::vector<std::uint8_t> to_flags(const py::buffer &mask) {
  const py::buffer_info info = mask.request();
  if (info.ndim != 1 || info.itemsize != 1 || (info.size > 1 && info.strides.at(0) != 1))
    throw py::type_error("a mask is not one dimension of bytes without gaps");
  const auto *data = static_cast<const std::uint8_t *>(info.ptr);
  return std::vector<std::uint8_t>(data, data + info.size);
}

std::unique_ptr<ReplyOptions> make_options(std::uint64_t max_tokens, float temperature, float top_p, std::int32_t top_k,
                                           float min_p, std::uint64_t seed, bool logprobs, bool ignore_eos,
                                           const py::buffer &stop_tokens, bool plain, std::uint32_t chunk,
                                           const ConstraintHandle *bound, aby_constraint_kind kind, std::string text,
                                           const py::buffer &mask) {
  auto options = std::make_unique<ReplyOptions>();
  options->stop_tokens = to_vector(stop_tokens);
  if (bound != nullptr)
    options->bound = bound->get();
  options->kind = kind;
  options->text = std::move(text);
  aby_reply_options &raw = options->raw;
  raw.max_tokens = max_tokens;
  raw.temperature = temperature;
  raw.top_p = top_p;
  raw.top_k = top_k;
  raw.min_p = min_p;
  raw.seed = seed;
  raw.logprobs = logprobs ? ABY_LOGPROBS_MODEL : ABY_LOGPROBS_NONE;
  raw.ignore_eos = ignore_eos ? 1 : 0;
  raw.stop_tokens = options->stop_tokens.data();
  raw.stop_token_count = options->stop_tokens.size();
  raw.plain = plain ? 1 : 0;
  raw.chunk = chunk;
  if (const std::vector<std::uint8_t> flags = to_flags(mask); !flags.empty()) {
    options->mask = mask_words(flags.data(), flags.size());
    raw.mask = options->mask.data();
    raw.mask_count = flags.size();
  }
  return options;
}

std::shared_ptr<aby_constraint> constraint_of(const ReplyOptions &options, const model &of) {
  if (options.bound)
    return options.bound->get();
  return options.kind != 0 ? constraint(of, options.kind, options.text).get() : nullptr;
}

std::unique_ptr<GenerationHandle> create(const SequenceHandle &sequence, const py::buffer &prompt,
                                         const ReplyOptions &options) {
  auto on = sequence.get();
  const std::vector<std::int32_t> tokens = to_vector(prompt);
  aby_reply_options raw = options.raw;
  const Outside outside;
  const std::shared_ptr<aby_constraint> bound = constraint_of(options, on->model->object);
  raw.constraint = bound.get();
  const auto lock = on->enter();
  generation made(on->object, tokens, raw);
  return std::make_unique<GenerationHandle>(
      make_state<GenerationState>(on, std::move(made), tokens.size(), raw.logprobs != ABY_LOGPROBS_NONE));
}

// The class of events and the strings in them, made once: between two tokens of a small model the interpreter's data
// are no longer in the core's caches, so an event is made here, of as few parts as can be.
class EventMaker {
public:
  static const EventMaker &get() {
    PYBIND11_CONSTINIT static py::gil_safe_call_once_and_store<EventMaker> storage;
    return storage.call_once_and_store_result([] { return EventMaker(); }).get_stored();
  }

  // Event i as abyssal.Event, a named tuple: its fields in their order.
  py::object make(const aby_events &events, std::size_t i, bool logprobs) const {
    const std::string_view text = text_of(events, i);
    const std::array<py::object, kFields> fields = {
        name(kinds_, events.kind[i]),
        text.empty() ? empty_ : py::str(text.data(), text.size()),
        name(text_kinds_, events.text_kind[i]),
        py::int_(events.token[i]),
        logprobs && events.token[i] >= 0 ? py::object(py::float_(events.logprob[i])) : py::none(),
        name(finish_reasons_, events.finish_reason[i]),
        py::int_(events.prompt_tokens[i]),
        py::int_(events.prompt_total[i]),
        py::int_(events.completion_tokens[i]),
        py::int_(events.reasoning_tokens[i]),
    };
    auto made = py::reinterpret_steal<py::object>(type_->tp_alloc(type_, static_cast<py::ssize_t>(kFields)));
    if (!made)
      throw py::error_already_set();
    for (std::size_t field = 0; field < kFields; ++field)
      PyTuple_SET_ITEM(made.ptr(), static_cast<py::ssize_t>(field), fields[field].inc_ref().ptr());
    return made;
  }

private:
  static constexpr std::size_t kFields = 10;

  EventMaker()
      : kinds_{interned("prompt"), interned("token"), interned("end")},
        text_kinds_{interned("content"), interned("reasoning")},
        finish_reasons_{py::none(), interned("stop"), interned("length"), interned("cancelled"), interned("context")},
        unknown_(interned("unknown")), empty_(interned("")) {
    const py::object type = py::module_::import("abyssal._reply").attr("Event");
    type_ = reinterpret_cast<PyTypeObject *>(type.inc_ref().ptr()); // kept as long as the process
    if (py::len(type.attr("_fields")) != kFields)
      throw std::logic_error("abyssal.Event has other fields than events are made of");
  }

  static py::object interned(const char *text) {
    return py::reinterpret_steal<py::object>(PyUnicode_InternFromString(text));
  }

  template <std::size_t N> const py::object &name(const std::array<py::object, N> &names, std::int32_t number) const {
    return number >= 0 && static_cast<std::size_t>(number) < N ? names[static_cast<std::size_t>(number)] : unknown_;
  }

  PyTypeObject *type_;
  std::array<py::object, 3> kinds_;
  std::array<py::object, 2> text_kinds_;
  std::array<py::object, 5> finish_reasons_;
  py::object unknown_, empty_;
};

// Does a step, and appends its events.
void step(const GenerationHandle &handle, std::uint64_t microseconds, const py::object &events_out) {
  const auto state = handle.get();
  const auto lock = state->sequence->enter_to_change();
  aby_events events;
  const auto body = [&] { events = state->object.step(microseconds); };
  const auto begin = std::chrono::steady_clock::now();
  std::atomic<double> &seconds_per_token = state->sequence->model->seconds_per_token;
  if (static_cast<double>(std::max<std::uint64_t>(state->left, 1)) * seconds_per_token < kShortStep) {
    const Outside outside;
    body();
  } else {
    run_interruptible(body, [&] { state->object.cancel(); });
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const auto count = static_cast<std::size_t>(events.count);
  const std::uint64_t left = events.prompt_total[count - 1] - events.prompt_tokens[count - 1];
  if (state->left > left)
    seconds_per_token = seconds / static_cast<double>(state->left - left);
  else if (events.kind[0] == ABY_EVENT_TOKEN && events.completion_tokens[0] > 1) // the first needs no evaluation
    seconds_per_token = seconds / static_cast<double>(count);
  state->left = left;
  const py::object append = events_out.attr("append");
  for (std::size_t i = 0; i < count; ++i)
    append(EventMaker::get().make(events, i, state->logprobs));
  if (PyErr_CheckSignals() != 0) // nobody looked for them during a short step
    throw py::error_already_set();
}

std::uint64_t seed(const GenerationHandle &handle) { return handle.get()->object.seed(); }

void set_mask(const GenerationHandle &handle, const py::buffer &mask) {
  const auto state = handle.get();
  const std::vector<std::uint8_t> flags = to_flags(mask);
  const Outside outside;
  state->object.set_mask(flags);
}

// May come from any thread, also after close.
void cancel(const GenerationHandle &handle) {
  if (const auto state = handle.get_if_alive())
    state->object.cancel();
}

} // namespace

void bind_generation(py::module_ &module) {
  py::class_<ReplyOptions>(module, "ReplyOptions", "Options of a reply.")
      .def(py::init(&make_options), py::kw_only(), py::arg("max_tokens"), py::arg("temperature"), py::arg("top_p"),
           py::arg("top_k"), py::arg("min_p"), py::arg("seed"), py::arg("logprobs"), py::arg("ignore_eos"),
           py::arg("stop_tokens"), py::arg("plain"), py::arg("chunk"), py::arg("constraint").none(true),
           py::arg("constraint_kind"), py::arg("constraint_text"), py::arg("mask"));
  py::class_<GenerationHandle> type(module, "Generation", "A reply being written.");
  type.def(py::init(&create), py::arg("sequence"), py::arg("prompt"), py::arg("options"));
  type.def("step", &step, py::arg("microseconds"), py::arg("events"), "Does one step, and appends its events.");
  type.def("seed", &seed, "What it is drawn with.");
  type.def("set_mask", &set_mask, py::arg("mask"), "Allows the ids whose flag is not 0; no flags: all.");
  type.def("cancel", &cancel, "Ends the reply at the next step.");
  bind_close(type);
}

} // namespace abyssal::python
