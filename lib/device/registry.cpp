#include "device/registry.h"

#ifdef ABYSSAL_WITH_CPU
#include "backends/cpu/cpu_backend.h"
#endif
#include "backends/reference/reference_backend.h"
#include "base/status.h"

#include <array>
#include <dlfcn.h>

namespace abyssal {

namespace {

BackendHandle built_in(const abk_backend *backend) {
  return {backend, [](const abk_backend *) {}};
}

std::string built_in_names() {
  std::string names;
  for (const abk_backend *backend : built_in_backends())
    names += (names.empty() ? "" : ", ") + std::string(backend->name);
  return names;
}

BackendHandle load_module(const std::string &path) {
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char *reason = dlerror();
    fail(ABY_ERROR_NOT_FOUND, "backend module ", path, ": ", reason != nullptr ? reason : "cannot be loaded");
  }
  std::shared_ptr<void> keep(library, [](void *handle) { dlclose(handle); });
  const auto entry = reinterpret_cast<abk_entry_fn>(dlsym(library, ABK_ENTRY_NAME));
  if (entry == nullptr)
    fail(ABY_ERROR_UNSUPPORTED, "backend module ", path, ": has no function ", ABK_ENTRY_NAME);
  const abk_backend *backend = entry(ABK_VERSION);
  if (backend == nullptr || backend->version != ABK_VERSION || backend->struct_size != sizeof(abk_backend))
    fail(ABY_ERROR_UNSUPPORTED, "backend module ", path, ": does not speak version ", ABK_VERSION, " of the contract");
  return {std::move(keep), backend};
}

// The folder of the shared object (or program) that this function is in, with a final '/'.
std::string own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void *>(&built_in_backends), &info) == 0 || info.dli_fname == nullptr)
    return "";
  const std::string file = info.dli_fname;
  const auto slash = file.rfind('/');
  return slash == std::string::npos ? "" : file.substr(0, slash + 1);
}

} // namespace

std::span<const abk_backend *const> built_in_backends() noexcept {
  static const std::array backends = {
#ifdef ABYSSAL_WITH_CPU
      cpu_backend(),
#endif
      reference_backend()};
  return backends;
}

BackendHandle find_backend(const std::string &name) {
  if (name.find('/') != std::string::npos)
    return load_module(name);
  for (const abk_backend *backend : built_in_backends()) {
    std::uint32_t devices = 0;
    if (name.empty() ? backend->device_count(&devices) == ABY_OK && devices > 0 : name == backend->name)
      return built_in(backend);
  }
  const std::string module = own_folder() + "libabyssal_" + name + ".so";
  if (!name.empty() && module.front() == '/') {
    try {
      return load_module(module);
    } catch (const Error &error) {
      if (error.status() != ABY_ERROR_NOT_FOUND)
        throw;
    }
  }
  fail(ABY_ERROR_NOT_FOUND, "backend \"", name, "\": there is none of that name; built in: ", built_in_names(),
       "; a module would be ", module);
}

} // namespace abyssal
