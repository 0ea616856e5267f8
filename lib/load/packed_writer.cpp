#include "load/packed_writer.h"

#include "base/hash64.h"
#include "weights/packed_format.h"

#include <algorithm>
#include <cstring>

namespace abyssal {

namespace {

std::span<const std::byte> bytes_of(const void *data, std::size_t bytes) noexcept {
  return {static_cast<const std::byte *>(data), bytes};
}

} // namespace

PackedWriter::PackedWriter(const std::string &path, const std::string &identity)
    : file_(path), offset_(sizeof(PackedPrologue)) {
  put_text(identity);
  count_at_ = index_.size();
  put(count_);
}

void PackedWriter::align() { offset_ = (offset_ + kPackedAlignment - 1) / kPackedAlignment * kPackedAlignment; }

void PackedWriter::put_text(const std::string &text) {
  put(static_cast<std::uint32_t>(text.size()));
  index_ += text;
}

void PackedWriter::add(const std::string &name, std::span<const std::byte> image) {
  align();
  put_text(name);
  put(offset_);
  put(static_cast<std::uint64_t>(image.size()));
  put(hash64(image));
  file_.write(offset_, image);
  offset_ += image.size();
  ++count_;
}

void PackedWriter::finish() {
  align();
  std::memcpy(index_.data() + count_at_, &count_, sizeof count_);
  const auto index = bytes_of(index_.data(), index_.size());
  PackedPrologue prologue{};
  std::copy_n(kPackedMagic, sizeof kPackedMagic, prologue.magic);
  prologue.version = kPackedVersion;
  prologue.file_bytes = offset_ + index.size();
  prologue.index_offset = offset_;
  prologue.index_bytes = index.size();
  prologue.index_hash = hash64(index);
  prologue.hash = hash64(bytes_of(&prologue, offsetof(PackedPrologue, hash)));
  file_.write(offset_, index);
  file_.write(0, bytes_of(&prologue, sizeof prologue));
  file_.finish();
}

} // namespace abyssal
