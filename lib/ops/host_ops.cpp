#include "ops/host_ops.h"

#include <algorithm>

namespace abyssal {

// Whatever is still queued uses the buffers: wait for it, also after an error.
HostOp::~HostOp() { static_cast<void>(device_->api().stream_synchronize(device_->stream())); }

abk_span HostOp::upload(const void *from, std::uint64_t bytes) {
  buffers_.emplace_back(device_, std::max<std::uint64_t>(bytes, 1));
  const abk_span span = buffers_.back().at(0);
  if (from != nullptr && bytes > 0)
    check(api().copy_in(stream(), span, from, bytes), "copy_in");
  return span;
}

abk_span HostOp::share(const void *from, std::uint64_t bytes, std::size_t alignment) {
  if (!device_->reaches_host() || bytes == 0 || reinterpret_cast<std::uintptr_t>(from) % alignment != 0)
    return upload(from, bytes);
  buffers_.emplace_back(device_, const_cast<void *>(from), bytes);
  return buffers_.back().at(0);
}

abk_span HostOp::scratch(const abk_op_desc &desc) {
  std::uint64_t bytes = 0;
  check(api().supports(device_->handle(), &desc, &bytes), "supports");
  return upload(nullptr, bytes);
}

void HostOp::download(void *to, abk_span from, std::uint64_t bytes) {
  if (bytes > 0)
    check(api().copy_out(stream(), to, from, bytes), "copy_out");
}

} // namespace abyssal
