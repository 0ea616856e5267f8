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

std::vector<std::pair<std::string, unsigned>> backends() {
  std::size_t count = 0;
  check(aby_backend_count(&count));
  std::vector<std::pair<std::string, unsigned>> result;
  for (std::size_t i = 0; i < count; ++i) {
    auto info = make(aby_backend_info_init);
    check(aby_backend_info_get(&info, i));
    result.emplace_back(info.name, info.device_count);
  }
  return result;
}

std::unique_ptr<DeviceHandle> open_device(const std::optional<std::string> &backend, std::uint32_t index,
                                          std::uint32_t threads) {
  auto options = make(aby_device_options_init);
  options.backend = backend ? backend->c_str() : nullptr;
  options.index = index;
  options.threads = threads;
  aby_device *device = nullptr;
  {
    const py::gil_scoped_release no_gil;
    check(aby_device_open(&device, &options));
  }
  return std::make_unique<DeviceHandle>(device);
}

py::dict device_info(const DeviceHandle &handle) {
  const auto device = handle.get();
  auto info = make(aby_device_info_init);
  check(aby_device_info_get(&info, device.get()));
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
  module.def("backends", &backends, py::call_guard<py::gil_scoped_release>(), "Name and device count of each backend.");
  py::class_<DeviceHandle> type(module, "Device", "A device.");
  type.def(py::init(&open_device), py::arg("backend"), py::arg("index"), py::arg("threads"));
  type.def("info", &device_info, "What it is.");
  bind_close(type);
}

} // namespace abyssal::python
