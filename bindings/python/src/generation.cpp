// Replies, a step at a time.
#include "arrays.h"
#include "bindings.h"
#include "interrupt.h"

#include <chrono>
#include <vector>

namespace py = pybind11;

namespace abyssal::python {

namespace {

// Handing a step to the helper thread costs two switches of threads, which a small model's token has no time for. A
// step that is as short as this may keep Ctrl-C waiting.
constexpr std::chrono::milliseconds kShortStep{20};

struct GenerationOptions {
  aby_generation_options raw = default_generation_options();
  std::vector<std::int32_t> stop_tokens;
};

struct GenerationState {
  GenerationState(std::shared_ptr<SequenceState> on, generation made)
      : sequence(std::move(on)), object(std::move(made)) {}

  std::shared_ptr<SequenceState> sequence;
  generation object;
  bool short_steps = false; // the last one evaluated a token, as the next one will, in less than kShortStep
};

class GenerationHandle : public Handle<GenerationState> {
public:
  explicit GenerationHandle(std::shared_ptr<GenerationState> state) : Handle(std::move(state), "reply") {}
};

std::unique_ptr<GenerationOptions> make_options(std::uint64_t max_tokens, float temperature, float top_p,
                                                std::uint32_t top_k, float min_p, std::uint64_t seed, bool ignore_eos,
                                                const py::buffer &stop_tokens, bool plain, std::uint32_t chunk) {
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
  return options;
}

std::unique_ptr<GenerationHandle> create(const SequenceHandle &sequence, const py::buffer &prompt,
                                         const GenerationOptions &options) {
  auto on = sequence.get();
  const std::vector<std::int32_t> tokens = to_vector(prompt);
  const py::gil_scoped_release no_gil;
  const auto lock = on->enter();
  generation made(on->object, tokens, options.raw);
  return std::make_unique<GenerationHandle>(make_state<GenerationState>(on, std::move(made)));
}

// (kind, text, text kind, token, finish reason, prompt done, prompt total, completion tokens, reasoning tokens)
py::tuple step(const GenerationHandle &handle) {
  const auto state = handle.get();
  const auto lock = state->sequence->enter_to_change();
  aby_event event;
  const auto body = [&] { event = state->object.step(); };
  const auto begin = std::chrono::steady_clock::now();
  if (state->short_steps)
    run_briefly(body);
  else
    run_interruptible(body, [&] { state->object.cancel(); });
  // The first token is drawn from logits that are there.
  state->short_steps = event.kind == ABY_EVENT_TOKEN && event.completion_tokens > 1 &&
                       std::chrono::steady_clock::now() - begin < kShortStep;
  const std::string_view text = text_of(event);
  return py::make_tuple(event.kind, py::str(text.data(), text.size()), event.text_kind, event.token,
                        event.finish_reason, event.prompt_done, event.prompt_total, event.completion_tokens,
                        event.reasoning_tokens);
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
           py::arg("plain"), py::arg("chunk"));
  py::class_<GenerationHandle> type(module, "Generation", "A reply being written.");
  type.def(py::init(&create), py::arg("sequence"), py::arg("prompt"), py::arg("options"));
  type.def("step", &step, "Does one step.");
  type.def("cancel", &cancel, "Ends the reply at the next step.");
  bind_close(type);
}

} // namespace abyssal::python
