#include "engine/host_ops.h"

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

abk_span HostOp::scratch(const abk_scratch_desc &desc) {
  std::uint64_t bytes = 0;
  check(api().scratch_bytes(device_->handle(), &desc, &bytes), "scratch_bytes");
  return upload(nullptr, bytes);
}

void HostOp::download(void *to, abk_span from, std::uint64_t bytes) {
  if (bytes > 0)
    check(api().copy_out(stream(), to, from, bytes), "copy_out");
}

} // namespace abyssal
