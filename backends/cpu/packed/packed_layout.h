// Low-bit weights as the kernels read them. A matrix W [n, k] is cut into tiles of 16 rows, each tile along k into
// units of 128. A unit holds its scales and then its quants so that four consecutive k of 16 rows make one 64-byte
// vector: one integer dot product instruction. One layout serves one token and many alike, and a tile is read front to
// back.
//
//   value = scale * (quant - zero) + bias         scale and bias per row and group of 16 or 32 along k
//
// Quants are unsigned. Rows past n and columns past k have scale 0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace abyssal::cpu {

constexpr std::int64_t kPackedTile = 16;  // rows of W
constexpr std::int64_t kPackedUnit = 128; // along k
constexpr std::int64_t kUnitVectors = kPackedUnit / 4;

// What differs between layouts at compile time.
enum class PackedScales : std::uint8_t {
  kF16,     // [groups][16] f16
  kF16Bias, // [groups][16] f16 scales, then [groups][16] f16 biases
  kF32,     // [groups][16] f32
  kF32Bias, // [groups][16] f32 scales, then [groups][16] f32 biases
  kK        // [16] f16 d, [16] f16 dmin, [groups][16] u8 of scales, [groups][16] u8 of mins: scale d s, bias -dmin m
};

struct PackedLayout {
  int bits;  // 4 or 8
  int group; // 16 or 32
  PackedScales scales;
  bool table; // 4 bits index a table of 16 bytes; quants are those

  constexpr bool bias() const {
    return scales == PackedScales::kF16Bias || scales == PackedScales::kF32Bias || scales == PackedScales::kK;
  }
  constexpr int groups() const { return static_cast<int>(kPackedUnit) / group; }
  constexpr std::int64_t scale_bytes() const {
    const std::int64_t entries = groups() * kPackedTile;
    switch (scales) {
    case PackedScales::kF16:
      return entries * 2;
    case PackedScales::kF32Bias:
      return entries * 8;
    case PackedScales::kK:
      return 4 * kPackedTile + entries * 2;
    default:
      return entries * 4;
    }
  }
  constexpr std::int64_t quant_bytes() const { return kPackedTile * kPackedUnit * bits / 8; }
  constexpr std::int64_t unit_bytes() const { return scale_bytes() + quant_bytes(); }
};

// The layouts that have kernels.
enum class PackedKind : std::uint8_t {
  kQ4,        // q4_0, int4 on load
  kQ4Bias,    // q4_1
  kQ4K,       // q4_k
  kTable4,    // iq4_nl
  kTable4F32, // iq4_xs, mxfp4
  kQ4G16,     // q3_k
  kQ4G16Bias, // q2_k
  kQ8,        // q8_0, q5_0, int8 on load
  kQ5Bias,    // q5_1, q5_k: 5 bits in a byte
  kQ8G16      // q6_k
};
constexpr int kPackedKinds = 10;

constexpr PackedLayout layout_of(PackedKind kind) {
  constexpr PackedLayout layouts[kPackedKinds] = {
      {4, 32, PackedScales::kF16, false},     {4, 32, PackedScales::kF16Bias, false},
      {4, 32, PackedScales::kK, false},       {4, 32, PackedScales::kF16, true},
      {4, 32, PackedScales::kF32, true},      {4, 16, PackedScales::kF32, false},
      {4, 16, PackedScales::kF32Bias, false}, {8, 32, PackedScales::kF16, false},
      {8, 32, PackedScales::kF32Bias, false}, {8, 16, PackedScales::kF32, false}};
  return layouts[static_cast<int>(kind)];
}

constexpr const char *layout_name(PackedKind kind) {
  constexpr const char *names[kPackedKinds] = {"q4",     "q4_bias",     "q4_k", "table4",  "table4_f32",
                                               "q4_g16", "q4_g16_bias", "q8",   "q5_bias", "q8_g16"};
  return names[static_cast<int>(kind)];
}

// Whether all quants are below 16: AVX2 sums products of theirs in 16 bits.
constexpr bool nibble_quants(PackedKind kind) { return layout_of(kind).bits == 4 && !layout_of(kind).table; }

struct PackedMatrix {
  const std::byte *data = nullptr; // 64-byte aligned: [tiles][units][unit_bytes]
  PackedKind kind = PackedKind::kQ4;
  std::int32_t zero = 0;
  const std::uint8_t *table = nullptr; // [16]
  std::int64_t n = 0, k = 0;

  std::int64_t tiles() const noexcept { return (n + kPackedTile - 1) / kPackedTile; }
  std::int64_t units() const noexcept { return (k + kPackedUnit - 1) / kPackedUnit; }
  const std::byte *tile(std::int64_t index) const noexcept {
    return data + index * units() * layout_of(kind).unit_bytes();
  }
};

inline std::int64_t packed_bytes(PackedKind kind, std::int64_t n, std::int64_t k) noexcept {
  const PackedMatrix shape{nullptr, kind, 0, nullptr, n, k};
  return shape.tiles() * shape.units() * layout_of(kind).unit_bytes();
}

} // namespace abyssal::cpu
