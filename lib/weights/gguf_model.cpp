#include "weights/gguf_model.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

namespace abyssal {

namespace {

namespace fs = std::filesystem;

constexpr const char *kSplitNo = "split.no", *kSplitCount = "split.count", *kSplitTensors = "split.tensors.count";

// What the name of a part says.
struct PartName {
  std::string prefix; // with the folder
  unsigned number = 0, count = 0;

  std::string path_of(unsigned part) const {
    const auto digits = [](unsigned value) {
      const std::string text = std::to_string(value);
      return std::string(text.size() < 5 ? 5 - text.size() : 0, '0') + text;
    };
    return prefix + "-" + digits(part) + "-of-" + digits(count) + ".gguf";
  }
};

std::optional<unsigned> five_digits(const std::string &text, std::size_t at) {
  unsigned value = 0;
  for (std::size_t i = at; i < at + 5; ++i) {
    if (text[i] < '0' || text[i] > '9')
      return std::nullopt;
    value = value * 10 + static_cast<unsigned>(text[i] - '0');
  }
  return value;
}

std::optional<PartName> parse_part_name(const std::string &path) {
  constexpr std::size_t kTail = sizeof "-00001-of-00002.gguf" - 1;
  if (path.size() <= kTail)
    return std::nullopt;
  const std::size_t at = path.size() - kTail;
  if (path[at] != '-' || path.compare(at + 6, 4, "-of-") != 0 || path.compare(at + 15, 5, ".gguf") != 0)
    return std::nullopt;
  const auto number = five_digits(path, at + 1), count = five_digits(path, at + 10);
  if (!number || !count || *number < 1 || *number > *count)
    return std::nullopt;
  return PartName{path.substr(0, at), *number, *count};
}

std::int64_t required(const GgufMetadata &metadata, const char *key) {
  const auto value = metadata.integer(key);
  if (!value)
    metadata.refuse(key, "a part of a split model has it");
  return *value;
}

void check_value(const GgufMetadata &metadata, const char *key, std::int64_t expected, const char *why) {
  const std::int64_t value = required(metadata, key);
  if (value != expected)
    metadata.refuse(key, concat("is ", value, "; ", why, " ", expected));
}

} // namespace

std::shared_ptr<const GgufModel> GgufModel::open(const std::string &path) {
  std::shared_ptr<GgufModel> model(new GgufModel);
  auto named = GgufFile::open(path);
  const std::int64_t count = named->metadata().integer(kSplitCount).value_or(1);
  if (count <= 1) {
    model->add(std::move(named));
    return model;
  }
  const auto name = parse_part_name(path);
  if (!name)
    fail(ABY_ERROR_FORMAT, path, ": is one of ", count,
         " parts, but its name does not say which; expected a name such as NAME-00001-of-00003.gguf");
  for (unsigned part = 1; part <= name->count; ++part) {
    const std::string file = name->path_of(part);
    if (!fs::exists(file))
      fail(ABY_ERROR_NOT_FOUND, file, ": there is no such file; the model has ", name->count, " parts");
    auto opened = part == name->number ? named : GgufFile::open(file);
    check_value(opened->metadata(), kSplitCount, name->count, "the file's name says");
    check_value(opened->metadata(), kSplitNo, std::int64_t{part} - 1, "the file's name makes it");
    model->add(std::move(opened));
  }
  check_value(model->metadata(), kSplitTensors, static_cast<std::int64_t>(model->tensors_.size()),
              "the parts together have");
  return model;
}

void GgufModel::add(std::shared_ptr<const GgufFile> part) {
  for (const GgufTensor &tensor : part->tensors()) {
    const auto [at, fresh] = tensors_.try_emplace(tensor.name, Located{&tensor, part.get()});
    if (!fresh)
      fail(ABY_ERROR_FORMAT, part->path(), ": tensor ", tensor.name, ": offset ", tensor.offset, ": is also in ",
           at->second.file->path());
  }
  parts_.push_back(std::move(part));
}

const GgufModel::Located *GgufModel::find(const std::string &name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

std::string GgufModel::identity() const {
  std::string lines;
  for (const auto &part : parts_)
    lines += part->identity() + "\n";
  return lines;
}

std::vector<GgufModel::Located> GgufModel::tensors() const {
  std::vector<Located> all;
  for (const auto &part : parts_) {
    for (const GgufTensor &tensor : part->tensors())
      all.push_back({&tensor, part.get()});
  }
  return all;
}

std::string find_gguf_model(const std::string &folder) {
  std::error_code error;
  std::set<std::string> models; // the parts of one count once
  for (const auto &item : fs::directory_iterator(folder, error)) {
    const std::string path = item.path().string();
    if (item.path().extension() != ".gguf")
      continue;
    const auto part = parse_part_name(path);
    models.insert(part ? part->path_of(1) : path);
  }
  if (error)
    fail(ABY_ERROR_IO, folder, ": cannot be listed: ", error.message());
  if (models.size() > 1) {
    std::string names;
    for (const std::string &model : models)
      names += (names.empty() ? "" : ", ") + fs::path(model).filename().string();
    fail(ABY_ERROR_FORMAT, folder, ": holds several GGUF models; name the one to open: ", names);
  }
  return models.empty() ? "" : *models.begin();
}

} // namespace abyssal
