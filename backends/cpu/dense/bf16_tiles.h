// Products of many rows in bf16 hardware, in pieces that stay in a core's caches.
//
// W's rows are taken in strips of 32, its columns in chunks. A chunk of a strip is brought once into the order that the
// dot product instruction wants, fp8 widened on the way, and multiplied with panels of up to twelve rows of x: 24 sums
// in registers, two loads of weights and twelve broadcasts for 24 instructions. Scales of fp8 blocks multiply the sums
// of a chunk, not the weights: e4m3 fits bf16, its product with a scale does not.
//
//   out = sum over chunks, in order: fma(sum of the chunk's pairs of columns, in order, scale, out)
//
// An output's bits depend on the type of W and on columns, not on the rows beside it.
#pragma once

#include "backends/cpu/kernels/kernels.h"

#include <cstddef>
#include <cstdint>

namespace abyssal::cpu {

constexpr std::int64_t kStripRows = 32;     // of W
constexpr std::int64_t kChunkColumns = 256; // at most: a chunk of a strip takes 16 KiB
constexpr std::int64_t kF8ChunkColumns = 128;
constexpr std::int64_t kStripPairs = kStripRows * kChunkColumns / 2; // of bf16, in a chunk of a strip
constexpr std::int64_t kMostPanelRows = 12;                          // of x, at most; always an even number
constexpr std::int64_t kPanelStride = kChunkColumns + 32;            // elements from row to row of a panel
constexpr std::int64_t kSumStride = 128;                             // floats from row to row of sums: four strips

// Whether this processor has the instructions, and nothing faster. Asked for once: asking traps where the processor is
// a virtual one.
bool has_tiles() noexcept;

// `columns` columns of `rows` rows, at most kStripRows, of bf16 or e4m3, as pairs [columns / 2][kStripRows][2] of bf16.
// Rows that are missing become zero, and so do columns up to a multiple of 32, of e4m3 of 64.
void pack_strip_bf16(const std::uint16_t *w, std::int64_t ldw, std::int64_t rows, std::int64_t columns,
                     std::uint32_t *out);
void pack_strip_f8(const std::uint8_t *w, std::int64_t ldw, std::int64_t rows, std::int64_t columns,
                   std::uint32_t *out);

// `columns` <= kChunkColumns columns of `rows` <= kMostPanelRows rows of x as a panel [rows made even, kPanelStride].
// What is missing becomes zero. Where k is a power of two, the rows of x themselves would push each other out of the
// cache.
void copy_panel(const std::uint16_t *x, std::int64_t ldx, std::int64_t rows, std::int64_t columns, std::uint16_t *out);

// What will be read next, fetched into the second-level cache meanwhile: rows, a part of each every sixteen pairs.
struct Ahead {
  const std::byte *at = nullptr;
  std::int64_t rows = 0, row_bytes = 0, part_bytes = 0;
};

// sums[r][i] = fma(x[r] . w[i], scale[i], sums[r][i]) over `pairs` pairs of columns, i < kStripRows.
// x: a panel of `rows` rows, an even number; scale: [kStripRows]; sums: [rows, kSumStride]
void multiply_strip(const std::uint32_t *strip, const std::uint16_t *x, std::int64_t rows, std::int64_t pairs,
                    const float *scale, float *sums, const Ahead &next_w, const Ahead &next_x);

// The whole product over bf16 rows: out[r][i] = x[r] . w[row0 + i], i < count. w: BF16, or F8_E4M3 that
// tiles_take_f8. x: bf16 [rows, ldx]; memory: tile_floats(rows) floats, aligned to 64 bytes; out: float [rows, ldo]
void tile_product(const MatrixView &w, std::int64_t row0, std::int64_t count, const std::uint16_t *x, std::int64_t ldx,
                  std::int64_t rows, float *memory, float *out, std::int64_t ldo);
std::int64_t tile_floats(std::int64_t rows) noexcept;

// Whether a chunk's columns share their scales.
inline bool tiles_take_f8(const MatrixView &w) noexcept { return w.block_k % kF8ChunkColumns == 0; }

} // namespace abyssal::cpu
