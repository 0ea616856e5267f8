#include "base/mapped_file.h"

#include "base/hash64.h"
#include "base/status.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace abyssal {

namespace {

constexpr std::size_t kMostText = std::size_t{256} << 20;

[[noreturn]] void fail_errno(const std::string &path, const char *what, int error) {
  const bool missing = error == ENOENT || error == ENOTDIR;
  fail(missing ? ABY_ERROR_NOT_FOUND : ABY_ERROR_IO, path, ": cannot be ", what, ": ",
       std::generic_category().message(error));
}

class Descriptor {
public:
  explicit Descriptor(const std::string &path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0)
      fail_errno(path, "opened", errno);
  }
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  int get() const noexcept { return fd_; }

private:
  int fd_;
};

} // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::string &path) {
  const Descriptor file(path);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0)
    fail_errno(path, "examined", errno);
  if (!S_ISREG(status.st_mode))
    fail(ABY_ERROR_IO, path, ": is not a regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  const std::byte *data = nullptr;
  if (size > 0) {
    void *mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (mapped == MAP_FAILED)
      fail_errno(path, "mapped", errno);
    data = static_cast<const std::byte *>(mapped);
  }
  const std::int64_t modified = status.st_mtim.tv_sec * std::int64_t{1000000000} + status.st_mtim.tv_nsec;
  return std::shared_ptr<const MappedFile>(new MappedFile(path, data, size, modified));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr)
    ::munmap(const_cast<std::byte *>(data_), size_);
}

std::string MappedFile::identity(std::size_t hashed_bytes) const {
  return concat(std::filesystem::path(path_).filename().string(), " ", size_, " ", modified_, " ",
                hash64(bytes().first(std::min(hashed_bytes, size_))));
}

void MappedFile::release(const std::byte *data, std::size_t bytes) const noexcept {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t before = (page - reinterpret_cast<std::uintptr_t>(data) % page) % page; // whole pages inside
  const std::size_t whole = bytes > before ? (bytes - before) / page * page : 0;
  if (whole > 0)
    ::madvise(const_cast<std::byte *>(data) + before, whole, MADV_DONTNEED);
}

std::string read_text_file(const std::string &path) {
  const auto file = MappedFile::open(path);
  const auto bytes = file->bytes();
  if (bytes.size() > kMostText)
    fail(ABY_ERROR_FORMAT, path, ": has ", bytes.size(), " bytes; a text file of a checkpoint has at most ", kMostText);
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

} // namespace abyssal
