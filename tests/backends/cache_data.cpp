#include "cache_data.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace abyssal::test {

Values CacheData::of(const BatchData &batch, std::size_t sequence, std::int64_t count, std::int64_t first,
                     std::int64_t last) const {
  Values found;
  for (std::int64_t j = 0; j < count; ++j) {
    const auto row = values.begin() + batch.cache_row(sequence, j) * width;
    found.insert(found.end(), row + first, row + last);
  }
  return found;
}

void CacheData::set(const BatchData &batch, std::size_t sequence, std::int64_t position, const Values &row) {
  std::copy(row.begin(), row.end(), values.begin() + batch.cache_row(sequence, position) * width);
}

CacheData make_cache(Random &random, const BatchData &batch, std::int64_t width, aby_dtype dtype, bool with_new) {
  CacheData cache{width, dtype, {}};
  cache.values.assign(static_cast<std::size_t>(batch.pool_blocks * ABK_BLOCK_TOKENS * width),
                      std::numeric_limits<double>::quiet_NaN());
  for (std::size_t i = 0; i < batch.context.size(); ++i) {
    const std::int64_t fresh = batch.row_begin[i + 1] - batch.row_begin[i];
    for (std::int64_t j = 0; j < batch.context[i] + (with_new ? fresh : 0); ++j)
      cache.set(batch, i, j, rounded(random_values(random, width), dtype));
  }
  return cache;
}

abk_rows upload(OpDevice &device, const CacheData &cache) {
  return device.rows(cache.values, cache.rows(), cache.width, cache.dtype);
}

namespace {

// Rows whose `may_change` is set are not looked at.
void check_rows(const Values &after, const CacheData &before, const std::vector<bool> &may_change) {
  for (std::size_t i = 0; i < after.size(); ++i) {
    const std::size_t row = i / static_cast<std::size_t>(before.width);
    const bool same = std::isnan(before.values[i]) ? std::isnan(after[i]) : after[i] == before.values[i];
    if (!same && !may_change[row])
      throw std::runtime_error("row " + std::to_string(row) + " of the cache, of no new token, was written");
  }
}

} // namespace

Values new_rows(OpDevice &device, const abk_rows &cache, const CacheData &before, const BatchData &batch) {
  const Values after = device.download(cache, before.rows());
  std::vector<bool> written(static_cast<std::size_t>(before.rows()));
  Values found;
  for (std::size_t i = 0; i < batch.context.size(); ++i) {
    for (std::int64_t t = 0; t < batch.row_begin[i + 1] - batch.row_begin[i]; ++t) {
      const std::int64_t row = batch.cache_row(i, batch.context[i] + t);
      written[static_cast<std::size_t>(row)] = true;
      found.insert(found.end(), after.begin() + row * before.width, after.begin() + (row + 1) * before.width);
    }
  }
  check_rows(after, before, written);
  return found;
}

void check_untouched(OpDevice &device, const abk_rows &cache, const CacheData &before) {
  check_rows(device.download(cache, before.rows()), before, std::vector<bool>(static_cast<std::size_t>(before.rows())));
}

} // namespace abyssal::test
