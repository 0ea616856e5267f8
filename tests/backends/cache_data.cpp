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
    const auto row = values.begin() + batch.cache_row(sequence, j) * width();
    found.insert(found.end(), row + first, row + last);
  }
  return found;
}

CacheData::CacheData(const CachedRow &of, std::int64_t rows)
    : layout(of), bytes(static_cast<std::size_t>(rows) * of.bytes()),
      values(static_cast<std::size_t>(rows * of.width)) {
  const Values nothing(static_cast<std::size_t>(of.width), std::numeric_limits<double>::quiet_NaN());
  for (std::int64_t at = 0; at < rows; ++at)
    set(at, nothing);
}

void CacheData::set(const BatchData &batch, std::size_t sequence, std::int64_t position, const Values &row) {
  set(batch.cache_row(sequence, position), row);
}

void CacheData::set(std::int64_t at, const Values &row) {
  const std::vector<float> given(row.begin(), row.end());
  std::vector<float> stands_for(row.size());
  std::byte *to = bytes.data() + static_cast<std::size_t>(at) * layout.bytes();
  store_cached(layout, given.data(), to);
  load_cached(layout, to, stands_for.data());
  std::copy(stands_for.begin(), stands_for.end(), values.begin() + at * width());
}

Values as_cached(const CachedRow &layout, const Values &rows) {
  CacheData cache(layout, static_cast<std::int64_t>(rows.size()) / layout.width);
  for (std::int64_t at = 0; at < cache.rows(); ++at)
    cache.set(at, Values(rows.begin() + at * layout.width, rows.begin() + (at + 1) * layout.width));
  return cache.values;
}

CacheData make_cache(Random &random, const BatchData &batch, const CachedRow &layout, bool with_new) {
  CacheData cache(layout, std::int64_t{batch.pool_blocks} * ABK_BLOCK_TOKENS);
  for (std::size_t i = 0; i < batch.context.size(); ++i) {
    const std::int64_t fresh = batch.row_begin[i + 1] - batch.row_begin[i];
    for (std::int64_t j = 0; j < batch.context[i] + (with_new ? fresh : 0); ++j)
      cache.set(batch, i, j, random_values(random, layout.width));
  }
  return cache;
}

abk_span upload(OpDevice &device, const CacheData &cache) {
  constexpr std::uint64_t kLead = 64; // bytes before the first row, so that offsets are not always zero
  abk_span span = device.buffer(kLead + cache.bytes.size());
  span.offset = kLead;
  device.must(device.api.copy_in(device.stream, span, cache.bytes.data(), cache.bytes.size()), "copy_in");
  return span;
}

namespace {

Values download(OpDevice &device, abk_span cache, const CacheData &like) {
  std::vector<std::byte> bytes(like.bytes.size());
  device.must(device.api.copy_out(device.stream, bytes.data(), cache, bytes.size()), "copy_out");
  device.must(device.api.stream_synchronize(device.stream), "stream_synchronize");
  std::vector<float> values(like.values.size());
  for (std::int64_t at = 0; at < like.rows(); ++at)
    load_cached(like.layout, bytes.data() + static_cast<std::size_t>(at) * like.layout.bytes(),
                values.data() + at * like.width());
  return {values.begin(), values.end()};
}

// Rows whose `may_change` is set are not looked at.
void check_rows(const Values &after, const CacheData &before, const std::vector<bool> &may_change) {
  for (std::size_t i = 0; i < after.size(); ++i) {
    const std::size_t row = i / static_cast<std::size_t>(before.width());
    const bool same = std::isnan(before.values[i]) ? std::isnan(after[i]) : after[i] == before.values[i];
    if (!same && !may_change[row])
      throw std::runtime_error("row " + std::to_string(row) + " of the cache, of no new token, was written");
  }
}

} // namespace

Values new_rows(OpDevice &device, abk_span cache, const CacheData &before, const BatchData &batch) {
  const Values after = download(device, cache, before);
  std::vector<bool> written(static_cast<std::size_t>(before.rows()));
  Values found;
  for (std::size_t i = 0; i < batch.context.size(); ++i) {
    for (std::int64_t t = 0; t < batch.row_begin[i + 1] - batch.row_begin[i]; ++t) {
      const std::int64_t row = batch.cache_row(i, batch.context[i] + t);
      written[static_cast<std::size_t>(row)] = true;
      found.insert(found.end(), after.begin() + row * before.width(), after.begin() + (row + 1) * before.width());
    }
  }
  check_rows(after, before, written);
  return found;
}

void check_untouched(OpDevice &device, abk_span cache, const CacheData &before) {
  check_rows(download(device, cache, before), before, std::vector<bool>(static_cast<std::size_t>(before.rows())));
}

} // namespace abyssal::test
