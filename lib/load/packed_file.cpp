#include "load/packed_file.h"

#include "base/hash64.h"
#include "base/status.h"
#include "weights/packed_format.h"

#include <cstring>

namespace abyssal {

namespace {

// Reads the index front to back; a read beyond its end gives ok() false and zeros.
class IndexReader {
public:
  explicit IndexReader(std::span<const std::byte> bytes) : left_(bytes) {}

  template <typename Number> Number number() {
    Number value{};
    const auto from = take(sizeof value);
    if (ok_)
      std::memcpy(&value, from.data(), sizeof value);
    return value;
  }
  std::string text() {
    const auto from = take(number<std::uint32_t>());
    return {reinterpret_cast<const char *>(from.data()), from.size()};
  }
  bool ok() const noexcept { return ok_; }
  bool done() const noexcept { return ok_ && left_.empty(); }

private:
  std::span<const std::byte> take(std::size_t bytes) {
    ok_ = ok_ && bytes <= left_.size();
    if (!ok_)
      return {};
    const auto taken = left_.first(bytes);
    left_ = left_.subspan(bytes);
    return taken;
  }
  std::span<const std::byte> left_;
  bool ok_ = true;
};

} // namespace

std::shared_ptr<const PackedFile> PackedFile::open(const std::string &path, const std::string &identity) {
  std::shared_ptr<PackedFile> file(new PackedFile(MappedFile::open(path)));
  file->read_index(identity);
  return file;
}

void PackedFile::refuse(const std::string &reason) const { fail(ABY_ERROR_FORMAT, path(), ": ", reason); }

void PackedFile::read_index(const std::string &identity) {
  const auto bytes = file_->bytes();
  PackedPrologue prologue;
  if (bytes.size() < sizeof prologue || std::memcmp(bytes.data(), kPackedMagic, sizeof kPackedMagic) != 0)
    refuse("is not a packed cache file");
  std::memcpy(&prologue, bytes.data(), sizeof prologue);
  if (prologue.hash != hash64(bytes.first(offsetof(PackedPrologue, hash))))
    refuse("its first 64 bytes are damaged");
  if (prologue.version != kPackedVersion)
    refuse(concat("has version ", prologue.version, "; this library reads ", kPackedVersion));
  if (prologue.file_bytes != bytes.size() || prologue.index_offset > bytes.size() ||
      prologue.index_bytes != bytes.size() - prologue.index_offset)
    refuse(concat("has ", bytes.size(), " bytes; it was written with ", prologue.file_bytes));
  const auto index = bytes.subspan(prologue.index_offset);
  if (prologue.index_hash != hash64(index))
    refuse("its index is damaged");
  IndexReader reader(index);
  if (reader.text() != identity)
    refuse("was made from other files, with other options or by another library");
  const auto count = reader.number<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    std::string name = reader.text();
    Image image;
    image.offset = reader.number<std::uint64_t>();
    image.bytes = reader.number<std::uint64_t>();
    image.hash = reader.number<std::uint64_t>();
    if (image.offset % kPackedAlignment != 0 || image.offset > prologue.index_offset ||
        image.bytes > prologue.index_offset - image.offset)
      refuse(concat("image ", name, " lies outside of it"));
    images_.insert_or_assign(std::move(name), image);
  }
  if (!reader.done())
    refuse("its index has another length than it says");
}

std::span<const std::byte> PackedFile::find(const std::string &name) const {
  const auto found = images_.find(name);
  if (found == images_.end())
    return {};
  return file_->bytes().subspan(found->second.offset, found->second.bytes);
}

void PackedFile::check_images() const {
  for (const auto &[name, image] : images_) {
    const auto bytes = file_->bytes().subspan(image.offset, image.bytes);
    if (hash64(bytes) != image.hash)
      refuse(concat("image ", name, " (offset ", image.offset, ") is damaged"));
    file_->release(bytes.data(), bytes.size());
  }
}

} // namespace abyssal
