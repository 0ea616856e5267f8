#include "errors.h"

#include <pybind11/pybind11.h>

#include <cstring>

namespace py = pybind11;

namespace abyssal::python {

namespace {

// File names inside the text need not be UTF-8.
py::object decode(const char *text) {
  PyObject *decoded = PyUnicode_DecodeUTF8(text, static_cast<Py_ssize_t>(std::strlen(text)), "backslashreplace");
  if (decoded == nullptr)
    throw py::error_already_set();
  return py::reinterpret_steal<py::object>(decoded);
}

void raise(const error &failed) {
  const py::object make_error = py::module_::import("abyssal._errors").attr("make_error");
  const py::object instance = make_error(failed.status(), failed.name(), decode(failed.what()));
  PyErr_SetObject(py::type::of(instance).ptr(), instance.ptr());
}

} // namespace

void register_exceptions() {
  py::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown)
        std::rethrow_exception(thrown);
    } catch (const error &failed) {
      raise(failed);
    }
  });
}

} // namespace abyssal::python
