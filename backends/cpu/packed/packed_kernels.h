// Products of packed weights with activations in integers (see rounded_row.h), one set of kernels per instruction set.
//
// For one output, with the exact integer sum I of each group of weights' quants, less their zero, times activations':
//
//   out = sum over groups, in order: fma(float(I) * activation scale, weight scale, out),
//         then, where weights have a bias, fma(bias, float(sum of the activations' quants) * activation scale, out)
//
// Every kernel here keeps to this order, so that an output has the same bits whatever the number of rows beside it, the
// thread that made it and the instruction set.
#pragma once

#include "backends/cpu/device/isa.h"
#include "backends/cpu/packed/packed_layout.h"
#include "backends/cpu/packed/rounded_row.h"

namespace abyssal::cpu {

// How the kernels of an instruction set want rows for weights of a kind.
enum class PanelForm : std::uint8_t {
  kBytes, // high and low halves apart: products of bytes
  kWords  // whole: products of 16 bits
};

// Up to panel_rows rows, interleaved so that a kernel reads them front to back. Memory holds as many rows as the
// largest panel beside it has: matrix tiles read them all, whatever is in them.
struct Panel {
  int rows = 0;
  std::int64_t units = 0;
  int group = 32;        // of the weights
  std::int32_t zero = 0; // of the weights
  PanelForm form = PanelForm::kBytes;
  // kBytes: [units][kUnitVectors][rows][4]; kernels of matrix tiles: [units][rows][kPackedUnit]. low: only where wide.
  std::int8_t *high = nullptr, *low = nullptr;
  // kWords: [units][kUnitVectors][2][rows][2]: of four columns 0 and 2, then 1 and 3
  std::int16_t *words = nullptr;
  std::uint8_t *wide = nullptr; // kBytes: [units][kUnitScales] whether a row of the panel has 16 bits there
  float *scale = nullptr;       // [units][kUnitScales][rows]: of high where it stands alone, else of the 16 bits
  // kBytes: [units][groups][rows]: what the sums of either half start from, as the kernels want -zero * sum of quants
  std::int32_t *init_high = nullptr, *init_low = nullptr;
  float *sums = nullptr; // [units][groups][rows]: sum of the group's quants, times scale; only for layouts with a bias
};

// Some units of neighbouring tiles, widened for many rows. For matrix tiles and words, the quants are signed and
// without their zero.
struct WideTiles {
  int group = 32;
  bool bias = false;
  int tiles = 1;
  std::int64_t unit0 = 0, units = 0;
  std::uint8_t *quants = nullptr; // bytes [units][kUnitVectors][tiles][64]; words [units][kUnitVectors][tiles][2][32]
  float *scale = nullptr;         // [units][groups][tiles][16]
  float *biases = nullptr;        // [units][groups][tiles][16]
};
constexpr std::int64_t kWideUnits = 4; // of WideTiles: with its panel rows it stays in the first-level cache

struct PackedKernels {
  int panel_rows;  // rows of a full panel
  int direct_rows; // up to this many rows, direct is faster than widen and multiply
  int wide_tiles;  // tiles that multiply takes at most
  bool words;      // whether layouts with quants of 16 and more take words
  // Rounds units from unit0 on of a row. x: those columns, `count` of them; whole units are written.
  void (*round)(const float *x, std::int64_t count, std::int64_t unit0, const RoundedRow &to);
  // Lays out panel.rows rows; their `wide` is chosen.
  void (*fill)(const RoundedRow *rows, const Panel &panel);
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

  PanelForm form(PackedKind kind) const noexcept {
    return words && !nibble_quants(kind) ? PanelForm::kWords : PanelForm::kBytes;
  }
};

const PackedKernels &avx2_packed_kernels();
const PackedKernels &avx_vnni_packed_kernels();
const PackedKernels &avx512_vnni_packed_kernels();
const PackedKernels &amx_packed_kernels(); // for layouts in groups of 32 only

// What a processor has. Activations are laid out for the kernels that multiply them, so these are chosen when rows are
// quantised; the bits of a product are the same with either.
struct PackedKernelSets {
  const PackedKernels *lanes = nullptr;
  const PackedKernels *tiles = nullptr; // null where there are none
  std::int64_t least_tile_rows = 32;    // below, lanes were as fast or faster

  const PackedKernels &of(const PackedLayout &layout, std::int64_t rows) const noexcept {
    return tiles != nullptr && layout.group == 32 && rows >= least_tile_rows ? *tiles : *lanes;
  }
};

inline PackedKernelSets packed_kernels_for(Isa isa) {
  const PackedKernels &lanes = isa >= Isa::kAvx512Vnni ? avx512_vnni_packed_kernels()
                               : isa == Isa::kAvxVnni  ? avx_vnni_packed_kernels()
                                                       : avx2_packed_kernels();
  return {&lanes, isa >= Isa::kAmxInt8 ? &amx_packed_kernels() : nullptr};
}

} // namespace abyssal::cpu
