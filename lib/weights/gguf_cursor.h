// Reads a GGUF file from front to back; nothing is read before it is known to lie inside the file.
#pragma once

#include "base/mapped_file.h"
#include "base/status.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace abyssal {

class GgufCursor {
public:
  explicit GgufCursor(const MappedFile &file) : file_(file) {}

  const std::string &path() const noexcept { return file_.path(); }
  std::uint64_t offset() const noexcept { return at_; }
  std::uint64_t left() const noexcept { return file_.bytes().size() - at_; }

  // What is being read, for messages: "key general.name".
  void set_subject(std::string subject) { subject_ = std::move(subject); }

  // A little-endian number, as every machine this runs on has them.
  template <typename Number> Number number(const char *what) {
    Number value;
    std::memcpy(&value, take(sizeof value, what), sizeof value);
    return value;
  }

  // A text: its length in 8 bytes, then its bytes.
  std::string_view text(const char *what, std::uint64_t most) {
    const auto length = number<std::uint64_t>(what);
    if (length > most)
      refuse(at_ - sizeof length, what, " has the length ", length, "; expected at most ", most);
    return {reinterpret_cast<const char *>(take(length, what)), static_cast<std::size_t>(length)};
  }

  const std::byte *take(std::uint64_t bytes, const char *what) {
    if (bytes > left())
      refuse(at_, what, " needs ", bytes, " bytes; ", left(), " are left of the file's ", file_.bytes().size());
    const std::byte *data = file_.bytes().data() + at_;
    at_ += bytes;
    return data;
  }

  // FORMAT: "FILE: SUBJECT: offset N: ..."
  template <typename... Parts> [[noreturn]] void refuse(std::uint64_t offset, const Parts &...parts) const {
    fail(ABY_ERROR_FORMAT, file_.path(), ": ", subject_, subject_.empty() ? "" : ": ", "offset ", offset, ": ",
         parts...);
  }

private:
  const MappedFile &file_;
  std::uint64_t at_ = 0;
  std::string subject_;
};

} // namespace abyssal
