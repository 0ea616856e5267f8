// embed, norm_add, linear, mlp and logits on every backend.
#include "base/dtype.h"
#include "base/status.h"
#include "naive_ops.h"

#include <cmath>
#include <limits>

using namespace abyssal;
using namespace abyssal::test;

namespace {

constexpr aby_dtype kF32 = ABY_DTYPE_F32;
constexpr aby_dtype kBf16 = ABY_DTYPE_BF16;

struct LinearCase {
  std::int64_t rows, n, k;
  WeightLike like;
  aby_dtype x_dtype, out_dtype;
  bool bias;
  std::int64_t gap;
};

std::string text_of(const LinearCase &c) {
  return concat("rows ", c.rows, " n ", c.n, " k ", c.k, " w ", dtype_name(c.like.dtype), " scales ",
                dtype_name(c.like.scale_dtype), " ", c.like.block_n, "x", c.like.block_k, " compute ",
                dtype_name(c.like.compute), " x ", dtype_name(c.x_dtype), " out ", dtype_name(c.out_dtype), " bias ",
                c.bias, " gap ", c.gap, " misaligned ", c.like.misalign);
}

void check_linear(const LinearCase &c) {
  Random random(static_cast<unsigned>(c.rows * 1000003 + c.n * 1009 + c.k));
  const Values x = rounded(random_values(random, c.rows * c.k), c.x_dtype);
  const WeightData w = random_matrix(random, c.n, c.k, 1, c.like);
  const WeightData bias = c.bias ? random_vector(random, c.n, -1, 1) : WeightData();
  const Values expected = rounded(naive_linear(x, c.rows, w, 0, &bias), c.out_dtype);
  for_each_backend(
      &expected, c.out_dtype == kF32 ? 1e-6 : 4e-3, tolerance(c.like.compute, c.out_dtype),
      [&](OpDevice &device) {
        abk_linear_args args{};
        args.rows = static_cast<std::int32_t>(c.rows);
        args.x = device.rows(x, c.rows, c.k, c.x_dtype, c.gap);
        args.w = device.weight(w);
        args.bias = device.weight(bias);
        args.out = device.rows({}, c.rows, c.n, c.out_dtype, 2 * c.gap);
        device.must(device.run(ABK_OP_LINEAR, &args), "linear");
        return device.download(args.out, c.rows);
      },
      text_of(c));
}

} // namespace

TEST_CASE("linear over edge shapes") {
  std::size_t i = 0;
  for (const std::int64_t rows : {0, 1, 2, 7, 15, 16, 17, 33, 64, 65}) {
    for (const std::int64_t n : {1, 7, 15, 16, 17, 31, 33, 64, 65, 129}) {
      for (const std::int64_t k : {1, 2, 15, 16, 17, 33, 63, 64, 127, 128, 129, 200}) {
        ++i;
        if (rows > 17 && i % 3 != 0) // each size in company of others, not with all of them
          continue;
        check_linear({rows, n, k, weight_formats()[i % weight_formats().size()], i % 2 == 0 ? kF32 : kBf16,
                      i % 5 < 3 ? kF32 : kBf16, i % 4 == 1, static_cast<std::int64_t>(i % 7 == 0 ? 9 : 0)});
      }
    }
  }
}

TEST_CASE("linear with many tiles") {
  for (const WeightLike &like : weight_formats()) {
    check_linear({130, 260, 300, like, kF32, kF32, true, 0});
    check_linear({1, 300, 520, like, kBf16, kF32, false, 3});
  }
}

TEST_CASE("linear by hand") {
  // [1 2; -1 0.5] [3 4]^T + [10 20] = [21, 19]
  const Values expected = {21, 19};
  const WeightData w = matrix_of(2, 2, {1, 2, -1, 0.5});
  const WeightData bias = vector_of({10, 20});
  for_each_backend(
      &expected, 0, 0,
      [&](OpDevice &device) {
        abk_linear_args args{1, device.rows({3, 4}, 1, 2, kF32), device.weight(w), device.weight(bias),
                             device.rows({}, 1, 2, kF32)};
        device.must(device.run(ABK_OP_LINEAR, &args), "linear");
        return device.download(args.out, 1);
      },
      "by hand");
}

