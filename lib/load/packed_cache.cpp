#include "load/packed_cache.h"

#include "base/hash64.h"
#include "base/status.h"

#include <filesystem>
#include <iomanip>
#include <sstream>

namespace abyssal {

namespace {

namespace fs = std::filesystem;

// In a folder of its own a file's name carries a hash of the checkpoint's path, as checkpoints elsewhere may be called
// the same.
std::string path_of(const std::string &folder, const PackedKey &key) {
  std::error_code unresolved; // a path that cannot be looked up serves as it is: writing will say what is wrong
  fs::path checkpoint = fs::weakly_canonical(key.checkpoint, unresolved);
  if (unresolved)
    checkpoint = key.checkpoint;
  std::ostringstream name;
  name << checkpoint.filename().string();
  if (!folder.empty()) {
    const std::string whole = checkpoint.string();
    name << '-' << std::hex << std::setw(16) << std::setfill('0') << hash64(std::as_bytes(std::span(whole)));
  }
  name << '.' << key.variant << ".abypack";
  const fs::path beside = fs::is_directory(checkpoint, unresolved) ? checkpoint : checkpoint.parent_path();
  return ((folder.empty() ? beside : fs::path(folder)) / name.str()).string();
}

} // namespace

PackedCache::PackedCache(PackedCacheOptions options, PackedKey key)
    : options_(std::move(options)), key_(std::move(key)), path_(path_of(options_.folder.value_or(""), key_)) {
  if (std::error_code error; !fs::exists(path_, error))
    return;
  try {
    auto file = PackedFile::open(path_, key_.identity);
    if (options_.check)
      file->check_images();
    file_ = std::move(file);
    writes_ = false;
  } catch (const Error &error) {
    warn(error.text() + "; it is made anew");
  }
}

const std::byte *PackedCache::find(const std::string &name, std::uint64_t bytes) {
  const auto image = file_ != nullptr ? file_->find(name) : std::span<const std::byte>();
  return image.size() == bytes ? image.data() : nullptr;
}

void PackedCache::add(const std::string &name, const std::byte *image, std::uint64_t bytes) {
  attempt([&] {
    if (writer_ == nullptr)
      writer_ = std::make_unique<PackedWriter>(path_, key_.identity);
    writer_->add(name, {image, bytes});
  });
}

void PackedCache::finish() {
  attempt([&] {
    if (writer_ != nullptr)
      writer_->finish();
  });
  writer_.reset();
}

// A step of writing; after one that fails no file is written.
template <typename Step> void PackedCache::attempt(Step &&step) {
  if (!writes_)
    return;
  try {
    step();
  } catch (const Error &error) {
    writes_ = false;
    writer_.reset();
    warn(error.text() + "; the model is opened without it");
  }
}

void PackedCache::warn(const std::string &text) const {
  if (options_.warning)
    options_.warning("packed cache: " + text);
}

} // namespace abyssal
