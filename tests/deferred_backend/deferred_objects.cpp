#include "deferred_objects.h"

#include "backends/reference/reference_backend.h"

namespace abyssal::deferred {

void check_inner(aby_status status) {
  if (status != ABY_OK)
    fail(status, reference_backend()->error_text());
}

DeferredDevice::DeferredDevice() {
  const abk_device_options options{0, 1};
  check_inner(reference_backend()->device_open(&inner, &options));
  check_inner(reference_backend()->stream_create(inner, &inner_stream));
}

DeferredDevice::~DeferredDevice() {
  reference_backend()->stream_destroy(inner_stream);
  reference_backend()->device_close(inner);
}

namespace {

void protect(const DeferredBuffer &buffer, int protection) {
  if (mprotect(buffer.host.mapping.data(), buffer.open_bytes, protection) != 0)
    fail(ABY_ERROR_DEVICE, "mprotect of ", buffer.open_bytes, " bytes: ", std::strerror(errno));
}

} // namespace

DeferredBuffer::DeferredBuffer(const DeferredDevice &owner, std::uint64_t bytes) : device(owner) {
  constexpr std::uint64_t kAlignment = 64;
  const std::uint64_t page = HostMapping::page_bytes();
  if (bytes > std::numeric_limits<std::int64_t>::max() - 4 * page)
    fail(ABY_ERROR_NO_MEMORY, bytes, " bytes: more than there are addresses");
  const std::uint64_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  // Mapped as writable first: a size that the machine cannot hold is then refused here, as it must be.
  host.mapping = HostMapping(rounded + page + (rounded == 0 ? 1 : 0));
  host.bytes = bytes;
  open_bytes = host.mapping.bytes() - page;
  host.data = host.mapping.data() + (open_bytes - rounded);
  if (mprotect(host.mapping.data(), host.mapping.bytes(), PROT_NONE) != 0)
    fail(ABY_ERROR_DEVICE, "mprotect of ", host.mapping.bytes(), " bytes: ", std::strerror(errno));
}

Reachable::Reachable(std::shared_ptr<DeferredBuffer> buffer) : buffer_(std::move(buffer)) {
  if (buffer_->users == 0)
    protect(*buffer_, PROT_READ | PROT_WRITE);
  ++buffer_->users;
}

Reachable::~Reachable() {
  // Taking access rights away from a whole mapping does not fail.
  if (buffer_ != nullptr && --buffer_->users == 0)
    mprotect(buffer_->host.mapping.data(), buffer_->open_bytes, PROT_NONE);
}

DeferredWeight::DeferredWeight(const DeferredDevice &owner, const abk_weight_desc &desc) : device(owner) {
  abk_weight_desc copied = desc;
  copied.borrowed = 0; // a device has its own memory
  check_inner(reference_backend()->weight_create(owner.inner, &inner, &copied));
}

DeferredWeight::~DeferredWeight() { reference_backend()->weight_destroy(inner); }

DeferredBatch::DeferredBatch(const DeferredDevice &owner, const abk_batch_desc &desc) : device(owner) {
  check_inner(reference_backend()->batch_create(owner.inner_stream, &inner, &desc)); // copies the arrays
}

DeferredBatch::~DeferredBatch() { reference_backend()->batch_destroy(inner); }

HandleTable<abk_buffer, DeferredBuffer> &buffers() {
  static HandleTable<abk_buffer, DeferredBuffer> table;
  return table;
}

HandleTable<abk_weight, DeferredWeight> &weights() {
  static HandleTable<abk_weight, DeferredWeight> table;
  return table;
}

HandleTable<abk_batch, DeferredBatch> &batches() {
  static HandleTable<abk_batch, DeferredBatch> table;
  return table;
}

} // namespace abyssal::deferred
