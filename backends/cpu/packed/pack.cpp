#include "backends/cpu/packed/pack.h"

#include "base/block_format.h"
#include "base/dtype.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace abyssal::cpu {

namespace {

constexpr std::int32_t kByteZero = 128;

// A table of steps as unsigned quants.
constexpr std::array<std::uint8_t, 16> unsigned_steps(const std::int8_t *steps) {
  std::array<std::uint8_t, 16> table{};
  for (std::size_t i = 0; i < table.size(); ++i)
    table[i] = static_cast<std::uint8_t>(steps[i] + kByteZero);
  return table;
}
constexpr std::array<std::uint8_t, 16> kUnevenTable = unsigned_steps(kUnevenSteps);
constexpr std::array<std::uint8_t, 16> kFp4Table = unsigned_steps(kFp4Steps);

PackedMatrix form(PackedKind kind, std::int32_t zero, const std::uint8_t *table = nullptr) {
  return {nullptr, kind, zero, table, 0, 0};
}

// The stored quant of every signed value: its place in the table, or the value with the zero added.
std::array<std::uint8_t, 256> stored_quants(const PackedMatrix &to) {
  std::array<std::uint8_t, 256> stored{};
  for (int value = -128; value < 128; ++value) {
    auto &place = stored[static_cast<std::uint8_t>(value)];
    place = static_cast<std::uint8_t>(value + to.zero);
    for (std::uint8_t i = 16; to.table != nullptr && i-- > 0;) {
      if (to.table[i] == value + to.zero)
        place = i;
    }
  }
  return stored;
}

// Reads one row's blocks into the scratch; rows past n stay zero.
class TileReader {
public:
  TileReader(aby_dtype format, const PackedMatrix &to, PackScratch &scratch)
      : format_(format), block_(dtype_block(format)), groups_(block_groups(format)), k_(to.k),
        padded_(to.units() * kPackedUnit), scratch_(scratch) {
    const std::int64_t row_groups = padded_ / groups_.size;
    scratch.quants.assign(static_cast<std::size_t>(kPackedTile * padded_), 0);
    scratch.scale.assign(static_cast<std::size_t>(kPackedTile * row_groups), 0.0f);
    scratch.bias.assign(static_cast<std::size_t>(kPackedTile * row_groups), 0.0f);
  }

  void read(const void *rows, std::int64_t row, std::int64_t place) {
    const auto *from = static_cast<const std::byte *>(rows) + static_cast<std::size_t>(row) * row_bytes(format_, k_);
    BlockQuants block;
    for (std::int64_t k = 0; k < k_; k += block_.elements, from += block_.bytes) {
      read_block(format_, from, block);
      std::copy_n(block.quants, block_.elements, scratch_.quants.begin() + place * padded_ + k);
      const std::int64_t first = (place * padded_ + k) / groups_.size;
      std::copy_n(block.scale, block_.elements / groups_.size, scratch_.scale.begin() + first);
      if (groups_.bias)
        std::copy_n(block.bias, block_.elements / groups_.size, scratch_.bias.begin() + first);
    }
  }

private:
  aby_dtype format_;
  DtypeBlock block_;
  BlockGroups groups_;
  std::int64_t k_, padded_;
  PackScratch &scratch_;
};

class UnitWriter {
public:
  UnitWriter(const PackedMatrix &to, const PackScratch &scratch)
      : layout_(layout_of(to.kind)), padded_(to.units() * kPackedUnit), scratch_(scratch), stored_(stored_quants(to)) {}

  void write(std::int64_t unit, std::byte *out) const {
    write_scales(unit, out);
    std::byte *quants = out + layout_.scale_bytes();
    for (std::int64_t v = 0; v < kUnitVectors; ++v) {
      if (layout_.bits == 8)
        vector(unit, v, [&](std::int64_t row, std::uint32_t four) { put(quants + v * 64 + row * 4, four); });
      else if (v % 8 < 4) // with the nibbles of vector v + 4 above
        vector(unit, v, [&](std::int64_t row, std::uint32_t four) {
          put(quants + (v / 8 * 4 + v % 4) * 64 + row * 4, four | quants_of(unit, v + 4, row) << 4);
        });
    }
  }

private:
  static void put(std::byte *to, std::uint32_t four) { std::memcpy(to, &four, sizeof four); }

  std::uint32_t quants_of(std::int64_t unit, std::int64_t v, std::int64_t row) const {
    const auto *from =
        reinterpret_cast<const std::uint8_t *>(scratch_.quants.data()) + row * padded_ + unit * kPackedUnit + v * 4;
    return std::uint32_t{stored_[from[0]]} | std::uint32_t{stored_[from[1]]} << 8 |
           std::uint32_t{stored_[from[2]]} << 16 | std::uint32_t{stored_[from[3]]} << 24;
  }
  template <typename Take> void vector(std::int64_t unit, std::int64_t v, Take &&take) const {
    for (std::int64_t row = 0; row < kPackedTile; ++row)
      take(row, quants_of(unit, v, row));
  }

