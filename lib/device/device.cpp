#include "device/device.h"

#include "base/status.h"

namespace abyssal {

std::shared_ptr<Device> Device::open(const DeviceOptions &options) {
  std::shared_ptr<Device> device(new Device(find_backend(options.backend)));
  const abk_backend &api = device->api();
  std::uint32_t count = 0;
  device->check(api.device_count(&count), "device_count");
  if (options.index >= count)
    fail(ABY_ERROR_NOT_FOUND, "backend ", api.name, " has ", count, " device(s) on this machine; device ",
         options.index, " does not exist");
  const abk_device_options raw_options{options.index, options.threads};
  device->check(api.device_open(&device->device_, &raw_options), "device_open");
  device->check(api.stream_create(device->device_, &device->stream_), "stream_create");
  return device;
}

Device::~Device() {
  if (stream_ != nullptr)
    api().stream_destroy(stream_);
  if (device_ != nullptr)
    api().device_close(device_);
}

abk_device_info Device::info() const {
  abk_device_info info{};
  check(api().device_info(device_, &info), "device_info");
  return info;
}

void Device::check(aby_status status, const char *what) const {
  if (status != ABY_OK)
    fail(status, "backend ", api().name, ", ", what, ": ", api().error_text());
}

Buffer::Buffer(DevicePtr device, std::uint64_t bytes) : device_(std::move(device)), bytes_(bytes) {
  device_->check(device_->api().buffer_create(device_->handle(), &buffer_, bytes), "buffer_create");
}

Buffer::Buffer(DevicePtr device, void *memory, std::uint64_t bytes) : device_(std::move(device)), bytes_(bytes) {
  device_->check(device_->api().buffer_wrap(device_->handle(), &buffer_, memory, bytes), "buffer_wrap");
}

void Buffer::reset() noexcept {
  if (buffer_ != nullptr)
    device_->api().buffer_destroy(buffer_);
  buffer_ = nullptr;
  bytes_ = 0;
  device_.reset();
}

void Buffer::swap(Buffer &other) noexcept {
  std::swap(device_, other.device_);
  std::swap(buffer_, other.buffer_);
  std::swap(bytes_, other.bytes_);
}

Weight::Weight(DevicePtr device, const abk_weight_desc &desc)
    : device_(std::move(device)), n_(desc.n), k_(desc.k), count_(desc.count) {
  device_->check(device_->api().weight_size(device_->handle(), &desc, &size_), "weight_size");
  device_->check(device_->api().weight_create(device_->handle(), &weight_, &desc), "weight_create");
}

const void *Weight::image() const {
  const void *image = nullptr;
  if (device_->api().weight_image != nullptr)
    device_->check(device_->api().weight_image(weight_, &image), "weight_image");
  return image;
}

Batch::Batch(DevicePtr device, const abk_batch_desc &desc) : device_(std::move(device)) {
  device_->check(device_->api().batch_create(device_->stream(), &batch_, &desc), "batch_create");
}

} // namespace abyssal
