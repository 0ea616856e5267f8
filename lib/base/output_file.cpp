#include "base/output_file.h"

#include "base/status.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

namespace abyssal {

namespace {

// Several processes and threads may write to one path, and the last one stays. A name may be taken all the same: by
// another copy of this library in the process, which counts for itself, or by what a process that was killed has left
// behind.
std::string temporary_name(const std::string &path) {
  static std::atomic<unsigned> made{0};
  return concat(path, ".", ::getpid(), ".", made.fetch_add(1), ".tmp");
}

} // namespace

OutputFile::OutputFile(std::string path) : path_(std::move(path)) {
  do {
    temporary_ = temporary_name(path_);
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  } while (fd_ < 0 && errno == EEXIST);
  if (fd_ < 0)
    fail_errno("created");
}

OutputFile::~OutputFile() {
  if (fd_ < 0)
    return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void OutputFile::fail_errno(const char *what) const {
  fail(ABY_ERROR_IO, temporary_, ": cannot be ", what, ": ", std::generic_category().message(errno));
}

void OutputFile::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      fail_errno("written");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
}

// The name must not come before the data: after a loss of power a whole header would stand for missing bytes.
void OutputFile::finish() {
  if (::fsync(fd_) != 0)
    fail_errno("written");
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0)
    fail_errno("renamed");
  ::close(fd_);
  fd_ = -1;
}

} // namespace abyssal
