// The same op on devices with 1, 2, 3 and 5 threads gives the same bits.
#include "base/dtype.h"
#include "base/status.h"
#include "cache_data.h"

#include <algorithm>

using namespace abyssal;
using namespace abyssal::test;

namespace {

constexpr aby_dtype kF32 = ABY_DTYPE_F32;

// Run: Values(OpDevice &).
template <typename Run> void expect_same_bits(const std::string &what, Run &&run) {
  for (const abk_backend *backend : backends()) {
    INFO(std::string(backend->name), ": ", what);
    OpDevice alone(backend, 1);
    const Values expected = run(alone);
    CHECK(expected.size() > 100);
    for (const std::uint32_t threads : {2u, 3u, 5u}) {
      INFO(threads, " threads");
      OpDevice device(backend, threads);
      const Values got = run(device);
      CHECK(got.size() == expected.size());
      const auto at = std::mismatch(got.begin(), got.end(), expected.begin(), expected.end()).first - got.begin();
      CHECK(at == static_cast<std::ptrdiff_t>(expected.size()));
    }
  }
}

// Rows that go through gemv, an odd tile, and several tiles.
const std::vector<std::int32_t> kRowCounts = {1, 3, 9, 70, 150};

} // namespace

TEST_CASE("linear and norm_add on any number of threads") {
  for (const std::int32_t rows : kRowCounts) {
    for (const WeightLike &like : weight_formats()) {
      Random random(static_cast<unsigned>(rows));
      const Values x = random_values(random, rows * 129);
      const WeightData w = random_matrix(random, 300, 129, 1, like);
      expect_same_bits(concat("linear of ", rows, " rows, ", dtype_name(like.dtype)), [&](OpDevice &device) {
        const abk_linear_args args{rows, device.rows(x, rows, 129, kF32), device.weight(w), nullptr,
                                   device.rows({}, rows, 300, kF32)};
        device.must(device.run(ABK_OP_LINEAR, &args), "linear");
        return device.download(args.out, rows);
      });
    }
    Random random(9);
    const Values x = random_values(random, rows * 257);
    expect_same_bits(concat("norm_add of ", rows, " rows"), [&](OpDevice &device) {
      abk_norm_add_args args{};
      args.rows = rows;
      args.residual = device.rows(x, rows, 257, kF32);
      args.delta = device.rows(x, rows, 257, kF32);
      args.epsilon = 1e-6f;
      args.out = device.rows({}, rows, 257, kF32);
      device.must(device.run(ABK_OP_NORM_ADD, &args), "norm_add");
      return device.download(args.out, rows);
    });
  }
}

namespace {

constexpr std::int32_t kHidden = 130, kInter = 90, kExperts = 7, kTop = 3;

struct Swiglu {
  Swiglu(Random &random, std::int64_t count, const WeightLike &like)
      : gate(random_matrix(random, kInter, kHidden, count, like)),
        up(random_matrix(random, kInter, kHidden, count, like)),
        down(random_matrix(random, kHidden, kInter, count, like)) {}
  WeightData gate, up, down;
};

abk_span swiglu_scratch(OpDevice &device, abk_op op, std::int32_t rows) {
  abk_op_desc desc{};
  desc.op = op;
  desc.rows = rows;
  desc.hidden = kHidden;
  desc.inter = desc.shared_inter = kInter;
  desc.experts = kExperts;
  desc.top_k = kTop;
  return device.scratch(desc);
}

const std::vector<WeightLike> &some_formats() {
  static const std::vector<WeightLike> some(weight_formats().begin(), weight_formats().begin() + 3);
  return some;
}

} // namespace

TEST_CASE("mlp on any number of threads") {
  for (const std::int32_t rows : kRowCounts) {
    for (const WeightLike &like : some_formats()) {
      Random random(static_cast<unsigned>(rows));
      const Values x = random_values(random, rows * kHidden);
      const Swiglu w(random, 1, like);
      expect_same_bits(concat("mlp of ", rows, " rows, ", dtype_name(like.dtype)), [&](OpDevice &device) {
        const abk_mlp_args args{rows,
                                device.rows(x, rows, kHidden, kF32),
                                device.weight(w.gate),
                                device.weight(w.up),
                                device.weight(w.down),
                                device.rows({}, rows, kHidden, kF32),
                                swiglu_scratch(device, ABK_OP_MLP, rows)};
        device.must(device.run(ABK_OP_MLP, &args), "mlp");
        return device.download(args.out, rows);
      });
    }
  }
}

