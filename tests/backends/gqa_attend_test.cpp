// gqa_attend on every backend: the result, q and k roped in place, and the cache.
#include "base/dtype.h"
#include "base/status.h"
#include "cache_data.h"
#include "naive_ops.h"

#include <algorithm>
#include <cmath>

using namespace abyssal;
using namespace abyssal::test;

namespace {

constexpr aby_dtype kF32 = ABY_DTYPE_F32;
constexpr aby_dtype kBf16 = ABY_DTYPE_BF16;
constexpr aby_dtype kI8 = ABY_DTYPE_I8;

struct GqaCase {
  std::vector<Share> shares;
  std::int32_t heads, kv_heads, d;
  aby_dtype rows_dtype, cache_dtype, out_dtype;
};

std::string text_of(const GqaCase &c) {
  std::string text;
  for (const Share &share : c.shares)
    text += concat(share.context, "+", share.fresh, " ");
  return concat(text, "heads ", c.heads, " for ", c.kv_heads, " of ", c.d, " rows ", dtype_name(c.rows_dtype),
                " cache ", dtype_name(c.cache_dtype), " out ", dtype_name(c.out_dtype));
}

// Of one run; or what it must be. All [tokens, ..].
struct Results {
  Values out, q, k, k_cache, v_cache;
};

// The inputs of a case, and what must come out.
struct Gqa {
  explicit Gqa(const GqaCase &of);
  Results run(OpDevice &device) const;
  void attend(const CacheData &k_cache, const CacheData &v_cache);

  GqaCase c;
  Random random;
  BatchData batch;
  CacheData k_before, v_before;
  Values q, k, v;
  float scale;
  Results expected;
};

void rope_rows(Values &rows, const BatchData &batch, std::int32_t heads, std::int32_t d) {
  for (std::size_t r = 0; r < static_cast<std::size_t>(batch.tokens()); ++r) {
    for (std::size_t h = 0; h < static_cast<std::size_t>(heads); ++h)
      naive_rope_halves(rows, (r * static_cast<std::size_t>(heads) + h) * static_cast<std::size_t>(d),
                        batch.rope.data() + r * static_cast<std::size_t>(d), static_cast<std::size_t>(d));
  }
}

// The cache with the batch's new rows in it, which are [tokens, width].
CacheData with_rows(CacheData cache, const BatchData &batch, const Values &rows) {
  for (std::size_t i = 0; i < batch.context.size(); ++i) {
    for (std::int64_t r = batch.row_begin[i]; r < batch.row_begin[i + 1]; ++r)
      cache.set(batch, i, batch.context[i] + r - batch.row_begin[i],
                Values(rows.begin() + r * cache.width(), rows.begin() + (r + 1) * cache.width()));
  }
  return cache;
}

Gqa::Gqa(const GqaCase &of)
    : c(of), random(static_cast<unsigned>(of.heads * 1009 + of.d)),
      scale(static_cast<float>(2 / std::sqrt(static_cast<double>(of.d)))) {
  batch = make_batch(random, c.shares, c.d);
  const std::int64_t width = std::int64_t{c.kv_heads} * c.d;
  const CachedRow layout = heads_row(c.cache_dtype, c.kv_heads, c.d);
  k_before = make_cache(random, batch, layout, false);
  v_before = make_cache(random, batch, layout, false);
  q = rounded(random_values(random, std::int64_t{batch.tokens()} * c.heads * c.d), c.rows_dtype);
  k = rounded(random_values(random, batch.tokens() * width), c.rows_dtype);
  v = rounded(random_values(random, batch.tokens() * width), c.rows_dtype);
  expected.q = q;
  expected.k = k;
  rope_rows(expected.q, batch, c.heads, c.d);
  rope_rows(expected.k, batch, c.kv_heads, c.d);
  expected.q = rounded(expected.q, c.rows_dtype);
  expected.k = rounded(expected.k, c.rows_dtype);
  expected.k_cache = as_cached(layout, expected.k);
  expected.v_cache = as_cached(layout, v);
  attend(with_rows(k_before, batch, expected.k_cache), with_rows(v_before, batch, expected.v_cache));
}

void Gqa::attend(const CacheData &k_cache, const CacheData &v_cache) {
  for (std::size_t i = 0; i < batch.context.size(); ++i) {
    for (std::int64_t r = batch.row_begin[i]; r < batch.row_begin[i + 1]; ++r) {
      const std::int64_t seen = batch.context[i] + r - batch.row_begin[i] + 1;
      for (std::int64_t h = 0; h < c.heads; ++h) {
        const std::int64_t kv_head = h * c.kv_heads / c.heads;
        const auto at = expected.q.begin() + (r * c.heads + h) * c.d;
        const Values mixed =
            naive_attention(Values(at, at + c.d), k_cache.of(batch, i, seen, kv_head * c.d, (kv_head + 1) * c.d),
                            v_cache.of(batch, i, seen, kv_head * c.d, (kv_head + 1) * c.d), seen, scale);
        expected.out.insert(expected.out.end(), mixed.begin(), mixed.end());
      }
    }
  }
  expected.out = rounded(expected.out, c.out_dtype);
}

Results Gqa::run(OpDevice &device) const {
  const std::int64_t tokens = batch.tokens();
  const abk_span k_pool = upload(device, k_before);
  const abk_span v_pool = upload(device, v_before);
  abk_op_desc scratch{};
  scratch.op = ABK_OP_GQA_ATTEND;
  scratch.rows = batch.tokens();
  for (const Share &share : c.shares)
    scratch.context = std::max(scratch.context, share.context + share.fresh);
  scratch.heads = c.heads;
  scratch.kv_heads = c.kv_heads;
  scratch.head_dim = c.d;
  abk_gqa_attend_args args{};
  args.heads = c.heads;
  args.kv_heads = c.kv_heads;
  args.head_dim = c.d;
  args.q = device.rows(q, tokens, std::int64_t{c.heads} * c.d, c.rows_dtype, 3);
  args.k = device.rows(k, tokens, k_before.width(), c.rows_dtype, 1);
  args.v = device.rows(v, tokens, v_before.width(), c.rows_dtype, 2);
  args.k_cache = k_pool;
  args.v_cache = v_pool;
  args.cache_dtype = c.cache_dtype;
  args.scale = scale;
  args.out = device.rows({}, tokens, std::int64_t{c.heads} * c.d, c.out_dtype, 5);
  args.scratch = device.scratch(scratch);
  device.must(device.run(ABK_OP_GQA_ATTEND, &args, device.batch(batch)), "gqa_attend");
  CHECK(device.download(args.v, tokens) == v);
  return {device.download(args.out, tokens), device.download(args.q, tokens), device.download(args.k, tokens),
          new_rows(device, k_pool, k_before, batch), new_rows(device, v_pool, v_before, batch)};
}

void check_gqa(const GqaCase &c) {
  const Gqa gqa(c);
  const double rows_tolerance = c.rows_dtype == kF32 ? 1e-6 : 4e-3;
  // A roped value may be rounded the other way where it is stored, and is then read again.
  const double stored = c.cache_dtype == kI8 ? 1e-2 : 4e-3;
  const double cache_tolerance = c.cache_dtype == kF32 ? rows_tolerance : stored;
  const bool rounds = c.rows_dtype == kBf16 || c.cache_dtype != kF32 || c.out_dtype == kBf16;
  for (const abk_backend *backend : backends()) {
    INFO(std::string(backend->name), ": ", text_of(c));
    OpDevice device(backend);
    const Results got = gqa.run(device);
    CHECK(difference(got.out, gqa.expected.out, rounds ? stored : backend == reference() ? 1e-6 : 1e-5) == "");
    CHECK(difference(got.q, gqa.expected.q, rows_tolerance) == "");
    CHECK(difference(got.k, gqa.expected.k, rows_tolerance) == "");
    CHECK(difference(got.k_cache, gqa.expected.k_cache, cache_tolerance) == "");
    CHECK(got.v_cache == gqa.expected.v_cache);
  }
}

} // namespace

