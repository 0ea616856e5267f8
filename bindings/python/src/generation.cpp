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
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace py = pybind11;

namespace abyssal::python {

namespace {

// Handing a step to the helper thread costs two switches of threads, which a small model's token has no time for. A
// step that will be as short as this may keep Ctrl-C waiting.
constexpr double kShortStep = 0.02; // seconds
// Between two tokens of a small model the interpreter's data leave the core's caches: it is left alone for some tokens.
constexpr std::uint32_t kWriteAhead = 1000; // microseconds

struct GenerationOptions {
  aby_generation_options raw = default_generation_options();
  std::vector<std::int32_t> stop_tokens;
  std::string constraint;
  std::vector<std::uint32_t> mask;
};

struct GenerationState {
  GenerationState(std::shared_ptr<SequenceState> on, generation made, std::uint64_t prompt_tokens)
      : sequence(std::move(on)), object(std::move(made)), left(prompt_tokens) {}

  std::shared_ptr<SequenceState> sequence;
  generation object;
  std::uint64_t left;       // tokens of the prompt that are not evaluated
  double seconds = 0;       // of the steps that gave tokens after the first, which is drawn from logits that are there
  std::uint64_t tokens = 0; // of those steps: some take the time of several, and the next ones none
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

std::unique_ptr<GenerationOptions> make_options(std::uint64_t max_tokens, float temperature, float top_p,
                                                std::uint32_t top_k, float min_p, std::uint64_t seed, bool ignore_eos,
                                                const py::buffer &stop_tokens, bool plain, std::uint32_t chunk,
                                                aby_constraint constraint_kind,
                                                const std::optional<std::string> &constraint, const py::buffer &mask) {
  auto options = std::make_unique<GenerationOptions>();
  options->stop_tokens = to_vector(stop_tokens);
  aby_generation_options &raw = options->raw;
  raw.max_tokens = max_tokens;
  raw.temperature = temperature;
  raw.top_p = top_p;
  raw.top_k = top_k;
  raw.min_p = min_p;
  raw.seed = seed;
  raw.ignore_eos = ignore_eos ? 1 : 0;
  raw.stop_tokens = options->stop_tokens.data();
  raw.stop_token_count = options->stop_tokens.size();
  raw.plain = plain ? 1 : 0;
  raw.chunk = chunk;
  raw.constraint_kind = constraint_kind;
  if (constraint) {
    options->constraint = *constraint;
    raw.constraint = options->constraint.c_str();
  }
  if (const std::vector<std::uint8_t> flags = to_flags(mask); !flags.empty()) {
    options->mask = mask_words(flags.data(), flags.size());
    raw.mask = options->mask.data();
    raw.mask_count = flags.size();
  }
  return options;
}

// own: nobody else looks at the sequence, which may then be ahead of the events.
std::unique_ptr<GenerationHandle> create(const SequenceHandle &sequence, const py::buffer &prompt,
                                         const GenerationOptions &options, bool own) {
  auto on = sequence.get();
  const std::vector<std::int32_t> tokens = to_vector(prompt);
  aby_generation_options raw = options.raw;
  raw.write_ahead = own ? kWriteAhead : 0;
  const Outside outside;
  const auto lock = on->enter();
  generation made(on->object, tokens, raw);
  return std::make_unique<GenerationHandle>(make_state<GenerationState>(on, std::move(made), tokens.size()));
}

// The class of events and the strings in them, made once: between two tokens of a small model the interpreter's data
// are no longer in the core's caches, so an event is made here, of as few parts as can be.
class EventMaker {
public:
  static const EventMaker &get() {
    PYBIND11_CONSTINIT static py::gil_safe_call_once_and_store<EventMaker> storage;
    return storage.call_once_and_store_result([] { return EventMaker(); }).get_stored();
  }

  // abyssal.Event, a named tuple: its fields in their order.
  py::object make(const aby_event &event) const {
    const std::string_view text = text_of(event);
    const std::array<py::object, kFields> fields = {
        name(kinds_, event.kind),
        text.empty() ? empty_ : py::str(text.data(), text.size()),
        name(text_kinds_, event.text_kind),
        py::int_(event.token),
        name(finish_reasons_, event.finish_reason),
        py::int_(event.prompt_done),
        py::int_(event.prompt_total),
        py::int_(event.completion_tokens),
        py::int_(event.reasoning_tokens),
    };
    auto made = py::reinterpret_steal<py::object>(type_->tp_alloc(type_, static_cast<py::ssize_t>(kFields)));
    if (!made)
      throw py::error_already_set();
    for (std::size_t i = 0; i < kFields; ++i)
      PyTuple_SET_ITEM(made.ptr(), static_cast<py::ssize_t>(i), fields[i].inc_ref().ptr());
    return made;
  }

private:
  static constexpr std::size_t kFields = 9;

  EventMaker()
      : kinds_{interned("prompt"), interned("token"), interned("end")},
        text_kinds_{interned("content"), interned("reasoning")},
        finish_reasons_{py::none(), interned("stop"), interned("length"), interned("cancelled")},
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
  std::array<py::object, 4> finish_reasons_;
  py::object unknown_, empty_;
};

py::object step(const GenerationHandle &handle) {
  const auto state = handle.get();
  const auto lock = state->sequence->enter_to_change();
  aby_event event;
  const auto body = [&] { event = state->object.step(); };
  const auto begin = std::chrono::steady_clock::now();
  std::atomic<double> &seconds_per_token = state->sequence->model->seconds_per_token;
  if (static_cast<double>(std::max<std::uint64_t>(state->left, 1)) * seconds_per_token < kShortStep)
    run_briefly(body);
  else
    run_interruptible(body, [&] { state->object.cancel(); });
  const std::uint64_t left = event.prompt_total - event.prompt_done;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (event.kind == ABY_EVENT_TOKEN && event.completion_tokens > 1) {
    state->seconds += seconds;
    ++state->tokens;
    seconds_per_token = state->seconds / static_cast<double>(state->tokens);
  } else if (state->left > left) {
    seconds_per_token = seconds / static_cast<double>(state->left - left);
  }
  state->left = left;
  return EventMaker::get().make(event);
}

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
  py::class_<GenerationOptions>(module, "GenerationOptions", "Options of a reply.")
      .def(py::init(&make_options), py::kw_only(), py::arg("max_tokens"), py::arg("temperature"), py::arg("top_p"),
           py::arg("top_k"), py::arg("min_p"), py::arg("seed"), py::arg("ignore_eos"), py::arg("stop_tokens"),
           py::arg("plain"), py::arg("chunk"), py::arg("constraint_kind"), py::arg("constraint"), py::arg("mask"));
  py::class_<GenerationHandle> type(module, "Generation", "A reply being written.");
  type.def(py::init(&create), py::arg("sequence"), py::arg("prompt"), py::arg("options"), py::kw_only(),
           py::arg("own"));
  type.def("step", &step, "Does one step: its event.");
  type.def("set_mask", &set_mask, py::arg("mask"), "Allows the ids whose flag is not 0; no flags: all.");
  type.def("cancel", &cancel, "Ends the reply at the next step.");
  bind_close(type);
}

} // namespace abyssal::python
