// A pool of cache blocks on the host, and what an op may do to it: write the rows of the batch's new tokens, no others.
#pragma once

#include "backends/host/cached_row.h"
#include "op_fixture.h"

namespace abyssal::test {

struct CacheData {
  CacheData() = default;
  CacheData(const CachedRow &of, std::int64_t rows);

  CachedRow layout;
  std::vector<std::byte> bytes; // of all rows
  Values values; // what they stand for: [pool blocks * ABK_BLOCK_TOKENS, width]; not a number where no sequence has a
                 // token

  std::int64_t width() const { return layout.width; }
  std::int64_t rows() const { return static_cast<std::int64_t>(values.size()) / width(); }
  // The first `count` cached rows of a sequence, columns [first, last) of each.
  Values of(const BatchData &batch, std::size_t sequence, std::int64_t count, std::int64_t first,
            std::int64_t last) const;
  void set(const BatchData &batch, std::size_t sequence, std::int64_t position, const Values &row);
  void set(std::int64_t at, const Values &row);
};

// What rows become when they are cached.
Values as_cached(const CachedRow &layout, const Values &rows);

// Random rows for the tokens of every sequence's context, and for the new ones too when with_new.
CacheData make_cache(Random &random, const BatchData &batch, const CachedRow &layout, bool with_new);

abk_span upload(OpDevice &device, const CacheData &cache);

// The cache's rows of the batch's new tokens [tokens, width]. Throws when another row is not as it was before.
Values new_rows(OpDevice &device, abk_span cache, const CacheData &before, const BatchData &batch);
// Throws when any row is not as it was before.
void check_untouched(OpDevice &device, abk_span cache, const CacheData &before);

} // namespace abyssal::test
