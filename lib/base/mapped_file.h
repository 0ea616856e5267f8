// A read-only memory-mapped file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace abyssal {

// The file must not be truncated while it is mapped: the operating system then ends a process that reads the lost part.
class MappedFile {
public:
  // Throws NOT_FOUND or IO, naming the file. An empty file maps to an empty span.
  static std::shared_ptr<const MappedFile> open(const std::string &path);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  // The pages of a part are not needed soon: the operating system may drop them from memory and read them again.
  void release(const std::byte *data, std::size_t bytes) const noexcept;

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  const std::string &path() const noexcept { return path_; }
  // What tells this file from another one of its name: size, time of the last change, and the hash of its first bytes.
  std::string identity(std::size_t hashed_bytes) const;

private:
  MappedFile(std::string path, const std::byte *data, std::size_t size, std::int64_t modified)
      : path_(std::move(path)), data_(data), size_(size), modified_(modified) {}
  std::string path_;
  const std::byte *data_;
  std::size_t size_;
  std::int64_t modified_; // nanoseconds
};

// The whole of a small text file (config, tokenizer). Throws NOT_FOUND or IO, naming the file.
std::string read_text_file(const std::string &path);

} // namespace abyssal
