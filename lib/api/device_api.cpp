#include "api/boundary.h"
#include "api/handles.h"

using namespace abyssal;
using namespace abyssal::api;

extern "C" {

aby_status aby_backend_count(size_t *out) {
  return guard([&] {
    require(out, "out");
    *out = built_in_backends().size();
  });
}

aby_status aby_backend_info_get(aby_backend_info *out, size_t struct_size, size_t index) {
  return guard([&] {
    const auto backends = built_in_backends();
    if (index >= backends.size())
      fail(ABY_ERROR_NOT_FOUND, "backend ", index, ": there are ", backends.size());
    aby_backend_info info{};
    info.name = backends[index]->name;
    const aby_status status = backends[index]->device_count(&info.device_count);
    if (status != ABY_OK)
      fail(status, "backend ", info.name, ": ", backends[index]->error_text());
    fill_struct(out, struct_size, info, "aby_backend_info");
  });
}

aby_status aby_device_options_init(aby_device_options *out, size_t struct_size) {
  return init_struct(out, struct_size, aby_device_options{}, "aby_device_options");
}

aby_status aby_device_open(aby_device **out, const aby_device_options *options) {
  return guard([&] {
    require(out, "out");
    const auto given = read_struct(options, aby_device_options{}, "aby_device_options");
    const DeviceOptions device{given.backend != nullptr ? given.backend : "", given.index, given.threads};
    auto handle = std::make_unique<aby_device>();
    handle->device = Device::open(device);
    handle->info = handle->device->info();
    *out = handle.release();
  });
}

aby_status aby_device_info_get(aby_device_info *out, size_t struct_size, const aby_device *device) {
  return guard([&] {
    require(device, "device");
    aby_device_info info{};
    info.threads = device->info.threads;
    info.backend = device->device->api().name;
    info.name = device->info.name;
    info.isa = device->info.isa;
    info.memory_bytes = device->info.memory_bytes;
    fill_struct(out, struct_size, info, "aby_device_info");
  });
}

void aby_device_destroy(aby_device *device) { delete device; }

} // extern "C"
