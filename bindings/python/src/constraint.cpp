// Compiled constraints.
#include "bindings.h"

#include <memory>
#include <string>

namespace py = pybind11;

namespace abyssal::python {

namespace {

std::unique_ptr<ConstraintHandle> compile(const ModelHandle &handle, aby_constraint_kind kind,
                                          const std::string &text) {
  const auto state = handle.get();
  const Outside outside;
  return std::make_unique<ConstraintHandle>(constraint(state->object, kind, text));
}

} // namespace

void bind_constraint(py::module_ &module) {
  py::class_<ConstraintHandle> type(module, "Constraint", "A compiled constraint.");
  type.def(py::init(&compile), py::arg("model"), py::arg("kind"), py::arg("text"));
  bind_close(type);
}

} // namespace abyssal::python
