#include "tensors.h"

#include "convert.h"

#include <cstring>
#include <utility>

namespace abyssal::node {

void TensorList::add(std::string name, aby_dtype dtype, const std::vector<std::int32_t> &shape, std::uint64_t bytes) {
  if (shape.empty() || shape.size() > ABY_MAX_RANK)
    refuse("tensor " + name + " has " + std::to_string(shape.size()) + " dimensions; expected 1 to " +
           std::to_string(ABY_MAX_RANK));
  Entry &entry = entries_.emplace_back();
  entry.name = std::move(name);
  entry.data.reset(new unsigned char[bytes]); // not zeroed: every byte is written
  entry.raw = default_tensor();
  entry.raw.dtype = dtype;
  entry.raw.name = entry.name.c_str();
  entry.raw.data = entry.data.get();
  entry.raw.bytes = bytes;
  entry.raw.rank = static_cast<std::uint32_t>(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i)
    entry.raw.shape[i] = shape[i];
}

void TensorList::write(std::size_t index, std::uint64_t offset, const void *data, std::size_t count) {
  const Entry &entry = entries_.at(index);
  if (offset > entry.raw.bytes || count > entry.raw.bytes - offset)
    refuse("tensor " + entry.name + ": more bytes than were announced");
  if (count != 0)
    std::memcpy(entry.data.get() + offset, data, count);
}

std::vector<const aby_tensor *> TensorList::pointers() const {
  std::vector<const aby_tensor *> all;
  for (const Entry &entry : entries_)
    all.push_back(&entry.raw);
  return all;
}

void Tensors::add(std::string name, aby_dtype dtype, std::vector<std::int32_t> shape, std::uint64_t bytes) {
  list_->add(std::move(name), dtype, shape, bytes);
}

void Tensors::write(std::uint32_t index, std::uint64_t offset, Napi::Value bytes) {
  const auto array = bytes.As<Napi::Uint8Array>();
  list_->write(index, offset, array.Data(), array.ElementLength());
}

} // namespace abyssal::node
