// Backends and devices.
#include "bindings.h"

#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace py = pybind11;

namespace abyssal::python {

namespace {

std::vector<std::pair<std::string, unsigned>> backend_list() {
  std::vector<std::pair<std::string, unsigned>> result;
  for (const aby_backend_info &info : backends())
    result.emplace_back(info.name, info.device_count);
  return result;
}

std::unique_ptr<DeviceHandle> open_device(const std::optional<std::string> &backend, std::uint32_t index,
                                          std::uint32_t threads) {
  auto options = default_device_options();
  options.backend = backend ? backend->c_str() : nullptr;
  options.index = index;
  options.threads = threads;
  const Outside outside;
  return std::make_unique<DeviceHandle>(device(options));
}

py::dict device_info(const DeviceHandle &handle) {
  const auto held = handle.get(); // the strings are its own
  const aby_device_info info = held->info();
  py::dict result;
  result["backend"] = info.backend;
  result["name"] = info.name;
  result["isa"] = info.isa;
  result["threads"] = info.threads;
  result["memory_bytes"] = info.memory_bytes;
  return result;
}

} // namespace

void bind_device(py::module_ &module) {
  module.def("backends", &backend_list, py::call_guard<Outside>(), "Name and device count of each backend.");
  py::class_<DeviceHandle> type(module, "Device", "A device.");
  type.def(py::init(&open_device), py::arg("backend"), py::arg("index"), py::arg("threads"));
  type.def("info", &device_info, "What it is.");
  bind_close(type);
}

} // namespace abyssal::python
