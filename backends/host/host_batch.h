// The ragged batch as a host backend keeps it, and the paged cache that it addresses.
#pragma once

#include "backends/host/cached_row.h"
#include "backends/host/host_buffer.h"

#include <vector>

namespace abyssal {

// A checked copy of an abk_batch_desc; what an abk_batch handle of a host backend points to.
struct HostBatch {
  std::int32_t tokens = 0;
  std::int32_t sequences = 0;
  std::vector<std::int32_t> token_ids;   // [tokens]
  std::vector<std::int32_t> row_begin;   // [sequences + 1]
  std::vector<std::int32_t> context;     // [sequences]
  std::vector<std::int32_t> block_table; // [sequences, table_stride]
  std::int32_t table_stride = 0;
  std::vector<float> rope; // [tokens, rope_dim / 2, 2]
  std::int32_t rope_dim = 0;

  static const HostBatch *from(const abk_batch *handle) noexcept { return reinterpret_cast<const HostBatch *>(handle); }
  static HostBatch *from(abk_batch *handle) noexcept { return reinterpret_cast<HostBatch *>(handle); }
  abk_batch *handle() noexcept { return reinterpret_cast<abk_batch *>(this); }

  std::int32_t new_tokens(std::int32_t sequence) const noexcept {
    return row_begin[static_cast<std::size_t>(sequence) + 1] - row_begin[static_cast<std::size_t>(sequence)];
  }
  // Cached tokens of a sequence after this pass.
  std::int64_t total_tokens(std::int32_t sequence) const noexcept {
    return std::int64_t{context[static_cast<std::size_t>(sequence)]} + new_tokens(sequence);
  }
  std::int32_t block(std::int32_t sequence, std::int64_t index) const noexcept {
    return block_table[static_cast<std::size_t>(std::int64_t{sequence} * table_stride + index)];
  }
  // cos, sin of pair i of a row: rope_row(row)[2 * i], [2 * i + 1]
  const float *rope_row(std::int64_t row) const noexcept { return rope.data() + row * rope_dim; }

  explicit HostBatch(const abk_batch_desc &desc);

private:
  void check_sequences() const;
};

inline void HostBatch::check_sequences() const {
  if (row_begin.front() != 0 || row_begin.back() != tokens)
    fail(ABY_ERROR_INVALID_ARGUMENT, "batch: row_begin goes from ", row_begin.front(), " to ", row_begin.back(),
         ", expected 0 to ", tokens);
  for (std::int32_t i = 0; i < sequences; ++i) {
    if (new_tokens(i) < 0)
      fail(ABY_ERROR_INVALID_ARGUMENT, "batch: row_begin falls at sequence ", i);
    if (context[static_cast<std::size_t>(i)] < 0)
      fail(ABY_ERROR_INVALID_ARGUMENT, "batch: sequence ", i, " has context ", context[static_cast<std::size_t>(i)]);
    if (total_tokens(i) > std::int64_t{table_stride} * ABK_BLOCK_TOKENS)
      fail(ABY_ERROR_INVALID_ARGUMENT, "batch: sequence ", i, " needs ", total_tokens(i),
           " cached tokens, its block table holds ", std::int64_t{table_stride} * ABK_BLOCK_TOKENS);
  }
}

inline HostBatch::HostBatch(const abk_batch_desc &desc)
    : tokens(desc.tokens), sequences(desc.sequences), table_stride(desc.table_stride), rope_dim(desc.rope_dim) {
  if (tokens < 0 || sequences < 0 || table_stride < 0)
    fail(ABY_ERROR_INVALID_ARGUMENT, "batch: ", tokens, " tokens, ", sequences, " sequences, table stride ",
         table_stride);
  if (rope_dim < 0 || rope_dim % 2 != 0 || rope_dim > 1 << 16)
    fail(ABY_ERROR_INVALID_ARGUMENT, "batch: rope_dim ", rope_dim);
  const auto given = [](const void *pointer, std::int64_t count, const char *name) {
    if (pointer == nullptr && count > 0)
      fail(ABY_ERROR_INVALID_ARGUMENT, "batch: ", name, " is NULL");
  };
  const std::int64_t table = std::int64_t{sequences} * table_stride;
  const std::int64_t ropes = std::int64_t{tokens} * rope_dim;
  given(desc.token_ids, tokens, "token_ids");
  given(desc.row_begin, sequences, "row_begin");
  given(desc.context, sequences, "context");
  given(desc.block_table, table, "block_table");
  given(desc.rope, ropes, "rope");
  if (tokens > 0)
    token_ids.assign(desc.token_ids, desc.token_ids + tokens);
  if (desc.row_begin != nullptr)
    row_begin.assign(desc.row_begin, desc.row_begin + sequences + 1);
  else
    row_begin.assign(1, 0);
  if (sequences > 0)
    context.assign(desc.context, desc.context + sequences);
  if (table > 0)
    block_table.assign(desc.block_table, desc.block_table + table);
  if (ropes > 0)
    rope.assign(desc.rope, desc.rope + ropes);
  check_sequences();
}

// A pool of cache blocks at its host address, ABK_BLOCK_TOKENS rows to a block.
struct HostCache {
  std::byte *data = nullptr;
  CachedRow layout;
  std::size_t row_bytes = 0;

  // The row of a token, by its block's number and its place in the block.
  std::byte *row(std::int32_t block, std::int64_t place) const noexcept {
    return data + static_cast<std::size_t>(std::int64_t{block} * ABK_BLOCK_TOKENS + place) * row_bytes;
  }
  std::byte *row(const HostBatch &batch, std::int32_t sequence, std::int64_t position) const noexcept {
    return row(batch.block(sequence, position / ABK_BLOCK_TOKENS), position % ABK_BLOCK_TOKENS);
  }
};

// Checks that every block which the batch's sequences need lies inside the cache's buffer.
inline HostCache check_cache(abk_span span, const CachedRow &layout, const HostBatch &batch, const char *what) {
  if (layout.dtype != ABY_DTYPE_F32 && layout.dtype != ABY_DTYPE_BF16 && layout.dtype != ABY_DTYPE_I8)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": dtype ", dtype_name(layout.dtype), ", expected f32, bf16 or i8");
  HostCache cache{nullptr, layout, layout.bytes()};
  if (batch.tokens == 0)
    return cache;
  cache.data = check_span(span, 0, layout.alignment(), what);
  const std::uint64_t block_bytes = ABK_BLOCK_TOKENS * std::uint64_t{cache.row_bytes};
  const auto blocks = static_cast<std::int64_t>((HostBuffer::from(span.buffer)->bytes - span.offset) / block_bytes);
  for (std::int32_t i = 0; i < batch.sequences; ++i) {
    if (batch.new_tokens(i) == 0)
      continue;
    const std::int64_t needed = (batch.total_tokens(i) + ABK_BLOCK_TOKENS - 1) / ABK_BLOCK_TOKENS;
    for (std::int64_t j = 0; j < needed; ++j) {
      if (batch.block(i, j) < 0 || batch.block(i, j) >= blocks)
        fail(ABY_ERROR_INVALID_ARGUMENT, what, ": block ", batch.block(i, j), " at place ", j, " of sequence ", i,
             "'s table, the cache has ", blocks, " blocks");
    }
  }
  return cache;
}

} // namespace abyssal
