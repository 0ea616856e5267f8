// Gives a reader, which takes a path, the bytes that the fuzzer made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace test {

// A file in memory with a path.
class FuzzFile {
public:
  FuzzFile(const std::uint8_t *data, std::size_t size) : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
    if (descriptor_ < 0 || write(descriptor_, data, size) != static_cast<ssize_t>(size))
      std::abort();
  }
  ~FuzzFile() { close(descriptor_); }
  FuzzFile(const FuzzFile &) = delete;
  FuzzFile &operator=(const FuzzFile &) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

private:
  int descriptor_;
};

// A folder of this process, gone with it.
class FuzzFolder {
public:
  FuzzFolder() : path_((std::filesystem::temp_directory_path() / "abyssal-fuzz-XXXXXX").string()) {
    if (mkdtemp(path_.data()) == nullptr)
      std::abort();
  }
  ~FuzzFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  FuzzFolder(const FuzzFolder &) = delete;
  FuzzFolder &operator=(const FuzzFolder &) = delete;
  const std::string &path() const noexcept { return path_; }

private:
  std::string path_;
};

} // namespace test
