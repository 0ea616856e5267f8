// Grouped-query attention over a bfloat16 or int8 cache, which the cpu backend runs in lanes of sixteen queries and 512
// tokens at a time: near the reference, and the same bits for a row whatever is beside it, however its prompt is cut
// and however many threads there are.
#include "base/dtype.h"
#include "base/status.h"
#include "cache_data.h"
#include "naive_ops.h"

#include <algorithm>

using namespace abyssal;
using namespace abyssal::test;

namespace {

struct Gqa {
  std::int32_t heads, kv_heads, d;
  aby_dtype cache_dtype;
  BatchData batch;
  CacheData keys, values; // of the contexts
  Values q, k, v;         // [tokens, heads * d], [tokens, kv_heads * d]
};

Gqa make_gqa(std::int32_t heads, std::int32_t kv_heads, std::int32_t d, aby_dtype cache_dtype,
             const std::vector<Share> &shares) {
  Random random(static_cast<unsigned>(heads * 31 + d));
  Gqa in{heads, kv_heads, d, cache_dtype, make_batch(random, shares, d), {}, {}, {}, {}, {}};
  const CachedRow layout = heads_row(cache_dtype, kv_heads, d);
  in.keys = make_cache(random, in.batch, layout, false);
  in.values = make_cache(random, in.batch, layout, false);
  in.q = random_values(random, std::int64_t{in.batch.tokens()} * heads * d);
  in.k = random_values(random, in.batch.tokens() * layout.width);
  in.v = random_values(random, in.batch.tokens() * layout.width);
  return in;
}

// One call for rows [begin[i], end[i]) of each sequence, whose rows before them are in the cache.
Values attend_rows(OpDevice &device, const Gqa &in, const std::vector<std::int32_t> &begin,
                   const std::vector<std::int32_t> &end, abk_span keys, abk_span values) {
  BatchData batch = in.batch;
  batch.token_ids.clear();
  batch.rope.clear();
  Values q, k, v;
  const auto append = [](auto &to, const auto &from, std::int64_t row, std::int64_t width) {
    to.insert(to.end(), from.begin() + row * width, from.begin() + (row + 1) * width);
  };
  for (std::size_t i = 0; i < begin.size(); ++i) {
    batch.row_begin[i] = static_cast<std::int32_t>(batch.token_ids.size());
    batch.context[i] += begin[i] - in.batch.row_begin[i];
    for (std::int64_t row = begin[i]; row < end[i]; ++row) {
      append(batch.token_ids, in.batch.token_ids, row, 1);
      append(batch.rope, in.batch.rope, row, in.d);
      append(q, in.q, row, std::int64_t{in.heads} * in.d);
      append(k, in.k, row, in.keys.width());
      append(v, in.v, row, in.keys.width());
    }
  }
  batch.row_begin.back() = static_cast<std::int32_t>(batch.token_ids.size());
  const std::int64_t tokens = batch.tokens();
  abk_op_desc scratch{};
  scratch.op = ABK_OP_GQA_ATTEND;
  scratch.rows = batch.tokens();
  scratch.context = 4096;
  scratch.heads = in.heads;
  scratch.kv_heads = in.kv_heads;
  scratch.head_dim = in.d;
  abk_gqa_attend_args args{};
  args.heads = in.heads;
  args.kv_heads = in.kv_heads;
  args.head_dim = in.d;
  args.q = device.rows(q, tokens, std::int64_t{in.heads} * in.d, ABY_DTYPE_F32, 1);
  args.k = device.rows(k, tokens, in.keys.width(), ABY_DTYPE_F32, 2);
  args.v = device.rows(v, tokens, in.keys.width(), ABY_DTYPE_F32, 3);
  args.k_cache = keys;
  args.v_cache = values;
  args.cache_dtype = in.cache_dtype;
  args.scale = 0.2f;
  args.out = device.rows({}, tokens, std::int64_t{in.heads} * in.d, ABY_DTYPE_F32, 1);
  args.scratch = device.scratch(scratch);
  device.must(device.run(ABK_OP_GQA_ATTEND, &args, device.batch(batch)), "gqa_attend");
  return device.download(args.out, tokens);
}

std::vector<std::int32_t> row_begins(const Gqa &in) {
  return {in.batch.row_begin.begin(), in.batch.row_begin.end() - 1};
}
std::vector<std::int32_t> row_ends(const Gqa &in) { return {in.batch.row_begin.begin() + 1, in.batch.row_begin.end()}; }

Values attend(OpDevice &device, const Gqa &in) {
  return attend_rows(device, in, row_begins(in), row_ends(in), upload(device, in.keys), upload(device, in.values));
}

// One sequence in passes of at most `chunk` tokens, nothing beside it.
Values attend_cut(OpDevice &device, const Gqa &in, std::size_t sequence, std::int32_t chunk) {
  const abk_span keys = upload(device, in.keys), values = upload(device, in.values);
  Values all;
  const std::int32_t last = in.batch.row_begin[sequence + 1];
  for (std::int32_t row = in.batch.row_begin[sequence]; row < last; row += chunk) {
    std::vector<std::int32_t> begin = row_begins(in), end = begin;
    begin[sequence] = row;
    end[sequence] = std::min(row + chunk, last);
    const Values some = attend_rows(device, in, begin, end, keys, values);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

const std::vector<Share> kShares = {{0, 1}, {2, 40}, {63, 1}, {511, 2}, {500, 20}, {700, 0}, {1100, 5}, {1030, 1}};

} // namespace

TEST_CASE("grouped-query attention over rounded rows is near the reference") {
  struct Dims {
    std::int32_t heads, kv_heads, d;
  };
  for (const Dims &dims : {Dims{1, 1, 16}, Dims{8, 2, 64}, Dims{12, 2, 80}, Dims{28, 4, 128}, Dims{17, 1, 48}}) {
    for (const aby_dtype cache : {ABY_DTYPE_BF16, ABY_DTYPE_I8}) {
      const Gqa in = make_gqa(dims.heads, dims.kv_heads, dims.d, cache, kShares);
      OpDevice exact(reference());
      const Values want = attend(exact, in);
      for (const abk_backend *backend : backends()) {
        INFO(std::string(backend->name), ": ", dims.heads, " heads for ", dims.kv_heads, " of ", dims.d, " cache ",
             dtype_name(cache));
        OpDevice device(backend);
        CHECK(difference(attend(device, in), want, 1e-2) == "");
      }
    }
  }
}

TEST_CASE("a row's bits depend on its sequence: not on its pass, the rows beside it or the threads") {
  for (const aby_dtype cache : {ABY_DTYPE_BF16, ABY_DTYPE_I8}) {
    for (const std::int32_t shared : {3, 8}) {
      INFO("cache ", dtype_name(cache), " shared ", shared);
      const Gqa in = make_gqa(shared * 2, 2, 32, cache, kShares);
      OpDevice device(backends().back(), 2);
      const Values all = attend(device, in);
      for (const std::uint32_t threads : {1u, 3u, 7u}) {
        OpDevice other(backends().back(), threads);
        CHECK(attend(other, in) == all);
      }
      const std::int64_t width = std::int64_t{in.heads} * in.d;
      for (std::size_t i = 0; i < kShares.size(); ++i) {
        const Values want(all.begin() + in.batch.row_begin[i] * width, all.begin() + in.batch.row_begin[i + 1] * width);
        for (const std::int32_t chunk : {1, 7, 64}) {
          INFO("context ", kShares[i].context, " chunk ", chunk);
          CHECK(attend_cut(device, in, i, chunk) == want);
        }
      }
    }
  }
}
