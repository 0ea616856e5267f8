// Writes GGUF files for tests, right ones and such as nobody would write.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace test {

// Bytes in the order that the format has them.
class Bytes {
public:
  template <typename Number> Bytes &number(Number value) {
    text_.append(reinterpret_cast<const char *>(&value), sizeof value);
    return *this;
  }
  Bytes &text(const std::string &value) {
    number<std::uint64_t>(value.size());
    text_ += value;
    return *this;
  }
  Bytes &raw(const std::string &value) {
    text_ += value;
    return *this;
  }
  const std::string &get() const { return text_; }

private:
  std::string text_;
};

// Numbers of the types that a value may have.
enum GgufValueType : std::uint32_t {
  kGgufU32 = 4,
  kGgufF32 = 6,
  kGgufBool = 7,
  kGgufText = 8,
  kGgufArray = 9,
  kGgufU64 = 10
};

class GgufBuilder {
public:
  std::uint32_t version = 3;
  std::uint64_t alignment = 32; // of the data that is written; say it with u32("general.alignment", ...)
  std::int64_t extra_tensors = 0, extra_entries = 0; // added to the counts

  GgufBuilder &entry(const std::string &key, std::uint32_t type, const std::string &value) {
    entries_.push_back(Bytes().text(key).number(type).raw(value).get());
    return *this;
  }
  GgufBuilder &raw_entry(const std::string &bytes) {
    entries_.push_back(bytes);
    return *this;
  }
  GgufBuilder &u32(const std::string &key, std::uint32_t value) {
    return entry(key, kGgufU32, Bytes().number(value).get());
  }
  GgufBuilder &u64(const std::string &key, std::uint64_t value) {
    return entry(key, kGgufU64, Bytes().number(value).get());
  }
  GgufBuilder &f32(const std::string &key, float value) { return entry(key, kGgufF32, Bytes().number(value).get()); }
  GgufBuilder &boolean(const std::string &key, std::uint8_t value) {
    return entry(key, kGgufBool, Bytes().number(value).get());
  }
  GgufBuilder &text(const std::string &key, const std::string &value) {
    return entry(key, kGgufText, Bytes().text(value).get());
  }

  // dims as the file lists them, the row's length first. The data follows that of the tensor before.
  GgufBuilder &tensor(const std::string &name, std::vector<std::uint64_t> dims, std::uint32_t type,
                      const std::string &data) {
    pad();
    return tensor_at(name, std::move(dims), type, data_.size(), data);
  }
  GgufBuilder &tensor_at(const std::string &name, std::vector<std::uint64_t> dims, std::uint32_t type,
                         std::uint64_t offset, const std::string &data = "") {
    Bytes bytes;
    bytes.text(name).number(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t dim : dims)
      bytes.number(dim);
    tensors_.push_back(bytes.number(type).number(offset).get());
    data_ += data;
    return *this;
  }
  GgufBuilder &floats(const std::string &name, std::vector<std::uint64_t> dims, float first = 0) {
    std::uint64_t count = 1;
    for (const std::uint64_t dim : dims)
      count *= dim;
    Bytes data;
    for (std::uint64_t i = 0; i < count; ++i)
      data.number(first + static_cast<float>(i));
    return tensor(name, std::move(dims), 0, data.get());
  }

  std::string bytes() const {
    Bytes all;
    all.raw("GGUF").number(version);
    all.number(static_cast<std::uint64_t>(static_cast<std::int64_t>(tensors_.size()) + extra_tensors));
    all.number(static_cast<std::uint64_t>(static_cast<std::int64_t>(entries_.size()) + extra_entries));
    for (const std::string &one : entries_)
      all.raw(one);
    for (const std::string &one : tensors_)
      all.raw(one);
    const std::size_t header = all.get().size();
    all.raw(std::string((header + alignment - 1) / alignment * alignment - header, '\0')).raw(data_);
    return all.get();
  }

private:
  void pad() { data_.resize((data_.size() + alignment - 1) / alignment * alignment); }
  std::vector<std::string> entries_, tensors_;
  std::string data_;
};

// A folder that is removed with everything in it.
class TemporaryFolder {
public:
  explicit TemporaryFolder(const std::string &name) {
    static int counter = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("abyssal-" + name + "-" + std::to_string(getpid()) + "-" + std::to_string(counter++));
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;
  std::string file(const std::string &name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }
  std::string write(const std::string &name, const std::string &bytes) const {
    std::ofstream(path_ / name, std::ios::binary | std::ios::trunc) << bytes;
    return file(name);
  }

private:
  std::filesystem::path path_;
};

} // namespace test
