// The fixed part of a packed cache file. Numbers are little-endian.
#pragma once

#include <cstddef>
#include <cstdint>

namespace abyssal {

struct PackedPrologue {
  char magic[8];
  std::uint32_t version;
  std::uint32_t reserved;
  std::uint64_t file_bytes;
  std::uint64_t index_offset, index_bytes; // the index reaches to the end of the file
  std::uint64_t index_hash;
  std::uint64_t unused;
  std::uint64_t hash; // of what is before it
};
static_assert(sizeof(PackedPrologue) == 64);

constexpr char kPackedMagic[8] = {'A', 'B', 'Y', 'P', 'A', 'C', 'K', '\n'};
constexpr std::uint32_t kPackedVersion = 1;
constexpr std::uint64_t kPackedAlignment = 4096;

// The index: u32 length and bytes of the identity; u32 count of images; for each u32 length and bytes of its name, u64
// offset, u64 bytes, u64 hash.

} // namespace abyssal