TEST_CASE("gqa_attend with contexts at the edges, one new token and some") {
  std::size_t i = 0;
  for (const std::int32_t context : {0, 1, 63, 64, 65, 127, 128, 129, 255, 256, 257, 700}) {
    for (const std::int32_t fresh : {1, 2, 5, 9, 17, 65}) {
      ++i;
      check_gqa({{{context, fresh}},
                 3,
                 i % 2 == 0 ? 3 : 1,
                 16,
                 i % 3 == 0 ? kBf16 : kF32,
                 i % 4 < 2 ? kF32 : kBf16,
                 i % 5 == 0 ? kBf16 : kF32});
    }
  }
}

TEST_CASE("gqa_attend of heads that share one, and head sizes") {
  std::size_t i = 0;
  for (const std::int32_t kv_heads : {1, 2, 3}) {
    for (const std::int32_t ratio : {1, 3, 7, 8}) {
      for (const std::int32_t d : {2, 6, 16, 40, 64, 130}) {
        ++i;
        check_gqa({{{61, 6}, {0, 1}, {5, 0}, {2, 12}},
                   kv_heads * ratio,
                   kv_heads,
                   d,
                   i % 2 == 0 ? kBf16 : kF32,
                   i % 4 < 2 ? kF32 : kBf16,
                   i % 8 < 4 ? kF32 : kBf16});
      }
    }
  }
}

TEST_CASE("gqa_attend of ragged batches") {
  const std::vector<std::vector<Share>> batches = {
      {},
      {{0, 0}},
      {{70, 0}, {9, 0}},
      {{70, 0}, {0, 1}, {9, 0}},
      {{0, 64}, {0, 65}, {0, 63}, {64, 64}},
      {{300, 1}, {0, 70}, {64, 0}, {1, 2}, {255, 33}, {0, 1}},
      {{2000, 3}},
  };
  for (const std::vector<Share> &shares : batches) {
    for (const aby_dtype rows : {kF32, kBf16}) {
      for (const aby_dtype cache : {kF32, kBf16, kI8})
        check_gqa({shares, 4, 2, 8, rows, cache, kF32});
    }
  }
}
