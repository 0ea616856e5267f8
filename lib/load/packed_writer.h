// Writes a packed cache file: see packed_file.h.
#pragma once

#include "base/output_file.h"

#include <cstdint>
#include <span>
#include <string>

namespace abyssal {

class PackedWriter {
public:
  // Throws IO where a file cannot be made there.
  PackedWriter(const std::string &path, const std::string &identity);

  // Appends an image. Throws IO.
  void add(const std::string &name, std::span<const std::byte> image);
  // Index and prologue; then the file has its name. Throws IO. Without it no file is left.
  void finish();

private:
  void align();
  template <typename Number> void put(Number value) {
    index_.append(reinterpret_cast<const char *>(&value), sizeof value);
  }
  void put_text(const std::string &text);

  OutputFile file_;
  std::uint64_t offset_;
  std::uint32_t count_ = 0;
  std::size_t count_at_; // of the count of images in index_
  std::string index_;
};

} // namespace abyssal
