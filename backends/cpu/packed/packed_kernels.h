// Products of packed weights with activations quantised to int8, one set of kernels per instruction set.
//
// Activations are quantised per row in blocks of 128 (as DeepSeek-V3 does for its fp8 products): x = scale * q. For one
// output, with the exact integer sum I of each group of weights,
//
//   block = sum over groups, in order: fma(float(I), weight scale, block), then fma(bias, float(sum of q), block)
//   out   = sum over blocks, in order: fma(block, activation scale, out)
//
// Activations of 16 bits are two rows of 8: x = s (254 a + b), a with scale 254 s and b with scale s, and their two
// results are added last. The kernels do not know them but for the one that makes them.
//
// Every kernel here keeps to this order, so that an output has the same bits whatever the number of rows beside it, the
// thread that made it and the instruction set.
#pragma once

#include "backends/cpu/device/isa.h"
#include "backends/cpu/packed/packed_layout.h"

namespace abyssal::cpu {

// Up to panel_rows rows of quantised activations, interleaved so that a kernel reads them front to back. Memory holds
// as many rows of each part as the largest panel beside it has: matrix tiles read them all, whatever is in them.
struct Panel {
  int rows = 0;
  std::int64_t units = 0;
  std::int8_t *data = nullptr;  // [units][kUnitVectors][rows][4]; kernels of matrix tiles: [units][rows][kPackedUnit]
  float *scale = nullptr;       // [units][rows]
  std::int32_t *init = nullptr; // [units][groups][rows]: -zero * sum of the group's quants
  float *sums = nullptr;        // [units][groups][rows]: sum of the group's quants; only for layouts with a bias
};

// A row of activations, quantised but in no panel yet: what it will be multiplied with does not matter here. Of 16 bits
// it has two places, one after the other.
struct RoundedRow {
  // memory: bytes(places, units), 64-byte aligned
  RoundedRow(std::byte *memory, int row_places, std::int64_t row_units) noexcept
      : places(row_places), units(row_units), quants(reinterpret_cast<std::int8_t *>(memory)),
        sums(reinterpret_cast<std::int32_t *>(memory + places * units * kPackedUnit)),
        scale(reinterpret_cast<float *>(sums + places * units * kParts)) {}
  static constexpr std::int64_t bytes(int row_places, std::int64_t row_units) noexcept {
    return (row_places * row_units * (kPackedUnit + kParts * 4 + 4) + 63) / 64 * 64;
  }

  static constexpr std::int64_t kParts = kPackedUnit / 16;
  int places;
  std::int64_t units;
  std::int8_t *quants; // [places][units][kPackedUnit]
  std::int32_t *sums;  // [places][units][kParts]: of 16 quants each
  float *scale;        // [places][units]
};

// Some units of neighbouring tiles, widened to a byte a quant, for many rows. For matrix tiles, which have no zero, the
// bytes are signed and without it.
struct WideTiles {
  int group = 32;
  bool bias = false, small = true;
  int tiles = 1;
  std::int64_t unit0 = 0, units = 0;
  std::uint8_t *quants = nullptr; // [units][kUnitVectors][tiles][64]
  float *scale = nullptr;         // [units][groups][tiles][16]
  float *biases = nullptr;        // [units][groups][tiles][16]
};
constexpr std::int64_t kWideUnits = 4; // of WideTiles: with its panel rows it stays in the first-level cache

struct PackedKernels {
  int panel_rows;  // rows of a full panel
  int direct_rows; // up to this many rows, direct is faster than widen and multiply
  int wide_tiles;  // tiles that multiply takes at most
  // Quantises a row. x: [k], of which the first `count` columns exist. A NaN or infinity makes its block NaN.
  void (*round)(const float *x, std::int64_t count, const RoundedRow &to);
  // A row's units into units from unit0 on of place `row` of a panel, and the next place where it has two. group, zero:
  // of the weights to be multiplied with.
  void (*put)(const RoundedRow &from, std::int64_t unit0, int row, int group, std::int32_t zero, const Panel &panel);
  // out[row][16] = a tile's products with all rows of the panel, rows <= direct_rows; null where that is 0. then: where
  // the caller will read after the tile, fetched ahead; null if nobody knows.
  void (*direct)(const PackedMatrix &w, std::int64_t tile, const Panel &x, const std::byte *then, float *out);
  // Units [to.unit0, + to.units) of the tiles from `tile` on.
  void (*widen)(const PackedMatrix &w, std::int64_t tile, const WideTiles &to);
  // out[row][tiles * 16] += products over the units of the tiles.
  void (*multiply)(const WideTiles &tiles, const Panel &x, float *out);
  // Around a thread's calls of multiply with panels of at most `rows` rows: what the processor has to be told first,
  // and has to forget again. Null where that is nothing.
  void (*begin)(int rows);
  void (*end)();
};

const PackedKernels &avx2_packed_kernels();
const PackedKernels &avx512_vnni_packed_kernels();
const PackedKernels &amx_packed_kernels(); // for layouts in groups of 32 only

// What a processor has. Activations are laid out for the kernels that multiply them, so these are chosen when rows are
// quantised; the bits of a product are the same with either.
struct PackedKernelSets {
  const PackedKernels *lanes = nullptr;
  const PackedKernels *tiles = nullptr; // null where there are none
  std::int64_t least_tile_rows = 32;    // below, lanes were as fast or faster, with activations of 8 and of 16 bits

  const PackedKernels &of(const PackedLayout &layout, std::int64_t rows) const noexcept {
    return tiles != nullptr && layout.group == 32 && rows >= least_tile_rows ? *tiles : *lanes;
  }
};

inline PackedKernelSets packed_kernels_for(Isa isa) {
  return {isa >= Isa::kAvx512Vnni ? &avx512_vnni_packed_kernels() : &avx2_packed_kernels(),
          isa >= Isa::kAmxInt8 ? &amx_packed_kernels() : nullptr};
}

} // namespace abyssal::cpu
