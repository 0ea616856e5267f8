// A packed cache file: weights as a backend arranges them, to be mapped when the same model is opened again.
//
//   [0, 64)        prologue: magic, version, sizes, hashes; see packed_format.h
//   data           each image at a multiple of 4096, in the order of the index
//   index          the identity, and name, place and hash of each image
//
// The identity is a text that names everything the images depend on; a file with another one is of no use.
#pragma once

#include "base/mapped_file.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>

namespace abyssal {

class PackedFile {
public:
  // Maps the file and checks prologue, index and that every image lies within the file; images are not read. Throws
  // NOT_FOUND, IO, or FORMAT: damaged, or of another identity.
  static std::shared_ptr<const PackedFile> open(const std::string &path, const std::string &identity);

  // An image, empty where there is none of that name.
  std::span<const std::byte> find(const std::string &name) const;
  // Reads every image. Throws FORMAT, naming the one whose hash differs.
  void check_images() const;
  const std::string &path() const noexcept { return file_->path(); }

private:
  struct Image {
    std::uint64_t offset = 0, bytes = 0, hash = 0;
  };
  explicit PackedFile(std::shared_ptr<const MappedFile> file) : file_(std::move(file)) {}
  void read_index(const std::string &identity);
  [[noreturn]] void refuse(const std::string &reason) const;

  std::shared_ptr<const MappedFile> file_;
  std::unordered_map<std::string, Image> images_;
};

} // namespace abyssal
