// A file that is written under another name, and gets its own when it is whole: nobody ever finds half of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace abyssal {

class OutputFile {
public:
  // Throws IO where a file cannot be made there.
  explicit OutputFile(std::string path);
  // Takes the unfinished file away.
  ~OutputFile();
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;

  // Bytes at an offset; what is skipped reads as zeros. Throws IO.
  void write(std::uint64_t offset, std::span<const std::byte> bytes);
  // Waits for the disk and renames over what was there. Throws IO.
  void finish();

private:
  [[noreturn]] void fail_errno(const char *what) const;

  std::string path_, temporary_;
  int fd_ = -1;
};

} // namespace abyssal
