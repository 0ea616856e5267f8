// mla_project on every backend: q, the latent rows in the cache, and everything else in the cache left alone.
#include "base/dtype.h"
#include "base/status.h"
#include "cache_data.h"
#include "naive_ops.h"

using namespace abyssal;
using namespace abyssal::test;

namespace {

constexpr aby_dtype kF32 = ABY_DTYPE_F32;
constexpr aby_dtype kBf16 = ABY_DTYPE_BF16;
constexpr aby_dtype kI8 = ABY_DTYPE_I8;
constexpr float kEpsilon = 1e-6f;

struct ProjectCase {
  std::vector<Share> shares;
  std::int32_t heads, nope, rope, lora, q_lora; // q_lora 0: q from x
  std::int64_t hidden;
  WeightLike like;
  bool biases;
  aby_dtype x_dtype, q_dtype, cache_dtype;
};

std::string text_of(const ProjectCase &c) {
  std::string text;
  for (const Share &share : c.shares)
    text += concat(share.context, "+", share.fresh, " ");
  return concat(text, "heads ", c.heads, " of ", c.nope, " + ", c.rope, " lora ", c.lora, " q_lora ", c.q_lora,
                " hidden ", c.hidden, " w ", dtype_name(c.like.dtype), " compute ", dtype_name(c.like.compute),
                " biases ", c.biases, " x ", dtype_name(c.x_dtype), " q ", dtype_name(c.q_dtype), " cache ",
                dtype_name(c.cache_dtype));
}

// The inputs of a case, and what must come out.
struct Project {
  explicit Project(const ProjectCase &of);
  Values run(OpDevice &device, bool want_q) const;

  ProjectCase c;
  Random random;
  BatchData batch;
  CacheData cache;
  Values x;
  WeightData q_a, q_a_norm, q_a_bias, q_b, kv_a, kv_a_norm, kv_a_bias;
  Values q, latent; // [tokens, heads * (nope + rope)], [tokens, lora + rope]
};

Project::Project(const ProjectCase &of) : c(of), random(static_cast<unsigned>(of.hidden * 31 + of.lora)) {
  batch = make_batch(random, c.shares, c.rope);
  cache = make_cache(random, batch, latent_row(c.cache_dtype, c.lora, c.rope), false);
  const std::int64_t tokens = batch.tokens();
  x = rounded(random_values(random, tokens * c.hidden), c.x_dtype);
  if (c.q_lora > 0) {
    q_a = random_matrix(random, c.q_lora, c.hidden, 1, c.like);
    q_a_norm = random_vector(random, c.q_lora, 0.5, 2);
  }
  q_b = random_matrix(random, c.heads * (c.nope + c.rope), c.q_lora > 0 ? c.q_lora : c.hidden, 1, c.like);
  kv_a = random_matrix(random, c.lora + c.rope, c.hidden, 1, c.like);
  kv_a_norm = random_vector(random, c.lora, 0.5, 2);
  if (c.biases) {
    kv_a_bias = random_vector(random, c.lora + c.rope, -1, 1);
    if (c.q_lora > 0)
      q_a_bias = random_vector(random, c.q_lora, -1, 1);
  }
  Values low = x;
  if (c.q_lora > 0)
    low = naive_norm(naive_linear(x, tokens, q_a, 0, &q_a_bias), tokens, q_a_norm, kEpsilon);
  q = naive_linear(low, tokens, q_b);
  const Values both = naive_linear(x, tokens, kv_a, 0, &kv_a_bias);
  const std::size_t width = static_cast<std::size_t>(c.lora + c.rope);
  const std::size_t head_width = static_cast<std::size_t>(c.nope + c.rope);
  const auto rope = static_cast<std::size_t>(c.rope);
  for (std::size_t t = 0; t < static_cast<std::size_t>(tokens); ++t) {
    const float *turns = batch.rope.data() + t * rope;
    for (std::size_t h = 0; h < static_cast<std::size_t>(c.heads); ++h)
      naive_rope_interleaved(q, (t * static_cast<std::size_t>(c.heads) + h + 1) * head_width - rope, turns, rope);
    const auto row = both.begin() + static_cast<std::ptrdiff_t>(t * width);
    Values made = naive_norm(Values(row, row + c.lora), 1, kv_a_norm, kEpsilon);
    made.insert(made.end(), row + c.lora, row + c.lora + c.rope);
    naive_rope_interleaved(made, width - rope, turns, rope);
    latent.insert(latent.end(), made.begin(), made.end());
  }
  q = rounded(std::move(q), c.q_dtype);
  latent = as_cached(cache.layout, latent);
}

Values Project::run(OpDevice &device, bool want_q) const {
  const std::int64_t tokens = batch.tokens();
  const abk_span pool = upload(device, cache);
  abk_op_desc scratch{};
  scratch.op = ABK_OP_MLA_PROJECT;
  scratch.rows = batch.tokens();
  scratch.hidden = static_cast<std::int32_t>(c.hidden);
  scratch.heads = c.heads;
  scratch.q_lora = c.q_lora;
  scratch.kv_lora = c.lora;
  scratch.qk_nope = c.nope;
  scratch.rope_dim = c.rope;
  abk_mla_project_args args{};
  args.heads = c.heads;
  args.qk_nope = c.nope;
  args.rope_dim = c.rope;
  args.kv_lora = c.lora;
  args.x = device.rows(x, tokens, c.hidden, c.x_dtype, 3);
  args.q_a = device.weight(q_a);
  args.q_a_norm = device.weight(q_a_norm);
  args.q_b = device.weight(q_b);
  args.kv_a = device.weight(kv_a);
  args.kv_a_norm = device.weight(kv_a_norm);
  args.q_a_bias = device.weight(q_a_bias);
  args.kv_a_bias = device.weight(kv_a_bias);
  args.norm_epsilon = kEpsilon;
  args.q = device.rows({}, tokens, std::int64_t{c.heads} * (c.nope + c.rope), c.q_dtype, 2);
  args.cache = pool;
  args.cache_dtype = c.cache_dtype;
  args.scratch = device.scratch(scratch);
  device.must(device.run(ABK_OP_MLA_PROJECT, &args, device.batch(batch)), "mla_project");
  const Values written = new_rows(device, pool, cache, batch);
  return want_q ? device.download(args.q, tokens) : written;
}

void check_project(const ProjectCase &c) {
  const Project project(c);
  for (const bool want_q : {true, false}) {
    const aby_dtype stored = want_q ? c.q_dtype : c.cache_dtype;
    // A value may be rounded otherwise in the middle, and to the quant beside.
    const double exact = stored == kI8 ? 1e-2 : stored == kBf16 ? 4e-3 : c.like.compute == kBf16 ? 1e-3 : 1e-6;
    for_each_backend(
        want_q ? &project.q : &project.latent, exact, std::max(exact, tolerance(c.like.compute, stored)),
        [&](OpDevice &device) { return project.run(device, want_q); }, concat(want_q ? "q, " : "cache, ", text_of(c)));
  }
}

} // namespace

