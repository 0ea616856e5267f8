// The extension module: a thin layer over abyssal.hpp, which the package's Python half makes comfortable.
#include "bindings.h"
#include "errors.h"

namespace py = pybind11;
using namespace abyssal::python;

PYBIND11_MODULE(_abyssal, module, py::mod_gil_not_used()) {
  module.doc() = "The C API of libabyssal, for the package's own use: import abyssal instead.";
  register_exceptions();
  module.def("version", &abyssal::version, "Version of the library that is loaded.");
  bind_device(module);
  bind_ints(module);
  bind_model(module);
  bind_sequence(module);
  bind_constraint(module);
  bind_generation(module);
  bind_ops(module);
}
