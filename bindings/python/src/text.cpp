// Tokenizer and chat template of a model.
#include "arrays.h"
#include "bindings.h"

#include <pybind11/stl.h>

#include <optional>
#include <string>

namespace py = pybind11;

namespace abyssal::python {

namespace {

Ints tokenize(const ModelHandle &handle, const std::string &text, std::uint32_t flags) {
  const auto state = handle.get();
  const Outside outside;
  return Ints{state->object.tokenize(text, flags)};
}

py::bytes detokenize(const ModelHandle &handle, const py::buffer &tokens, std::uint32_t flags) {
  const auto state = handle.get();
  const std::vector<std::int32_t> ids = to_vector(tokens);
  return py::bytes([&] {
    const Outside outside;
    return state->object.detokenize(ids, flags);
  }());
}

// JSON and templates are C strings in the options.
const char *c_string(const std::optional<std::string> &text, const char *name) {
  if (!text)
    return nullptr;
  if (text->find('\0') != std::string::npos)
    throw error(ABY_ERROR_INVALID_ARGUMENT, std::string(name) + " holds a NUL character");
  return text->c_str();
}

py::bytes render_chat(const ModelHandle &handle, const std::string &messages, const std::optional<std::string> &tools,
                      const std::optional<std::string> &variables, const std::optional<std::string> &chat_template,
                      bool add_generation_prompt, bool allow_dropped_tools) {
  const auto state = handle.get();
  auto options = default_chat_options();
  options.add_generation_prompt = add_generation_prompt ? 1 : 0;
  options.tools_json = c_string(tools, "tools");
  options.variables_json = c_string(variables, "variables");
  options.chat_template = c_string(chat_template, "chat_template");
  options.allow_dropped_tools = allow_dropped_tools ? 1 : 0;
  return py::bytes([&] {
    const Outside outside;
    return state->object.render_chat(messages, options);
  }());
}

} // namespace

void bind_ints(py::module_ &module) {
  py::class_<Ints>(module, "Ints", py::buffer_protocol(), "Token ids.").def_buffer([](Ints &ints) {
    return py::buffer_info(ints.values.data(), static_cast<py::ssize_t>(ints.values.size()));
  });
}

void bind_text(py::class_<ModelHandle> &model) {
  model.def("tokenize", &tokenize, py::arg("text"), py::arg("flags"), "Token ids of a text.");
  model.def("detokenize", &detokenize, py::arg("tokens"), py::arg("flags"), "Bytes of tokens.");
  model.def("render_chat", &render_chat, py::arg("messages"), py::arg("tools"), py::arg("variables"),
            py::arg("chat_template"), py::arg("add_generation_prompt"), py::arg("allow_dropped_tools"),
            "Messages as text, with a chat template.");
}

} // namespace abyssal::python
