// Kernels of un-absorbed attention in bf16 hardware: a chunk of keys and values of one head is made of cached rows, and
// panels of queries attend to it. Everything they hand to each other stays in a core's caches.
//
// The dot product instruction multiplies pairs of neighbours along k: a strip holds 32 rows as pairs [k / 2][32][2]
// (see dense/bf16_tiles.h), and its products with two rows that follow each other are 32 such pairs again. So keys,
// made of strips of cached rows with rows of W_uk, are strips along the head's dimension; and values, made of strips of
// W_uv with cached rows, are strips along the tokens: what scores and the weighted sum want. Nothing is transposed.
//
// An output's bits depend on its query and on the rows it sees, not on the queries beside it.
#pragma once

#include "backends/cpu/dense/bf16_tiles.h"

#include <cstdint>

namespace abyssal::cpu {

constexpr std::int64_t kFlashKeys = 256;    // tokens of a chunk, at most
constexpr std::int64_t kFlashQueries = 12;  // of a panel, at most
constexpr std::int64_t kQueryStride = 288;  // elements from query to query, and the most that one has
constexpr std::int64_t kLatentStride = 608; // elements from row to row, of cached rows and of W_uk: not a power of two
constexpr std::int64_t kFlashStrips = kFlashKeys / kStripRows;

// out[i][j] = the pair (x[2 i] . strip row j, x[2 i + 1] . strip row j) in bf16, i < rows / 2.
// strip: `pairs` pairs; x: bf16 [rows, kLatentStride], rows even; out: [rows / 2, kStripRows]
void expand_strip(const std::uint32_t *strip, std::int64_t pairs, const std::uint16_t *x, std::int64_t rows,
                  std::uint32_t *out);

// A chunk of one head's keys and values.
struct FlashChunk {
  const std::uint32_t *keys;      // [kFlashStrips, key_pairs, kStripRows]
  const std::uint32_t *rope_keys; // [kFlashStrips] of rope_pairs pairs, every rope_step: the same for all heads
  const std::uint32_t *values;    // [value_strips, kFlashKeys / 2, kStripRows]; finite, whatever is seen of them
  std::int64_t key_pairs, rope_pairs, rope_step, value_strips;
};

// A panel of queries with their running softmax, in powers of two: scores are multiplied by log2 e beforehand.
struct FlashPanel {
  const std::uint16_t *q; // bf16 [rows, kQueryStride]: pairs for keys, then for rope_keys
  std::int64_t rows;      // 1 to kFlashQueries
  std::int64_t seen;      // tokens of the chunk that the first query sees; each other sees one more; may be below 1
  float *top;             // [rows] largest score so far
  float *total;           // [rows] sum of 2^(score - top)
  float *sum;             // [rows, value_strips * kStripRows] sum of 2^(score - top) * value
};

struct FlashMemory {
  float scores[kFlashQueries * kFlashKeys];
  std::uint16_t weights[kFlashQueries * kQueryStride];
};

// Adds a chunk to the state of a panel, of which at least one query sees it.
void flash_panel(const FlashChunk &chunk, const FlashPanel &panel, FlashMemory &memory);

} // namespace abyssal::cpu
