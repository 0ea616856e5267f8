// One GGUF file, memory-mapped: header, metadata, tensors, then their data. Versions 2 and 3, little-endian.
#pragma once

#include "base/tensor_view.h"
#include "weights/gguf_metadata.h"

#include <memory>
#include <string>
#include <vector>

namespace abyssal {

struct GgufTensor {
  std::string name;
  TensorView view;          // rows first: the file lists dimensions from the row's length on
  const char *stored;       // the type as stored, such as "Q4_K"; view.dtype is AUTO where it is not read
  std::uint64_t offset = 0; // of the data in the file
};

class GgufFile {
public:
  // Checks everything but the values of tensors before returning: magic, version, byte order, every length, count and
  // type, the alignment, dimensions against types, offsets and sizes against the file, overlaps, names given twice.
  // Throws NOT_FOUND, IO, FORMAT or UNSUPPORTED with file, key or tensor, and offset.
  static std::shared_ptr<const GgufFile> open(const std::string &path);

  const std::string &path() const noexcept { return file_->path(); }
  const GgufMetadata &metadata() const noexcept { return *metadata_; }
  const std::vector<GgufTensor> &tensors() const noexcept { return tensors_; } // in the file's order
  // See MappedFile::identity; everything before the tensors' data is hashed.
  std::string identity() const { return file_->identity(data_begin_); }
  void release(const GgufTensor &tensor) const noexcept { file_->release(tensor.view.data, tensor.view.bytes); }

private:
  explicit GgufFile(std::shared_ptr<const MappedFile> file) : file_(std::move(file)) {}
  void read();

  std::shared_ptr<const MappedFile> file_;
  std::unique_ptr<const GgufMetadata> metadata_;
  std::vector<GgufTensor> tensors_;
  std::uint64_t data_begin_ = 0;
};

// Whether a file begins as a GGUF file does; false when it cannot be read.
bool looks_like_gguf(const std::string &path);

} // namespace abyssal