TEST_CASE("a row's result does not depend on the other rows") {
  Random random(5);
  const Values x = random_values(random, 67 * 96);
  const WeightData w = random_matrix(random, 70, 96, 1, {ABY_DTYPE_BF16, kF32});
  for (const abk_backend *backend : {reference(), deferred()}) {
    OpDevice device(backend);
    abk_linear_args args{67, device.rows(x, 67, 96, kF32), device.weight(w), nullptr, device.rows({}, 67, 70, kF32)};
    device.must(device.run(ABK_OP_LINEAR, &args), "linear");
    const Values all = device.download(args.out, 67);
    args.rows = 1;
    args.x.span.offset += 40 * 96 * 4;
    device.must(device.run(ABK_OP_LINEAR, &args), "linear");
    CHECK(device.download(args.out, 1) == Values(all.begin() + 40 * 70, all.begin() + 41 * 70));
  }
}

TEST_CASE("embed gathers rows of every format, by the batch's ids or others") {
  std::size_t i = 0;
  for (const WeightLike &like : weight_formats()) {
    for (const std::int32_t tokens : {0, 1, 2, 17, 65}) {
      for (const bool own_ids : {false, true}) {
        Random random(static_cast<unsigned>(tokens));
        const std::int64_t hidden = 1 + 13 * static_cast<std::int64_t>(++i % 6);
        WeightData table = random_matrix(random, 50, hidden, 1, like);
        table.use = ABK_USE_EMBEDDING;
        const BatchData batch = make_batch(random, {{3, tokens}}, 0, 50);
        std::vector<std::int32_t> ids = batch.token_ids;
        for (std::int32_t &id : ids)
          id = own_ids ? 49 - id : id;
        const aby_dtype out = i % 2 == 0 ? kF32 : kBf16;
        Values expected;
        for (const std::int32_t id : ids) {
          for (std::int64_t c = 0; c < hidden; ++c)
            expected.push_back(rounded(table.at(0, id, c), out));
        }
        for_each_backend(
            &expected, out == kF32 ? 1e-7 : 4e-3, out == kF32 ? 1e-6 : 4e-3,
            [&](OpDevice &device) {
              std::vector<std::int32_t> given = ids;
              abk_embed_args args{};
              args.table = device.weight(table);
              args.ids = own_ids ? given.data() : nullptr;
              args.out = device.rows({}, tokens, hidden, out, 5);
              device.must(device.run(ABK_OP_EMBED, &args, device.batch(batch)), "embed");
              std::fill(given.begin(), given.end(), 1 << 30);
              return device.download(args.out, tokens);
            },
            concat(tokens, " tokens of ", hidden, ", table ", dtype_name(like.dtype)));
      }
    }
  }
}

namespace {

struct NormCase {
  std::int64_t rows, hidden;
  bool delta, weight, out;
  aby_dtype delta_dtype, out_dtype;
  double size;
};

void check_norm(const NormCase &c) {
  Random random(static_cast<unsigned>(c.rows * 1000 + c.hidden));
  const Values residual = random_values(random, c.rows * c.hidden, -c.size, c.size);
  const Values delta = rounded(random_values(random, c.rows * c.hidden, -c.size, c.size), c.delta_dtype);
  const WeightData weight = c.weight ? random_vector(random, c.hidden, 0.5, 2) : WeightData();
  const float epsilon = 1e-5f;
  Values sum = residual;
  for (std::size_t i = 0; c.delta && i < sum.size(); ++i)
    sum[i] = rounded(sum[i] + delta[i], kF32);
  const Values expected = rounded(naive_norm(sum, c.rows, weight, epsilon), c.out_dtype);
  for (const bool normed : {false, true}) {
    if (normed && !c.out)
      continue;
    const aby_dtype dtype = normed ? c.out_dtype : kF32;
    for_each_backend(
        normed ? &expected : &sum, dtype == kF32 ? 1e-6 : 4e-3, dtype == kF32 ? 1e-6 : 4e-3,
        [&](OpDevice &device) {
          abk_norm_add_args args{};
          args.rows = static_cast<std::int32_t>(c.rows);
          args.residual = device.rows(residual, c.rows, c.hidden, kF32, 3);
          if (c.delta)
            args.delta = device.rows(delta, c.rows, c.hidden, c.delta_dtype, 1);
          args.weight = device.weight(weight);
          args.epsilon = epsilon;
          if (c.out)
            args.out = device.rows({}, c.rows, c.hidden, c.out_dtype, 4);
          device.must(device.run(ABK_OP_NORM_ADD, &args), "norm_add");
          return device.download(normed ? args.out : args.residual, c.rows);
        },
        concat(normed ? "out" : "residual", " of ", c.rows, " rows of ", c.hidden, " delta ", c.delta, " weight ",
               c.weight, " out ", c.out, " ", dtype_name(c.out_dtype), " size ", c.size));
  }
}

} // namespace