TEST_CASE("moe_experts on any number of threads") {
  for (const std::int32_t rows : kRowCounts) {
    for (const WeightLike &like : some_formats()) {
      Random random(static_cast<unsigned>(rows));
      const Values x = random_values(random, rows * kHidden);
      const Swiglu routed(random, kExperts, like), shared(random, 1, like);
      std::vector<std::int32_t> index;
      for (std::int32_t i = 0; i < rows * kTop; ++i) // crowded at the even ones
        index.push_back(i % kTop * 2 + static_cast<std::int32_t>(random() % 8 == 0));
      const Values weight = random_values(random, rows * kTop, 0, 1);
      expect_same_bits(concat("moe_experts of ", rows, " rows, ", dtype_name(like.dtype)), [&](OpDevice &device) {
        const abk_moe_experts_args args{rows,
                                        kTop,
                                        device.rows(x, rows, kHidden, kF32),
                                        device.ints(index),
                                        device.floats(weight),
                                        device.weight(routed.gate),
                                        device.weight(routed.up),
                                        device.weight(routed.down),
                                        device.weight(shared.gate),
                                        device.weight(shared.up),
                                        device.weight(shared.down),
                                        device.rows({}, rows, kHidden, kF32),
                                        swiglu_scratch(device, ABK_OP_MOE_EXPERTS, rows)};
        device.must(device.run(ABK_OP_MOE_EXPERTS, &args), "moe_experts");
        return device.download(args.out, rows);
      });
    }
  }
}

namespace {

// Ragged, for both attention ops: 9 query heads, 3 of keys and values for gqa, all of 8 roped dims.
struct Attention {
  Attention() : random(3), batch(make_batch(random, {{300, 1}, {0, 70}, {64, 0}, {1, 2}, {255, 33}, {0, 1}}, 8)) {}
  std::int64_t tokens() const { return batch.tokens(); }
  abk_span scratch(OpDevice &device, abk_op op, std::uint32_t absorb_below) const {
    abk_op_desc desc{};
    desc.op = op;
    desc.rows = batch.tokens();
    desc.context = 301;
    desc.hidden = 96;
    desc.heads = 9;
    desc.kv_heads = 3;
    desc.head_dim = desc.rope_dim = 8;
    desc.kv_lora = 32;
    desc.qk_nope = 16;
    desc.v_dim = 24;
    desc.absorb_below = absorb_below;
    return device.scratch(desc);
  }
  Random random;
  BatchData batch;
};

} // namespace

TEST_CASE("mla_project on any number of threads") {
  Attention in;
  const CacheData latent = make_cache(in.random, in.batch, latent_row(ABY_DTYPE_I8, 32, 8), false);
  const Values x = random_values(in.random, in.tokens() * 96);
  const WeightData q_b = random_matrix(in.random, 9 * 24, 96, 1, {ABY_DTYPE_BF16, ABY_DTYPE_BF16});
  const WeightData kv_a = random_matrix(in.random, 40, 96, 1, {ABY_DTYPE_F16});
  const WeightData norm = random_vector(in.random, 32, 0.5, 2);
  expect_same_bits("mla_project", [&](OpDevice &device) {
    const abk_span pool = upload(device, latent);
    abk_mla_project_args args{};
    args.heads = 9;
    args.qk_nope = 16;
    args.rope_dim = 8;
    args.kv_lora = 32;
    args.x = device.rows(x, in.tokens(), 96, kF32);
    args.q_b = device.weight(q_b);
    args.kv_a = device.weight(kv_a);
    args.kv_a_norm = device.weight(norm);
    args.norm_epsilon = 1e-6f;
    args.q = device.rows({}, in.tokens(), 9 * 24, kF32);
    args.cache = pool;
    args.cache_dtype = latent.layout.dtype;
    args.scratch = in.scratch(device, ABK_OP_MLA_PROJECT, 0);
    device.must(device.run(ABK_OP_MLA_PROJECT, &args, device.batch(in.batch)), "mla_project");
    Values both = device.download(args.q, in.tokens());
    const Values written = new_rows(device, pool, latent, in.batch);
    both.insert(both.end(), written.begin(), written.end());
    return both;
  });
}