  void write_scales(std::int64_t unit, std::byte *out) const {
    const std::int64_t groups = layout_.groups();
    const bool half = layout_.scales == PackedScales::kF16 || layout_.scales == PackedScales::kF16Bias;
    if (layout_.scales == PackedScales::kK)
      return; // see write_k_scales
    for (std::int64_t part = 0; part < (layout_.bias() ? 2 : 1); ++part) {
      const std::vector<float> &values = part == 0 ? scratch_.scale : scratch_.bias;
      for (std::int64_t group = 0; group < groups; ++group) {
        for (std::int64_t row = 0; row < kPackedTile; ++row) {
          const float value =
              values[static_cast<std::size_t>((row * padded_ + unit * kPackedUnit) / layout_.group + group)];
          const std::int64_t place = (part * groups + group) * kPackedTile + row;
          if (half) {
            const std::uint16_t bits = float_to_f16(value);
            std::memcpy(out + place * 2, &bits, sizeof bits);
          } else {
            std::memcpy(out + place * 4, &value, sizeof value);
          }
        }
      }
    }
  }

  PackedLayout layout_;
  std::int64_t padded_;
  const PackScratch &scratch_;
  std::array<std::uint8_t, 256> stored_;
};

// q4_k keeps its scales as they are stored: one unit is half of a block of 256.
void write_k_scales(const void *rows, const PackedMatrix &to, std::int64_t row, std::int64_t place, std::int64_t unit,
                    std::byte *out) {
  constexpr std::size_t kBlockBytes = 144;
  const auto *block = static_cast<const std::uint8_t *>(rows) +
                      static_cast<std::size_t>(row) * row_bytes(ABY_DTYPE_Q4_K, to.k) +
                      static_cast<std::size_t>(unit / 2) * kBlockBytes;
  std::memcpy(out + place * 2, block, 2);
  std::memcpy(out + 32 + place * 2, block + 2, 2);
  for (int group = 0; group < 4; ++group) {
    const SixBits six(block + 4, static_cast<int>(unit % 2) * 4 + group);
    out[64 + group * kPackedTile + place] = std::byte{six.scale};
    out[64 + (4 + group) * kPackedTile + place] = std::byte{six.least};
  }
}

} // namespace

std::optional<PackedMatrix> packed_form(aby_dtype dtype) {
  switch (dtype) {
  case ABY_DTYPE_Q4_0:
    return form(PackedKind::kQ4, 8);
  case ABY_DTYPE_Q4_1:
    return form(PackedKind::kQ4Bias, 0);
  case ABY_DTYPE_Q4_K:
    return form(PackedKind::kQ4K, 0);
  case ABY_DTYPE_IQ4_NL:
    return form(PackedKind::kTable4, kByteZero, kUnevenTable.data());
  case ABY_DTYPE_IQ4_XS:
    return form(PackedKind::kTable4F32, kByteZero, kUnevenTable.data());
  case ABY_DTYPE_MXFP4:
    return form(PackedKind::kTable4F32, kByteZero, kFp4Table.data());
  case ABY_DTYPE_Q3_K:
    return form(PackedKind::kQ4G16, 4);
  case ABY_DTYPE_Q2_K:
    return form(PackedKind::kQ4G16Bias, 0);
  case ABY_DTYPE_Q8_0:
  case ABY_DTYPE_Q5_0:
    return form(PackedKind::kQ8, kByteZero);
  case ABY_DTYPE_Q5_1:
  case ABY_DTYPE_Q5_K:
    return form(PackedKind::kQ5Bias, 0);
  case ABY_DTYPE_Q6_K:
    return form(PackedKind::kQ8G16, kByteZero);
  default:
    return std::nullopt;
  }
}

void pack_tile(aby_dtype format, const void *rows, const PackedMatrix &to, std::int64_t tile, PackScratch &scratch,
               std::byte *out) {
  TileReader reader(format, to, scratch);
  const std::int64_t row0 = tile * kPackedTile, count = std::min(kPackedTile, to.n - row0);
  for (std::int64_t i = 0; i < count; ++i)
    reader.read(rows, row0 + i, i);
  const UnitWriter writer(to, scratch);
  const std::int64_t unit_bytes = layout_of(to.kind).unit_bytes();
  for (std::int64_t unit = 0; unit < to.units(); ++unit) {
    writer.write(unit, out + unit * unit_bytes);
    if (to.kind != PackedKind::kQ4K)
      continue;
    std::fill_n(out + unit * unit_bytes, layout_of(to.kind).scale_bytes(), std::byte{});
    for (std::int64_t i = 0; i < count; ++i)
      write_k_scales(rows, to, row0 + i, i, unit, out + unit * unit_bytes);
  }
}

} // namespace abyssal::cpu