TEST_CASE("norm_add over edge shapes") {
  std::size_t i = 0;
  for (const std::int64_t rows : {0, 1, 2, 17, 65}) {
    for (const std::int64_t hidden : {1, 2, 7, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 200}) {
      ++i;
      check_norm({rows, hidden, i % 3 != 0, i % 4 != 0, i % 5 != 0, i % 2 == 0 ? kF32 : kBf16, i % 7 < 4 ? kF32 : kBf16,
                  i % 6 == 0   ? 1e4
                  : i % 6 == 1 ? 1e-4
                               : 1.0});
    }
  }
}

TEST_CASE("norm_add of zeros is zero, and by hand") {
  const Values expected = {0, 0, 0.6 * std::sqrt(2.0), 0.8 * std::sqrt(2.0)};
  for_each_backend(
      &expected, 1e-6, 1e-6,
      [&](OpDevice &device) {
        abk_norm_add_args args{};
        args.rows = 2;
        args.residual = device.rows({0, 0, 3, 4}, 2, 2, kF32);
        args.epsilon = 1e-12f;
        args.out = device.rows({}, 2, 2, kF32);
        device.must(device.run(ABK_OP_NORM_ADD, &args), "norm_add");
        return device.download(args.out, 2);
      },
      "by hand");
}

TEST_CASE("norm_add writes two norms side by side") { // as the MTP layer does
  Random random(8);
  const Values a = random_values(random, 5 * 6);
  Values expected;
  const Values half = naive_norm(a, 5, {}, 1e-6f);
  for (std::size_t r = 0; r < 5; ++r) {
    for (int copy = 0; copy < 2; ++copy)
      expected.insert(expected.end(), half.begin() + static_cast<std::ptrdiff_t>(r * 6),
                      half.begin() + static_cast<std::ptrdiff_t>(r * 6 + 6));
  }
  for_each_backend(
      &expected, 1e-6, 1e-6,
      [&](OpDevice &device) {
        const abk_rows pair = device.rows({}, 5, 12, kF32);
        abk_norm_add_args args{};
        args.rows = 5;
        args.residual = device.rows(a, 5, 6, kF32);
        args.epsilon = 1e-6f;
        args.out = pair;
        args.out.cols = 6;
        device.must(device.run(ABK_OP_NORM_ADD, &args), "norm_add");
        args.out.span.offset += 6 * 4;
        device.must(device.run(ABK_OP_NORM_ADD, &args), "norm_add");
        return device.download(pair, 5);
      },
      "pair");
}

TEST_CASE("mlp over edge shapes") {
  std::size_t i = 0;
  for (const std::int64_t rows : {0, 1, 2, 16, 17, 65}) {
    for (const std::int64_t hidden : {1, 15, 32, 65, 128}) {
      for (const std::int64_t inter : {1, 17, 64, 129}) {
        const WeightLike like = weight_formats()[++i % weight_formats().size()];
        Random random(static_cast<unsigned>(i));
        const aby_dtype act = i % 2 == 0 ? kF32 : kBf16;
        const Values x = rounded(random_values(random, rows * hidden), act);
        const WeightData gate = random_matrix(random, inter, hidden, 1, like);
        const WeightData up = random_matrix(random, inter, hidden, 1, like);
        const WeightData down = random_matrix(random, hidden, inter, 1, like);
        const Values expected = naive_swiglu(x, rows, gate, up, down);
        // A product between -1e-2 and 1e-2 of the others' size can round otherwise in the middle: hence not 1e-6.
        for_each_backend(
            &expected, like.compute == kF32 ? 1e-6 : 1e-4, tolerance(like.compute, kF32),
            [&](OpDevice &device) {
              abk_mlp_args args{};
              args.rows = static_cast<std::int32_t>(rows);
              args.x = device.rows(x, rows, hidden, act, 1);
              args.gate = device.weight(gate);
              args.up = device.weight(up);
              args.down = device.weight(down);
              args.out = device.rows({}, rows, hidden, kF32, 2);
              abk_op_desc scratch{};
              scratch.op = ABK_OP_MLP;
              scratch.rows = args.rows;
              scratch.hidden = static_cast<std::int32_t>(hidden);
              scratch.inter = static_cast<std::int32_t>(inter);
              args.scratch = device.scratch(scratch);
              device.must(device.run(ABK_OP_MLP, &args), "mlp");
              return device.download(args.out, rows);
            },
            concat(rows, " rows ", hidden, " x ", inter, " ", dtype_name(like.dtype), " compute ",
                   dtype_name(like.compute)));
      }
    }
  }
}

