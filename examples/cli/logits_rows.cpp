#include "logits_rows.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace cli {

namespace {

std::runtime_error failed(const std::string &name, const std::string &what) {
  return std::runtime_error(name + ": cannot be " + what + ": " + std::strerror(errno));
}

// Reads all of `size` bytes unless the file ends before; how many there were.
std::size_t read_at(int descriptor, const std::string &name, void *out, std::size_t size, std::uint64_t place) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got =
        ::pread(descriptor, static_cast<char *>(out) + done, size - done, static_cast<off_t>(place + done));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      throw failed(name, "read");
    if (got == 0)
      break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

std::string shape_text(std::size_t rows, std::size_t columns) {
  return "(" + std::to_string(rows) + ", " + std::to_string(columns) + ")";
}

// Length of the header of a .npy file, whose description is checked; 0: it is no such file.
std::uint64_t npy_header(int descriptor, const std::string &name, std::size_t rows, std::size_t columns) {
  std::array<unsigned char, 12> start{};
  const std::size_t got = read_at(descriptor, name, start.data(), start.size(), 0);
  if (got < start.size() || std::memcmp(start.data(), "\x93NUMPY", 6) != 0)
    return 0;
  const bool wide = start[6] >= 2; // versions 2 and 3 have four bytes of length, version 1 has two
  const std::size_t prefix = wide ? 12 : 10;
  const std::size_t length = start[8] + 256u * start[9] + (wide ? 65536u * start[10] + 16777216u * start[11] : 0u);
  constexpr std::size_t kMost = 65536;
  std::string header(length <= kMost ? length : 0, ' ');
  if (header.empty() || read_at(descriptor, name, header.data(), length, prefix) != length)
    throw std::runtime_error(name + ": its header is damaged");
  for (const std::string &part : {std::string("'descr': '<f4'"), std::string("'fortran_order': False"),
                                  "'shape': " + shape_text(rows, columns)}) {
    if (header.find(part) == std::string::npos)
      throw std::runtime_error(name + ": has no " + part + " but " +
                               header.substr(0, header.find_last_not_of(" \n") + 1));
  }
  return prefix + length;
}

RowFile open_temporary(std::size_t columns) {
  const char *const chosen = std::getenv("TMPDIR");
  const std::string folder = chosen != nullptr && chosen[0] != '\0' ? chosen : "/tmp";
  std::string path = folder + "/abyssal-logits-XXXXXX";
  Descriptor descriptor(::mkostemp(path.data(), O_CLOEXEC));
  if (descriptor.get() < 0)
    throw failed("a temporary file in " + folder, "made");
  ::unlink(path.c_str());
  return {std::move(descriptor), "the temporary file of logits in " + folder, columns, 0};
}

} // namespace

Descriptor::Descriptor(Descriptor &&other) noexcept : value_(std::exchange(other.value_, -1)) {}

Descriptor::~Descriptor() {
  if (value_ >= 0)
    ::close(value_);
}

RowFile::RowFile(Descriptor descriptor, std::string name, std::size_t columns, std::uint64_t offset)
    : descriptor_(std::move(descriptor)), name_(std::move(name)), offset_(offset), row_(columns) {}

std::uint64_t RowFile::place(std::size_t index) const {
  return offset_ + std::uint64_t{index} * row_.size() * sizeof(float);
}

void RowFile::write(std::size_t index, const float *row) {
  const std::size_t size = row_.size() * sizeof(float);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t put = ::pwrite(descriptor_.get(), reinterpret_cast<const char *>(row) + done, size - done,
                                 static_cast<off_t>(place(index) + done));
    if (put < 0 && errno != EINTR)
      throw failed(name_, "written");
    done += put > 0 ? static_cast<std::size_t>(put) : 0;
  }
}

const float *RowFile::read(std::size_t index) {
  const std::size_t size = row_.size() * sizeof(float);
  if (read_at(descriptor_.get(), name_, row_.data(), size, place(index)) != size)
    throw std::runtime_error(name_ + ": ends within row " + std::to_string(index));
  return row_.data();
}

RowFile open_logits_file(const std::string &path, std::size_t rows, std::size_t columns) {
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (descriptor.get() < 0 || ::fstat(descriptor.get(), &status) != 0)
    throw failed(path, "read");
  if (!S_ISREG(status.st_mode))
    throw std::runtime_error(path + ": is not a regular file");
  const std::uint64_t header = npy_header(descriptor.get(), path, rows, columns);
  const std::uint64_t wanted = header + std::uint64_t{rows} * columns * sizeof(float);
  if (static_cast<std::uint64_t>(status.st_size) != wanted)
    throw std::runtime_error(path + ": has " + std::to_string(status.st_size) + " bytes; logits of shape " +
                             shape_text(rows, columns) + " in float32 have " + std::to_string(wanted));
  return {std::move(descriptor), path, columns, header};
}

KeptRows::KeptRows(std::size_t rows, std::size_t columns, std::uint64_t memory_limit) : columns_(columns) {
  if (std::uint64_t{rows} * columns * sizeof(float) <= memory_limit)
    memory_.reserve(rows * columns);
  else
    file_.emplace(open_temporary(columns));
}

void KeptRows::append(const float *row) {
  if (file_)
    file_->write(count_, row);
  else
    memory_.insert(memory_.end(), row, row + columns_);
  ++count_;
}

const float *KeptRows::row(std::size_t index) { return file_ ? file_->read(index) : memory_.data() + index * columns_; }

} // namespace cli
