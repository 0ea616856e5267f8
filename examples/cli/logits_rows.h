// Rows of logits that are kept until another pass has made its own, and rows that another program has written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cli {

class Descriptor {
public:
  explicit Descriptor(int value) noexcept : value_(value) {}
  Descriptor(Descriptor &&other) noexcept;
  Descriptor &operator=(Descriptor &&) = delete;
  ~Descriptor();
  int get() const noexcept { return value_; }

private:
  int value_;
};

// Rows of float32 behind the first `offset` bytes of a file. Errors are std::runtime_error and name the file.
class RowFile {
public:
  RowFile(Descriptor descriptor, std::string name, std::size_t columns, std::uint64_t offset);

  void write(std::size_t index, const float *row);
  // Valid until the next call.
  const float *read(std::size_t index);

private:
  std::uint64_t place(std::size_t index) const;

  Descriptor descriptor_;
  std::string name_;
  std::uint64_t offset_;
  std::vector<float> row_;
};

// A file with logits [rows, columns]: float32 and nothing else, or NumPy's .npy of that shape.
RowFile open_logits_file(const std::string &path, std::size_t rows, std::size_t columns);

// Rows in memory, or, where all of them would take more than memory_limit bytes, in a temporary file. That has no name
// any more once it is open, and so is gone with the process, however it ends.
class KeptRows {
public:
  KeptRows(std::size_t rows, std::size_t columns, std::uint64_t memory_limit);

  void append(const float *row);
  // Valid until the next call.
  const float *row(std::size_t index);
  bool in_memory() const noexcept { return !file_.has_value(); }

private:
  std::size_t columns_, count_ = 0;
  std::vector<float> memory_;
  std::optional<RowFile> file_;
};

} // namespace cli
