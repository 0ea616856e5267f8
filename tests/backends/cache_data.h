// A pool of cache blocks on the host, and what an op may do to it: write the rows of the batch's new tokens, no others.
#pragma once

#include "op_fixture.h"

namespace abyssal::test {

struct CacheData {
  std::int64_t width = 0;
  aby_dtype dtype = ABY_DTYPE_F32;
  Values values; // [pool blocks * ABK_BLOCK_TOKENS, width]; not a number where no sequence has a token

  std::int64_t rows() const { return static_cast<std::int64_t>(values.size()) / width; }
  // The first `count` cached rows of a sequence, columns [first, last) of each.
  Values of(const BatchData &batch, std::size_t sequence, std::int64_t count, std::int64_t first,
            std::int64_t last) const;
  void set(const BatchData &batch, std::size_t sequence, std::int64_t position, const Values &row);
};

// Random rows for the tokens of every sequence's context, and for the new ones too when with_new.
CacheData make_cache(Random &random, const BatchData &batch, std::int64_t width, aby_dtype dtype, bool with_new);

abk_rows upload(OpDevice &device, const CacheData &cache);

// The cache's rows of the batch's new tokens [tokens, width]. Throws when another row is not as it was before.
Values new_rows(OpDevice &device, const abk_rows &cache, const CacheData &before, const BatchData &batch);
// Throws when any row is not as it was before.
void check_untouched(OpDevice &device, const abk_rows &cache, const CacheData &before);

} // namespace abyssal::test