TEST_CASE("logits of chosen rows, with and without the norm, from a matrix or an embedding") {
  std::size_t i = 0;
  for (const std::vector<std::int32_t> &rows : {std::vector<std::int32_t>{},
                                                {0},
                                                {16},
                                                {3, 3, 0},
                                                {16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}}) {
    for (const std::int64_t vocab : {1, 33, 130}) {
      for (const WeightLike &like : weight_formats()) {
        ++i;
        Random random(static_cast<unsigned>(i));
        const std::int64_t hidden = i % 2 == 0 ? 40 : 17;
        const auto count = static_cast<std::int64_t>(rows.size());
        const Values x = random_values(random, 17 * hidden);
        WeightData head = random_matrix(random, vocab, hidden, 1, like);
        head.use = i % 3 == 0 ? ABK_USE_EMBEDDING : ABK_USE_MATRIX;
        const WeightData norm = i % 4 == 0 ? WeightData() : random_vector(random, hidden, 0.5, 2);
        Values chosen;
        for (const std::int32_t row : rows)
          chosen.insert(chosen.end(), x.begin() + row * hidden, x.begin() + (row + 1) * hidden);
        const Values normed = norm.present() ? naive_norm(chosen, count, norm, 1e-6f) : chosen;
        const Values expected = naive_linear(normed, count, head);
        for_each_backend(
            &expected, like.compute == kF32 ? 1e-6 : 1e-3, tolerance(like.compute, kF32),
            [&](OpDevice &device) {
              std::vector<std::int32_t> ids = rows;
              abk_logits_args args{};
              args.rows = static_cast<std::int32_t>(count);
              args.row_ids = ids.data();
              args.x = device.rows(x, 17, hidden, kF32, 3);
              args.norm = device.weight(norm);
              args.epsilon = 1e-6f;
              args.head = device.weight(head);
              args.out = device.rows({}, count, vocab, kF32, 1);
              abk_op_desc scratch{};
              scratch.op = ABK_OP_LOGITS;
              scratch.rows = args.rows;
              scratch.hidden = static_cast<std::int32_t>(hidden);
              scratch.vocab = static_cast<std::int32_t>(vocab);
              args.scratch = device.scratch(scratch);
              Random again(1);
              device.must(device.run(ABK_OP_LOGITS, &args, device.batch(make_batch(again, {{0, 17}}, 0))), "logits");
              std::fill(ids.begin(), ids.end(), -5);
              return device.download(args.out, count);
            },
            concat(count, " rows, vocab ", vocab, " head ", dtype_name(like.dtype), " norm ", norm.present()));
      }
    }
  }
}

TEST_CASE("a NaN stays in its row") {
  Random random(3);
  Values x = random_values(random, 3 * 20);
  x[25] = std::numeric_limits<double>::quiet_NaN();
  const WeightData w = random_matrix(random, 9, 20, 1, {});
  for (const abk_backend *backend : backends()) {
    INFO(std::string(backend->name));
    OpDevice device(backend);
    abk_linear_args args{3, device.rows(x, 3, 20, kF32), device.weight(w), nullptr, device.rows({}, 3, 9, kF32)};
    device.must(device.run(ABK_OP_LINEAR, &args), "linear");
    const Values got = device.download(args.out, 3);
    for (std::size_t i = 0; i < got.size(); ++i)
      CHECK(std::isnan(got[i]) == (i / 9 == 1));
  }
}