TEST_CASE("mla_project of every weight format, with q_a and without, over edge dims") {
  std::size_t i = 0;
  for (const WeightLike &like : weight_formats()) {
    for (const std::int32_t q_lora : {0, 1, 48, 67}) {
      for (const std::int32_t heads : {1, 3, 8, 9}) {
        ++i;
        const auto bit = [i](std::size_t of) { return i / of % 2 == 0 ? kF32 : kBf16; };
        check_project({{{5, 3}, {0, 1}, {62, 4}, {64, 0}},
                       heads,
                       std::vector<std::int32_t>{16, 24, 1}[i % 3],
                       std::vector<std::int32_t>{8, 2, 6, 0}[i % 4],
                       std::vector<std::int32_t>{65, 1, 64, 32, 17}[i % 5],
                       q_lora,
                       std::vector<std::int64_t>{40, 1, 33, 128, 65}[i / 2 % 5],
                       like,
                       i % 2 == 0,
                       bit(1),
                       bit(2),
                       i / 3 % 3 == 0 ? kI8 : bit(3)});
      }
    }
  }
}

TEST_CASE("mla_project writes the cache rows of new tokens at the edges of blocks, and no others") {
  const std::vector<std::vector<Share>> batches = {
      {},
      {{0, 0}},
      {{70, 0}},
      {{0, 1}},
      {{63, 1}},
      {{63, 2}},
      {{64, 1}},
      {{65, 63}},
      {{127, 1}, {128, 1}, {129, 1}, {255, 1}, {256, 1}, {257, 1}},
      {{0, 64}, {0, 0}, {0, 65}},
      {{1, 200}, {300, 7}, {64, 0}, {3, 17}},
  };
  std::size_t i = 0;
  for (const std::vector<Share> &shares : batches) {
    for (const aby_dtype cache : {kF32, kBf16, kI8}) {
      for (const bool through_q_a : {false, true}) {
        ++i;
        check_project({shares, 3, 24, 8, 33, through_q_a ? 20 : 0, 30, weight_formats()[i % 2], true,
                       i % 4 < 2 ? kF32 : kBf16, i % 8 < 4 ? kBf16 : kF32, cache});
      }
    }
  }
}