TEST_CASE("mla_attend on any number of threads") {
  Attention in;
  const std::vector<CacheData> caches = {make_cache(in.random, in.batch, latent_row(ABY_DTYPE_BF16, 32, 8), true),
                                         make_cache(in.random, in.batch, latent_row(ABY_DTYPE_I8, 32, 8), true)};
  const WeightData kv_b = random_kv_b(in.random, 9, 16, 24, 32, {ABY_DTYPE_BF16, kF32});
  const Values q = random_values(in.random, in.tokens() * 9 * 24);
  for (std::size_t i = 0; i < 6; ++i) {
    const CacheData &latent = caches[i / 3];
    const std::uint32_t absorb_below = std::vector<std::uint32_t>{0, 3, 1000}[i % 3];
    expect_same_bits(concat("mla_attend, absorbed below ", absorb_below), [&](OpDevice &device) {
      abk_mla_attend_args args{};
      args.heads = 9;
      args.qk_nope = 16;
      args.rope_dim = 8;
      args.kv_lora = 32;
      args.v_dim = 24;
      args.q = device.rows(q, in.tokens(), 9 * 24, kF32);
      args.kv_b = device.weight(kv_b);
      args.cache = upload(device, latent);
      args.cache_dtype = latent.layout.dtype;
      args.scale = 0.1f;
      args.absorb_below = absorb_below;
      args.out = device.rows({}, in.tokens(), 9 * 24, kF32);
      args.scratch = in.scratch(device, ABK_OP_MLA_ATTEND, absorb_below);
      device.must(device.run(ABK_OP_MLA_ATTEND, &args, device.batch(in.batch)), "mla_attend");
      return device.download(args.out, in.tokens());
    });
  }
}

TEST_CASE("gqa_attend on any number of threads") {
  Attention in;
  const CacheData keys = make_cache(in.random, in.batch, heads_row(ABY_DTYPE_I8, 3, 8), false);
  const CacheData values = make_cache(in.random, in.batch, heads_row(ABY_DTYPE_I8, 3, 8), false);
  const Values q = random_values(in.random, in.tokens() * 72);
  const Values k = random_values(in.random, in.tokens() * 24), v = random_values(in.random, in.tokens() * 24);
  expect_same_bits("gqa_attend", [&](OpDevice &device) {
    abk_gqa_attend_args args{};
    args.heads = 9;
    args.kv_heads = 3;
    args.head_dim = 8;
    args.q = device.rows(q, in.tokens(), 72, kF32);
    args.k = device.rows(k, in.tokens(), 24, kF32);
    args.v = device.rows(v, in.tokens(), 24, kF32);
    args.k_cache = upload(device, keys);
    args.v_cache = upload(device, values);
    args.cache_dtype = keys.layout.dtype;
    args.scale = 0.4f;
    args.out = device.rows({}, in.tokens(), 72, kF32);
    args.scratch = in.scratch(device, ABK_OP_GQA_ATTEND, 0);
    device.must(device.run(ABK_OP_GQA_ATTEND, &args, device.batch(in.batch)), "gqa_attend");
    return device.download(args.out, in.tokens());
  });
}

TEST_CASE("moe_route on any number of threads") {
  Random random(5);
  const Values logits = random_values(random, 150 * 64, -3, 3);
  expect_same_bits("moe_route", [&](OpDevice &device) {
    const abk_moe_route_args args{150,
                                  64,
                                  6,
                                  8,
                                  4,
                                  ABK_SCORING_SIGMOID,
                                  ABK_TOPK_NOAUX_TC,
                                  1,
                                  2.5f,
                                  device.rows(logits, 150, 64, kF32),
                                  nullptr,
                                  device.buffer(150 * 6 * 4),
                                  device.buffer(150 * 6 * 4)};
    device.must(device.run(ABK_OP_MOE_ROUTE, &args), "moe_route");
    Values both = device.download(args.weight, 150 * 6, kF32);
    for (const std::int32_t expert : device.download_ints(args.index, 150 * 6))
      both.push_back(expert);
    return both;
  });
}

TEST_CASE("logits on any number of threads") {
  Random random(6);
  const BatchData batch = make_batch(random, {{60, 40}, {3, 1}, {0, 33}}, 0);
  const std::int32_t tokens = batch.tokens(), vocab = 500;
  const Values x = random_values(random, tokens * 96);
  const WeightData head = random_matrix(random, vocab, 96, 1, {ABY_DTYPE_BF16});
  std::vector<std::int32_t> ids;
  for (std::int32_t i = tokens - 1; i >= 0; i -= 2)
    ids.push_back(i);
  const auto rows = static_cast<std::int32_t>(ids.size());
  expect_same_bits("logits", [&](OpDevice &device) {
    abk_op_desc scratch{};
    scratch.op = ABK_OP_LOGITS;
    scratch.rows = rows;
    scratch.hidden = 96;
    scratch.vocab = vocab;
    const abk_logits_args args{rows,  ids.data(),          device.rows(x, tokens, 96, kF32),   nullptr,
                               1e-6f, device.weight(head), device.rows({}, rows, vocab, kF32), device.scratch(scratch)};
    device.must(device.run(ABK_OP_LOGITS, &args, device.batch(batch)), "logits");
    return device.download(args.out, rows);
  });
}
