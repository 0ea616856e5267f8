// The parts of the module, and the classes that refer to each other.
#pragma once

#include "gil.h"
#include "states.h"

#include <pybind11/pybind11.h>

namespace abyssal::python {

class DeviceHandle : public Handle<device> {
public:
  explicit DeviceHandle(device opened) : Handle(make_state<device>(std::move(opened)), "device") {}
};

class ModelHandle : public Handle<ModelState> {
public:
  explicit ModelHandle(model opened) : Handle(make_state<ModelState>(std::move(opened)), "model") {}
  explicit ModelHandle(std::shared_ptr<ModelState> state) : Handle(std::move(state), "model") {}
};

class SequenceHandle : public Handle<SequenceState> {
public:
  explicit SequenceHandle(std::shared_ptr<SequenceState> state) : Handle(std::move(state), "sequence") {}
};

class ConstraintHandle : public Handle<constraint> {
public:
  explicit ConstraintHandle(constraint compiled) : Handle(make_state<constraint>(std::move(compiled)), "constraint") {}
};

// close() and closed, the same for every class.
template <typename Class> void bind_close(pybind11::class_<Class> &type) {
  type.def("close", &Class::close, pybind11::call_guard<Outside>(),
           "Drops the reference; the object goes when no call and no child uses it any more.");
  type.def_property_readonly("closed", &Class::closed, "Whether close() was called.");
}

void bind_device(pybind11::module_ &module);
void bind_ints(pybind11::module_ &module);
void bind_model(pybind11::module_ &module);
void bind_text(pybind11::class_<ModelHandle> &model);
void bind_sequence(pybind11::module_ &module);
void bind_constraint(pybind11::module_ &module);
void bind_generation(pybind11::module_ &module);
void bind_ops(pybind11::module_ &module);

} // namespace abyssal::python
