#include "weights/safetensors.h"

#include "base/mapped_file.h"
#include "base/status.h"
#include "weights/safetensors_header.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <unordered_map>

namespace abyssal {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class SafetensorsSource final : public TensorSource {
public:
  // Adds all tensors of a file.
  void add_file(const std::string &path) {
    auto file = MappedFile::open(path);
    auto entries = read_safetensors_header(*file);
    files_.push_back(file);
    for (auto &[name, entry] : entries) {
      const auto [at, fresh] = tensors_.try_emplace(name, Stored{std::move(entry), file});
      if (!fresh)
        fail(ABY_ERROR_FORMAT, path, ": tensor ", name, " is also in ", at->second.file->path());
    }
  }

  const std::string *file_of(const std::string &name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second.file->path();
  }

  const TensorView *find(const std::string &name) const override {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second.entry.view;
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    all.reserve(tensors_.size());
    for (const auto &[name, stored] : tensors_)
      all.push_back(name);
    std::sort(all.begin(), all.end());
    return all;
  }
  std::string origin(const std::string &name) const override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end())
      return "nowhere";
    const Stored &stored = found->second;
    return concat(fs::path(stored.file->path()).filename().string(), ", offset ", stored.entry.offset, ", ",
                  stored.entry.stored);
  }
  std::string identity() const override {
    std::string lines;
    for (const auto &file : files_) {
      std::uint64_t header = 0; // its length, which was checked
      std::memcpy(&header, file->bytes().data(), sizeof header);
      lines += file->identity(sizeof header + header) + "\n";
    }
    return lines;
  }
  void release(const std::string &name) const noexcept override {
    if (const auto found = tensors_.find(name); found != tensors_.end())
      found->second.file->release(found->second.entry.view.data, found->second.entry.view.bytes);
  }
  bool stays_in_place(const std::string &name) const noexcept override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end())
      return false;
    const TensorView &view = found->second.entry.view;
    const std::size_t size = std::max<std::size_t>(dtype_size(view.dtype), 1);
    return reinterpret_cast<std::uintptr_t>(view.data) % size == 0;
  }

private:
  struct Stored {
    SafetensorsEntry entry;
    std::shared_ptr<const MappedFile> file;
  };
  std::vector<std::shared_ptr<const MappedFile>> files_;
  std::unordered_map<std::string, Stored> tensors_;
};

// weight_map of an index: tensor -> shard. Checks that a shard is a plain file name.
std::map<std::string, std::string> read_index(const std::string &path) {
  const std::string text = read_text_file(path);
  Json index;
  try {
    index = Json::parse(text);
  } catch (const Json::exception &error) {
    fail(ABY_ERROR_FORMAT, path, ": is not valid JSON: ", error.what());
  }
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    fail(ABY_ERROR_FORMAT, path, ": has no object weight_map");
  std::map<std::string, std::string> shard_of;
  for (const auto &[name, shard] : index["weight_map"].items()) {
    if (!shard.is_string())
      fail(ABY_ERROR_FORMAT, path, ": the shard of tensor ", name, " is not a file name");
    const auto file = shard.get<std::string>();
    if (file.empty() || file == "." || file == ".." || file.find('/') != std::string::npos ||
        file.find('\\') != std::string::npos || file.find('\0') != std::string::npos)
      fail(ABY_ERROR_FORMAT, path, ": the shard of tensor ", name, " is \"", file,
           "\"; expected the name of a file in the same folder");
    shard_of.emplace(name, file);
  }
  return shard_of;
}

std::shared_ptr<const TensorSource> open_sharded(const fs::path &folder, const std::string &index) {
  const auto shard_of = read_index(index);
  std::map<std::string, std::string> first_tensor; // of each shard
  for (const auto &[name, shard] : shard_of)
    first_tensor.emplace(shard, name);
  auto source = std::make_shared<SafetensorsSource>();
  for (const auto &[shard, tensor] : first_tensor) {
    const std::string path = (folder / shard).string();
    if (!fs::exists(path))
      fail(ABY_ERROR_NOT_FOUND, path, ": there is no such file; ", index, " says that it holds tensor ", tensor);
    source->add_file(path);
  }
  for (const auto &[name, shard] : shard_of) {
    const std::string *file = source->file_of(name);
    if (file == nullptr || fs::path(*file).filename() != shard)
      fail(ABY_ERROR_FORMAT, (folder / shard).string(), ": tensor ", name, " is not in it, though ", index, " says so");
  }
  return source;
}

bool is_checkpoint_file(const fs::path &path) {
  const std::string name = path.filename().string();
  return path.extension() == ".safetensors" && name != "expected.safetensors" &&
         name.find(".expected.") == std::string::npos;
}

} // namespace

std::shared_ptr<const TensorSource> open_safetensors_file(const std::string &path) {
  auto source = std::make_shared<SafetensorsSource>();
  source->add_file(path);
  return source;
}

std::shared_ptr<const TensorSource> open_safetensors_folder(const std::string &folder) {
  const fs::path base(folder);
  std::error_code error;
  if (!fs::is_directory(base, error))
    fail(ABY_ERROR_NOT_FOUND, folder, ": there is no such folder");
  const fs::path index = base / "model.safetensors.index.json";
  if (fs::exists(index, error))
    return open_sharded(base, index.string());
  const fs::path single = base / "model.safetensors";
  if (fs::exists(single, error))
    return open_safetensors_file(single.string());

  std::set<std::string> files;
  for (const auto &item : fs::directory_iterator(base, error)) {
    if (is_checkpoint_file(item.path()))
      files.insert(item.path().string());
  }
  if (error)
    fail(ABY_ERROR_IO, folder, ": cannot be listed: ", error.message());
  if (files.empty())
    fail(ABY_ERROR_NOT_FOUND, folder, ": has neither model.safetensors.index.json nor a *.safetensors file");
  if (files.size() > 1)
    fail(ABY_ERROR_FORMAT, folder, ": has ", files.size(),
         " *.safetensors files but no model.safetensors.index.json to say which belong to the model");
  return open_safetensors_file(*files.begin());
}

} // namespace abyssal
