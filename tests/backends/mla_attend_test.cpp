// mla_attend on every backend, in both its forms, against attention over keys and values made one by one.
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
constexpr std::uint32_t kNever = 0; // absorbed; and always:
constexpr std::uint32_t kAlways = 1u << 31;

struct Dims {
  std::int32_t heads, nope, rope, lora, v;
};

struct AttendCase {
  std::vector<Share> shares;
  Dims d;
  WeightLike like;
  std::uint32_t absorb_below;
  aby_dtype q_dtype, cache_dtype, out_dtype;
};

std::string text_of(const AttendCase &c) {
  std::string text;
  for (const Share &share : c.shares)
    text += concat(share.context, "+", share.fresh, " ");
  return concat(text, "heads ", c.d.heads, " of ", c.d.nope, " + ", c.d.rope, " lora ", c.d.lora, " v ", c.d.v, " w ",
                dtype_name(c.like.dtype), " compute ", dtype_name(c.like.compute), " absorb below ", c.absorb_below,
                " q ", dtype_name(c.q_dtype), " cache ", dtype_name(c.cache_dtype), " out ", dtype_name(c.out_dtype));
}

// Keys [count, nope + rope] and values [count, v] of one head, from the latent rows [count, lora + rope].
struct Expanded {
  Values keys, values;
};

Expanded expand(const Values &latent, std::int64_t count, const WeightData &kv_b, const Dims &d, std::int64_t head) {
  Expanded made;
  const std::int64_t width = d.lora + d.rope;
  const std::int64_t first = head * (d.nope + d.v);
  for (std::int64_t j = 0; j < count; ++j) {
    const auto row = latent.begin() + j * width;
    for (std::int64_t i = 0; i < d.nope + d.v; ++i) {
      double sum = 0;
      for (std::int64_t l = 0; l < d.lora; ++l)
        sum += kv_b.at(0, first + i, l) * row[l];
      (i < d.nope ? made.keys : made.values).push_back(sum);
    }
    made.keys.insert(made.keys.end(), row + d.lora, row + width);
  }
  return made;
}

struct Inputs {
  Dims d;
  BatchData batch;
  CacheData cache;
  Values q; // [tokens, heads * (nope + rope)]
  aby_dtype q_dtype;
  WeightData kv_b;
  float scale;

  std::int64_t qk() const { return d.nope + d.rope; }
  Values expected() const;
  Values run(OpDevice &device, std::uint32_t absorb_below, aby_dtype out_dtype) const;
};

Values Inputs::expected() const {
  Values out(static_cast<std::size_t>(std::int64_t{batch.tokens()} * d.heads * d.v));
  for (std::size_t i = 0; i < batch.context.size(); ++i) {
    const std::int64_t fresh = batch.row_begin[i + 1] - batch.row_begin[i];
    const std::int64_t total = batch.context[i] + fresh;
    const Values latent = cache.of(batch, i, fresh > 0 ? total : 0, 0, cache.width());
    for (std::int64_t h = 0; fresh > 0 && h < d.heads; ++h) {
      const Expanded made = expand(latent, total, kv_b, d, h);
      for (std::int64_t t = 0; t < fresh; ++t) {
        const std::int64_t row = (batch.row_begin[i] + t) * d.heads + h;
        const Values query(q.begin() + row * qk(), q.begin() + (row + 1) * qk());
        const Values mixed = naive_attention(query, made.keys, made.values, batch.context[i] + t + 1, scale);
        std::copy(mixed.begin(), mixed.end(), out.begin() + row * d.v);
      }
    }
  }
  return out;
}

Values Inputs::run(OpDevice &device, std::uint32_t absorb_below, aby_dtype out_dtype) const {
  const std::int64_t tokens = batch.tokens();
  const abk_span pool = upload(device, cache);
  abk_op_desc scratch{};
  scratch.op = ABK_OP_MLA_ATTEND;
  scratch.rows = batch.tokens();
  for (std::size_t i = 0; i < batch.context.size(); ++i)
    scratch.context = std::max(scratch.context, batch.context[i] + batch.row_begin[i + 1] - batch.row_begin[i]);
  scratch.heads = d.heads;
  scratch.kv_lora = d.lora;
  scratch.qk_nope = d.nope;
  scratch.rope_dim = d.rope;
  scratch.v_dim = d.v;
  scratch.absorb_below = absorb_below;
  abk_mla_attend_args args{};
  args.heads = d.heads;
  args.qk_nope = d.nope;
  args.rope_dim = d.rope;
  args.kv_lora = d.lora;
  args.v_dim = d.v;
  args.q = device.rows(q, tokens, d.heads * qk(), q_dtype, 1);
  args.kv_b = device.weight(kv_b);
  args.cache = pool;
  args.cache_dtype = cache.layout.dtype;
  args.scale = scale;
  args.absorb_below = absorb_below;
  args.out = device.rows({}, tokens, std::int64_t{d.heads} * d.v, out_dtype, 3);
  args.scratch = device.scratch(scratch);
  device.must(device.run(ABK_OP_MLA_ATTEND, &args, device.batch(batch)), "mla_attend");
  check_untouched(device, pool, cache);
  return device.download(args.out, tokens);
}

