#include "weights/memory_source.h"

#include "base/status.h"

#include <cstring>
#include <map>
#include <new>

namespace abyssal {

namespace {

constexpr std::align_val_t kAlignment{64};

struct AlignedDelete {
  void operator()(std::byte *bytes) const noexcept { ::operator delete(bytes, kAlignment); }
};
using AlignedBytes = std::unique_ptr<std::byte, AlignedDelete>;

class MemorySource final : public TensorSource {
public:
  void add(const aby_tensor &tensor) {
    TensorView view;
    view.dtype = tensor.dtype;
    view.shape.assign(tensor.shape, tensor.shape + tensor.rank);
    view.bytes = tensor.bytes;
    AlignedBytes copy(static_cast<std::byte *>(::operator new(tensor.bytes, kAlignment)));
    std::memcpy(copy.get(), tensor.data, tensor.bytes);
    view.data = copy.get();
    if (!tensors_.try_emplace(tensor.name, Entry{std::move(view), std::move(copy)}).second)
      fail(ABY_ERROR_INVALID_ARGUMENT, "tensor ", tensor.name, ": is given twice");
  }

  const TensorView *find(const std::string &name) const override {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second.view;
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    all.reserve(tensors_.size());
    for (const auto &[name, entry] : tensors_)
      all.push_back(name);
    return all;
  }
  std::string origin(const std::string &) const override { return "in memory"; }
  bool stays_in_place(const std::string &) const noexcept override { return true; }

private:
  struct Entry {
    TensorView view;
    AlignedBytes bytes;
  };
  std::map<std::string, Entry> tensors_;
};

class OverlaySource final : public TensorSource {
public:
  void add_all(const std::shared_ptr<const TensorSource> &source) {
    const auto *layered = dynamic_cast<const OverlaySource *>(source.get());
    for (const std::string &name : source->names())
      from_.insert_or_assign(name, layered != nullptr ? layered->from_.at(name) : source);
  }
  void replace_all(const std::shared_ptr<const TensorSource> &source) {
    for (const std::string &name : source->names())
      forget_halves(name);
    add_all(source);
  }

  const TensorView *find(const std::string &name) const override {
    const auto found = from_.find(name);
    return found == from_.end() ? nullptr : found->second->find(name);
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    all.reserve(from_.size());
    for (const auto &[name, source] : from_)
      all.push_back(name);
    return all;
  }
  std::vector<std::byte> make(const std::string &name) const override { return from_.at(name)->make(name); }
  void release(const std::string &name) const noexcept override {
    if (const auto found = from_.find(name); found != from_.end())
      found->second->release(name);
  }
  Stored stored(const std::string &name) const override {
    const auto found = from_.find(name);
    return found == from_.end() ? Stored{} : found->second->stored(name);
  }
  std::string origin(const std::string &name) const override {
    const auto found = from_.find(name);
    return found == from_.end() ? "nowhere" : found->second->origin(name);
  }
  bool stays_in_place(const std::string &name) const noexcept override {
    const auto found = from_.find(name);
    return found != from_.end() && found->second->stays_in_place(name);
  }

private:
  // A kv_b_proj that is replaced leaves its halves behind: they are not of the same weights any more.
  void forget_halves(const std::string &name) {
    constexpr std::string_view kWhole = "kv_b_proj.weight";
    if (!name.ends_with(kWhole))
      return;
    const std::string layer = name.substr(0, name.size() - kWhole.size());
    const auto is_half = [&](const auto &entry) {
      return entry.first.starts_with(layer + "k_b_proj.") || entry.first.starts_with(layer + "v_b_proj.");
    };
    std::erase_if(from_, is_half);
  }
  std::map<std::string, std::shared_ptr<const TensorSource>> from_; // never an OverlaySource
};

void check_tensor(const aby_tensor &tensor, std::size_t index) {
  if (tensor.name == nullptr || tensor.name[0] == '\0')
    fail(ABY_ERROR_INVALID_ARGUMENT, "tensor ", index, " has no name");
  const char *name = tensor.name;
  if (tensor.data == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, "tensor ", name, ": data is NULL");
  const DtypeBlock block = dtype_block(tensor.dtype);
  if (block.elements == 0)
    fail(ABY_ERROR_INVALID_ARGUMENT, "tensor ", name, ": dtype ", tensor.dtype, " is not known");
  if (tensor.rank < 1 || tensor.rank > ABY_MAX_RANK)
    fail(ABY_ERROR_INVALID_ARGUMENT, "tensor ", name, ": rank is ", tensor.rank, "; expected 1 to ", ABY_MAX_RANK);
  const std::int64_t row = tensor.shape[tensor.rank - 1];
  if (row % block.elements != 0)
    fail(ABY_ERROR_INVALID_ARGUMENT, "tensor ", name, ": has rows of ", row, " elements; blocks of ",
         dtype_name(tensor.dtype), " hold ", block.elements);
  auto bytes = static_cast<std::uint64_t>(block.bytes);
  for (std::uint32_t i = 0; i < tensor.rank; ++i) {
    const std::int64_t dim = i + 1 < tensor.rank ? tensor.shape[i] : row / block.elements;
    if (dim < 1 || __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(dim), &bytes))
      fail(ABY_ERROR_INVALID_ARGUMENT, "tensor ", name, ": dimension ", i, " is ", dim);
  }
  if (bytes != tensor.bytes)
    fail(ABY_ERROR_INVALID_ARGUMENT, "tensor ", name, ": has ", tensor.bytes, " bytes; its shape and type need ",
         bytes);
}

} // namespace

std::shared_ptr<const TensorSource> make_memory_source(std::span<const aby_tensor> tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i)
    check_tensor(tensors[i], i);
  auto source = std::make_shared<MemorySource>();
  for (const aby_tensor &tensor : tensors)
    source->add(tensor);
  return source;
}

std::shared_ptr<const TensorSource> overlay(const std::shared_ptr<const TensorSource> &base,
                                            const std::shared_ptr<const TensorSource> &replacements) {
  auto source = std::make_shared<OverlaySource>();
  source->add_all(base);
  source->replace_all(replacements);
  return source;
}

} // namespace abyssal
