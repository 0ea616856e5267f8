// Buffers of a backend whose device memory is the host's, and the checks of every access to one.
#pragma once

#include "base/dtype.h"
#include "base/status.h"
#include "device/backend.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace abyssal {

// Zero-filled anonymous pages: they cost nothing until they are touched, and a size that cannot be had is refused by
// the system instead of ending the process. Aligned to a page.
class HostMapping {
public:
  HostMapping() = default;
  explicit HostMapping(std::uint64_t bytes, int protection = PROT_READ | PROT_WRITE) {
    const std::uint64_t page = page_bytes();
    if (bytes > std::numeric_limits<std::int64_t>::max() - page)
      fail(ABY_ERROR_NO_MEMORY, bytes, " bytes: more than there are addresses");
    const std::uint64_t rounded = bytes == 0 ? page : (bytes + page - 1) / page * page;
    void *data = mmap(nullptr, rounded, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
      fail(ABY_ERROR_NO_MEMORY, bytes, " bytes: ", std::strerror(errno));
    data_ = static_cast<std::byte *>(data);
    bytes_ = rounded;
  }
  ~HostMapping() {
    if (data_ != nullptr)
      munmap(data_, bytes_);
  }
  HostMapping(HostMapping &&other) noexcept { *this = std::move(other); }
  HostMapping &operator=(HostMapping &&other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  HostMapping(const HostMapping &) = delete;
  HostMapping &operator=(const HostMapping &) = delete;

  // Asks the system for large pages, which save address translations; it may ignore that.
  void use_large_pages() const noexcept { madvise(data_, bytes_, MADV_HUGEPAGE); }

  std::byte *data() const noexcept { return data_; }
  std::uint64_t bytes() const noexcept { return bytes_; } // whole pages
  static std::uint64_t page_bytes() noexcept { return static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)); }

private:
  std::byte *data_ = nullptr;
  std::uint64_t bytes_ = 0;
};

// What an abk_buffer handle of a host backend points to.
struct HostBuffer {
  HostMapping mapping;       // none: the memory is the caller's
  std::byte *data = nullptr; // within mapping
  std::uint64_t bytes = 0;   // as asked for

  static HostBuffer *create(std::uint64_t bytes) {
    HostMapping mapping(bytes);
    std::byte *data = mapping.data();
    return new HostBuffer{std::move(mapping), data, bytes};
  }
  static HostBuffer *wrap(void *memory, std::uint64_t bytes) {
    return new HostBuffer{{}, static_cast<std::byte *>(memory), bytes};
  }
  static HostBuffer *from(abk_buffer *handle) noexcept { return reinterpret_cast<HostBuffer *>(handle); }
  abk_buffer *handle() noexcept { return reinterpret_cast<abk_buffer *>(this); }
};

// The host address of `bytes` bytes at a span. Throws INVALID_ARGUMENT, beginning with `what`, when there is no buffer,
// the bytes are not all inside it, or the address is not a multiple of `alignment`.
inline std::byte *check_span(abk_span span, std::uint64_t bytes, std::size_t alignment, const char *what) {
  const HostBuffer *buffer = HostBuffer::from(span.buffer);
  if (buffer == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": no buffer");
  if (span.offset > buffer->bytes || bytes > buffer->bytes - span.offset)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": ", bytes, " bytes at offset ", span.offset,
         " reach beyond the buffer of ", buffer->bytes, " bytes");
  if (reinterpret_cast<std::uintptr_t>(buffer->data + span.offset) % alignment != 0)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": the address at offset ", span.offset, " is not a multiple of ",
         alignment);
  return buffer->data + span.offset;
}

// Checked activation rows at their host address.
struct HostRows {
  std::byte *data = nullptr; // nullptr: there are no rows
  aby_dtype dtype = ABY_DTYPE_F32;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0; // elements

  std::byte *row(std::int64_t r) const noexcept {
    return data + static_cast<std::size_t>(r * stride) * dtype_size(dtype);
  }
  float load(std::int64_t r, std::int64_t c) const noexcept {
    return load_as_float(row(r), dtype, static_cast<std::size_t>(c));
  }
  void store(std::int64_t r, std::int64_t c, float value) const noexcept {
    store_float(row(r), dtype, static_cast<std::size_t>(c), value);
  }
};

// Checks an argument of `count` rows of `cols` elements. With no rows the buffer is not looked at.
inline HostRows check_rows(const abk_rows &rows, std::int64_t count, std::int64_t cols, const char *what) {
  if (rows.dtype != ABY_DTYPE_F32 && rows.dtype != ABY_DTYPE_BF16)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": dtype ", dtype_name(rows.dtype), ", expected f32 or bf16");
  if (count < 0)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": ", count, " rows");
  if (rows.cols != cols)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": ", rows.cols, " columns, expected ", cols);
  if (rows.stride < cols || rows.stride > std::int64_t{1} << 40)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": stride ", rows.stride, " for ", cols, " columns");
  HostRows result{nullptr, rows.dtype, count, cols, rows.stride};
  if (count == 0)
    return result;
  const std::size_t size = dtype_size(rows.dtype);
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(count - 1), static_cast<std::uint64_t>(rows.stride), &bytes) ||
      __builtin_add_overflow(bytes, static_cast<std::uint64_t>(cols), &bytes) ||
      __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes))
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": ", count, " rows of stride ", rows.stride, " are too many");
  result.data = check_span(rows.span, bytes, size, what);
  return result;
}

// The same for an argument that is always F32.
inline HostRows check_rows_f32(const abk_rows &rows, std::int64_t count, std::int64_t cols, const char *what) {
  if (rows.dtype != ABY_DTYPE_F32)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": dtype ", dtype_name(rows.dtype), ", expected f32");
  return check_rows(rows, count, cols, what);
}

// Throws unless least <= value <= 2^24; beyond that the products of two sizes could overflow.
inline std::int64_t check_size(std::int64_t value, std::int64_t least, const char *what) {
  constexpr std::int64_t kMost = std::int64_t{1} << 24;
  if (value < least || value > kMost)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, " is ", value, ", expected ", least, " to ", kMost);
  return value;
}

inline void check_row_count(std::int64_t rows, const char *what) {
  if (rows < 0)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": ", rows, " rows");
}

} // namespace abyssal