void check_attend(const AttendCase &c) {
  Random random(static_cast<unsigned>(c.d.heads * 1009 + c.d.lora));
  Inputs in{c.d, make_batch(random, c.shares, c.d.rope), {}, {}, c.q_dtype, {}, 0};
  in.cache = make_cache(random, in.batch, latent_row(c.cache_dtype, c.d.lora, c.d.rope), true);
  in.q = rounded(random_values(random, in.batch.tokens() * c.d.heads * in.qk()), c.q_dtype);
  in.kv_b = random_kv_b(random, c.d.heads, c.d.nope, c.d.v, c.d.lora, c.like);
  // Scores of about one: weights that differ, and no row that takes all.
  in.scale = static_cast<float>(4 / std::sqrt(static_cast<double>(in.qk() * c.d.lora)));
  const Values expected = rounded(in.expected(), c.out_dtype);
  const double exact = c.like.compute == kBf16 ? 1e-2 : 1e-6; // where operands are rounded depends on the form
  for_each_backend(
      &expected, c.out_dtype == kF32 ? exact : std::max(exact, 4e-3), tolerance(c.like.compute, c.out_dtype),
      [&](OpDevice &device) { return in.run(device, c.absorb_below, c.out_dtype); }, text_of(c));
}

} // namespace

TEST_CASE("mla_attend with contexts at the edges, one new token and some") {
  std::size_t i = 0;
  for (const std::int32_t context : {0, 1, 63, 64, 65, 127, 128, 129, 255, 256, 257, 700}) {
    for (const std::int32_t fresh : {1, 2, 5, 17, 65}) {
      for (const std::uint32_t absorb_below : {kNever, kAlways}) {
        ++i;
        check_attend({{{context, fresh}},
                      {std::vector<std::int32_t>{3, 1, 9, 8}[i / 2 % 4], 24, 8, 33, 40},
                      weight_formats()[i % 3 == 0 ? i / 3 % 9 : 0],
                      absorb_below,
                      i % 4 < 2 ? kF32 : kBf16,
                      std::vector<aby_dtype>{kBf16, kF32, kI8}[i / 3 % 3],
                      i % 5 < 3 ? kF32 : kBf16});
      }
    }
  }
}

TEST_CASE("mla_attend of every weight format, heads and dims") {
  const std::vector<Dims> dims = {{1, 16, 8, 32, 16}, {3, 24, 6, 65, 40},     {8, 1, 2, 1, 1},   {9, 64, 32, 64, 64},
                                  {9, 17, 0, 16, 65}, {8, 128, 64, 129, 128}, {3, 8, 2, 15, 129}};
  std::size_t i = 0;
  for (const WeightLike &like : weight_formats()) {
    for (const Dims &d : dims) {
      for (const std::uint32_t absorb_below : {kNever, kAlways}) {
        ++i;
        check_attend({{{60, 9}, {3, 1}},
                      d,
                      like,
                      absorb_below,
                      i % 3 == 0 ? kBf16 : kF32,
                      std::vector<aby_dtype>{kBf16, kF32, kI8, kF32, kI8}[i % 5],
                      i % 7 < 2 ? kBf16 : kF32});
      }
    }
  }
}

TEST_CASE("mla_attend of ragged batches, both forms in one by absorb_below") {
  const std::vector<std::vector<Share>> batches = {
      {},
      {{0, 0}},
      {{70, 0}, {9, 0}},
      {{70, 0}, {0, 1}, {9, 0}},
      {{0, 3}, {0, 4}, {0, 5}, {100, 3}, {100, 4}, {100, 5}},
      {{300, 1}, {0, 70}, {64, 0}, {1, 2}, {255, 33}, {0, 1}},
  };
  std::size_t i = 0;
  for (const std::vector<Share> &shares : batches) {
    for (const std::uint32_t absorb_below : {kNever, 1u, 2u, 4u, 33u, 34u, kAlways}) {
      for (const aby_dtype cache : {kF32, kBf16, kI8}) {
        ++i;
        check_attend({shares, {3, 16, 4, 24, 8}, weight_formats()[i % 2], absorb_below, kF32, cache, kF32});
      }
    }
  }
}

TEST_CASE("mla_attend over a long context") {
  for (const std::uint32_t absorb_below : {kNever, kAlways}) {
    check_attend({{{5000, 2}, {1023, 130}}, {2, 16, 8, 32, 16}, {}, absorb_below, kF32, kBf16, kF32});
    check_attend({{{5000, 1}}, {9, 16, 8, 32, 16}, {}, absorb_below, kBf16, kF32, kF32});
    check_attend({{{2000, 3}}, {2, 16, 8, 192, 16}, {}, absorb_below, kF32, kI8, kF32});
  }
}

TEST_CASE("mla_attend with scores far apart does not overflow") {
  // One cached row has a score of 3500 above the others': it alone is attended to.
  Random random(1);
  Inputs in{{1, 1, 2, 1, 1}, make_batch(random, {{99, 1}}, 2), {}, {0, 1, 0}, kF32, matrix_of(2, 1, {1, 2}), 1};
  in.cache = make_cache(random, in.batch, latent_row(kF32, 1, 2), true);
  for (std::int64_t j = 0; j < 100; ++j)
    in.cache.set(in.batch, 0, j, {j == 70 ? 5.0 : 0.5, j == 70 ? 3000.0 : -500.0, 0});
  in.kv_b.use = ABK_USE_MLA_KV_B; // k = c, v = 2 c
  in.kv_b.heads = in.kv_b.qk_nope = in.kv_b.v_dim = 1;
  const Values expected = {10};
  for (const std::uint32_t absorb_below : {kNever, kAlways})
    for_each_backend(
        &expected, 1e-7, 1e-6, [&](OpDevice &device) { return in.run(device, absorb_below, kF32); },
        concat("absorb below ", absorb_below));
}
