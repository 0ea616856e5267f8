// Tensors from a script. Their bytes are copied, a part at a time, so that nobody can change or free them during the
// call that takes them, and so that copying does not hold the event loop up.
#pragma once

#include <abyssal/abyssal.hpp>

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace abyssal::node {

class TensorList {
public:
  void add(std::string name, aby_dtype dtype, const std::vector<std::int32_t> &shape, std::uint64_t bytes);
  void write(std::size_t index, std::uint64_t offset, const void *data, std::size_t count);
  std::size_t size() const { return entries_.size(); }
  const void *data(std::size_t index) const { return entries_.at(index).data.get(); }
  // Pointers to what this list holds.
  std::vector<const aby_tensor *> pointers() const;

private:
  struct Entry {
    std::string name;
    std::unique_ptr<unsigned char[]> data;
    aby_tensor raw;
  };
  std::deque<Entry> entries_;
};

// What scripts see of it. Calls share the list: it must not change any more.
class Tensors {
public:
  void add(std::string name, aby_dtype dtype, std::vector<std::int32_t> shape, std::uint64_t bytes);
  void write(std::uint32_t index, std::uint64_t offset, Napi::Value bytes);
  const std::shared_ptr<TensorList> &list() const { return list_; }

private:
  std::shared_ptr<TensorList> list_ = std::make_shared<TensorList>();
};

} // namespace abyssal::node
