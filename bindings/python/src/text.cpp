// Tokenizer and chat template of a model.
#include "arrays.h"
#include "bindings.h"

#include <pybind11/stl.h>

#include <optional>
#include <string>

namespace py = pybind11;

namespace abyssal::python {

namespace {

IntArray tokenize(const ModelHandle &handle, const std::string &text, std::uint32_t flags) {
  const auto model = handle.get();
  std::vector<std::int32_t> tokens;
  {
    const py::gil_scoped_release no_gil;
    // Seldom more tokens than bytes, and BOS.
    tokens = gather<std::int32_t>(text.size() + 1, [&](std::int32_t *out, std::size_t capacity, std::size_t *count) {
      return aby_model_tokenize(out, capacity, count, model->handle.get(), text.data(), text.size(), flags);
    });
  }
  return to_array(std::move(tokens));
}

py::bytes to_bytes(const std::vector<char> &text) { return py::bytes(text.data(), text.size()); }

py::bytes detokenize(const ModelHandle &handle, const IntArray &tokens, std::uint32_t flags) {
  const auto model = handle.get();
  const std::vector<std::int32_t> ids = to_vector(tokens);
  std::vector<char> text;
  {
    const py::gil_scoped_release no_gil;
    text = gather<char>(ids.size() * 8 + 64, [&](char *out, std::size_t capacity, std::size_t *length) {
      return aby_model_detokenize(out, capacity, length, model->handle.get(), ids.data(), ids.size(), flags);
    });
  }
  return to_bytes(text);
}

// JSON and templates are C strings in the options.
const char *c_string(const std::optional<std::string> &text, const char *name) {
  if (!text)
    return nullptr;
  if (text->find('\0') != std::string::npos)
    throw StatusError(ABY_ERROR_INVALID_ARGUMENT, std::string(name) + " holds a NUL character");
  return text->c_str();
}

py::bytes render_chat(const ModelHandle &handle, const std::string &messages, const std::optional<std::string> &tools,
                      const std::optional<std::string> &variables, const std::optional<std::string> &chat_template,
                      bool add_generation_prompt) {
  const auto model = handle.get();
  auto options = make(aby_chat_options_init);
  options.add_generation_prompt = add_generation_prompt ? 1 : 0;
  options.tools_json = c_string(tools, "tools");
  options.variables_json = c_string(variables, "variables");
  options.chat_template = c_string(chat_template, "chat_template");
  std::vector<char> text;
  {
    const py::gil_scoped_release no_gil;
    text = gather<char>(messages.size() + 4096, [&](char *out, std::size_t capacity, std::size_t *length) {
      return aby_model_render_chat(out, capacity, length, model->handle.get(), messages.data(), messages.size(),
                                   &options);
    });
  }
  return to_bytes(text);
}

} // namespace

void bind_text(py::class_<ModelHandle> &model) {
  model.def("tokenize", &tokenize, py::arg("text"), py::arg("flags"), "Token ids of a text.");
  model.def("detokenize", &detokenize, py::arg("tokens"), py::arg("flags"), "Bytes of tokens.");
  model.def("render_chat", &render_chat, py::arg("messages"), py::arg("tools"), py::arg("variables"),
            py::arg("chat_template"), py::arg("add_generation_prompt"), "Messages as text, with a chat template.");
}

} // namespace abyssal::python
