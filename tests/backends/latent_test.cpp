// Attention over a bfloat16 or int8 cache, which the cpu backend runs absorbed sixteen heads and 512 tokens at a time,
// and expanded twelve or sixteen queries at a time: near the reference, and the same bits for a row whatever is
// beside it and however many threads there are.
#include "backends/cpu/dense/bf16_tiles.h"
#include "base/block_format.h"
#include "base/dtype.h"
#include "base/status.h"
#include "cache_data.h"
#include "naive_ops.h"

#include <algorithm>
#include <cmath>
#include <optional>

using namespace abyssal;
using namespace abyssal::test;

namespace {

constexpr std::int32_t kNope = 32, kRope = 16, kLora = 96, kV = 48;
constexpr std::int32_t kQk = kNope + kRope;

struct Latent {
  std::int32_t heads;
  BatchData batch;
  CacheData cache;
  Values q;                  // [tokens, heads * kQk]
  WeightData kv_b, k_b, v_b; // halves may be absent
  std::uint32_t absorb_below = 1 << 20;
};

// kv_b, and its halves in q8_0: what they stand for is rounded to them first, so that all three are the same.
void make_halves(Random &random, Latent &in, aby_dtype format) {
  WeightLike like{format, ABY_DTYPE_I8, ABY_DTYPE_F32, 0, 0, true, 0};
  in.k_b = random_matrix(random, kLora, kNope, in.heads, like);
  in.v_b = random_matrix(random, kV, kLora, in.heads, like);
  Values whole;
  for (std::int32_t h = 0; h < in.heads; ++h) {
    for (std::int32_t i = 0; i < kNope; ++i) {
      for (std::int32_t l = 0; l < kLora; ++l)
        whole.push_back(in.k_b.at(h, l, i));
    }
    for (std::int32_t i = 0; i < kV; ++i) {
      for (std::int32_t l = 0; l < kLora; ++l)
        whole.push_back(in.v_b.at(h, i, l));
    }
  }
  in.kv_b = matrix_of(std::int64_t{in.heads} * (kNope + kV), kLora, whole);
  in.kv_b.use = ABK_USE_MLA_KV_B;
  in.kv_b.heads = in.heads;
  in.kv_b.qk_nope = kNope;
  in.kv_b.v_dim = kV;
  in.kv_b.compute = ABY_DTYPE_I8;
}

Latent make_latent(std::int32_t heads, const std::vector<Share> &shares, std::optional<aby_dtype> halves,
                   aby_dtype cache_dtype) {
  Random random(static_cast<unsigned>(heads));
  Latent in{heads, make_batch(random, shares, kRope), {}, {}, {}, {}, {}, 1 << 20};
  in.cache = make_cache(random, in.batch, latent_row(cache_dtype, kLora, kRope), true);
  in.q = random_values(random, std::int64_t{in.batch.tokens()} * heads * kQk);
  if (halves)
    make_halves(random, in, *halves);
  else
    in.kv_b =
        random_kv_b(random, heads, kNope, kV, kLora, {ABY_DTYPE_BF16, ABY_DTYPE_BF16, ABY_DTYPE_F32, 0, 0, true, 0});
  return in;
}

Values attend(OpDevice &device, const Latent &in) {
  const std::int64_t tokens = in.batch.tokens();
  abk_op_desc scratch{};
  scratch.op = ABK_OP_MLA_ATTEND;
  scratch.rows = in.batch.tokens();
  scratch.context = 4096;
  scratch.heads = in.heads;
  scratch.kv_lora = kLora;
  scratch.qk_nope = kNope;
  scratch.rope_dim = kRope;
  scratch.v_dim = kV;
  scratch.absorb_below = in.absorb_below;
  abk_mla_attend_args args{};
  args.heads = in.heads;
  args.qk_nope = kNope;
  args.rope_dim = kRope;
  args.kv_lora = kLora;
  args.v_dim = kV;
  args.q = device.rows(in.q, tokens, std::int64_t{in.heads} * kQk, ABY_DTYPE_F32, 1);
  args.kv_b = device.weight(in.kv_b);
  args.k_b = device.weight(in.k_b);
  args.v_b = device.weight(in.v_b);
  args.cache = upload(device, in.cache);
  args.cache_dtype = in.cache.layout.dtype;
  args.scale = 0.06f;
  args.absorb_below = scratch.absorb_below;
  args.out = device.rows({}, tokens, std::int64_t{in.heads} * kV, ABY_DTYPE_F32, 3);
  args.scratch = device.scratch(scratch);
  device.must(device.run(ABK_OP_MLA_ATTEND, &args, device.batch(in.batch)), "mla_attend");
  return device.download(args.out, tokens);
}

// One sequence's last new token of a batch, alone.
Latent alone(const Latent &in, std::size_t sequence) {
  Latent one = in;
  const auto row = static_cast<std::size_t>(in.batch.row_begin[sequence + 1] - 1);
  const std::size_t stride = static_cast<std::size_t>(in.batch.table_stride);
  one.batch.token_ids = {in.batch.token_ids[row]};
  one.batch.row_begin = {0, 1};
  one.batch.context = {in.batch.context[sequence] + in.batch.row_begin[sequence + 1] - in.batch.row_begin[sequence] -
                       1};
  one.batch.block_table.assign(in.batch.block_table.begin() + static_cast<std::ptrdiff_t>(sequence * stride),
                               in.batch.block_table.begin() + static_cast<std::ptrdiff_t>((sequence + 1) * stride));
  one.batch.rope.resize(kRope);
  const std::size_t width = static_cast<std::size_t>(in.heads) * kQk;
  one.q.assign(in.q.begin() + static_cast<std::ptrdiff_t>(row * width),
               in.q.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
  return one;
}

const std::vector<Share> kShares = {{0, 1},   {1, 2},   {14, 1},  {15, 3},   {63, 1},
                                    {511, 2}, {512, 1}, {700, 0}, {1100, 2}, {1600, 1}};

} // namespace

TEST_CASE("absorbed attention over rounded rows is near the reference, with whole weights and with halves") {
  const std::vector<std::optional<aby_dtype>> kinds = {std::nullopt, ABY_DTYPE_Q8_0, ABY_DTYPE_Q4_0};
  for (const std::int32_t heads : {1, 3, 16, 17}) {
    for (const auto &halves : kinds) {
      const aby_dtype cache = heads % 2 == 0 || halves == ABY_DTYPE_Q4_0 ? ABY_DTYPE_BF16 : ABY_DTYPE_I8;
      const Latent in = make_latent(heads, kShares, halves, cache);
      OpDevice exact(reference());
      const Values want = attend(exact, in);
      for (const abk_backend *backend : backends()) {
        INFO(std::string(backend->name), " heads ", heads, halves ? dtype_name(*halves) : "bf16", " cache ",
             dtype_name(cache));
        OpDevice device(backend);
        CHECK(difference(attend(device, in), want, 1.5e-2) == "");
      }
    }
  }
}

namespace {

// Whether expanded attention runs in kernels of our own: in tiles of bfloat16, or without bfloat16.
bool own_kernels() {
  OpDevice device(backends().back());
  abk_device_info info{};
  device.must(device.api.device_info(device.device, &info), "device_info");
  return cpu::has_tiles() || std::string(info.isa).find("avx512_bf16") == std::string::npos;
}

// All rows of `in` on other threads, and the last one of each sequence alone.
void check_bits(const Latent &in, const std::vector<Share> &shares) {
  OpDevice device(backends().back(), 2);
  const Values all = attend(device, in);
  for (const std::uint32_t threads : {1u, 3u, 7u}) {
    OpDevice other(backends().back(), threads);
    CHECK(attend(other, in) == all);
  }
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (shares[i].fresh == 0)
      continue;
    INFO("context ", shares[i].context);
    const std::int64_t width = std::int64_t{in.heads} * kV, row = in.batch.row_begin[i + 1] - 1;
    const Values one = attend(device, alone(in, i));
    CHECK(one == Values(all.begin() + row * width, all.begin() + (row + 1) * width));
  }
}

} // namespace

TEST_CASE("a row's bits do not depend on the rows beside it, nor on the threads") {
  const std::vector<std::optional<aby_dtype>> kinds = {std::nullopt, ABY_DTYPE_Q8_0};
  for (std::size_t kind = 0; kind < 4; ++kind) {
    const aby_dtype cache = kind < 2 ? ABY_DTYPE_BF16 : ABY_DTYPE_I8;
    INFO("cache ", dtype_name(cache));
    check_bits(make_latent(17, kShares, kinds[kind % 2], cache), kShares);
  }
}

TEST_CASE("expanded attention in any number of queries is near the reference, and a row's bits stay its own") {
  std::vector<Share> shares = {{0, 300}, {255, 2}, {256, 25}, {700, 0}, {511, 40}, {1023, 61}};
  for (std::int32_t fresh = 1; fresh <= 14; ++fresh)
    shares.push_back({fresh * 37 % 290, fresh});
  for (const std::int32_t heads : {1, 9}) {
    for (const aby_dtype cache : {ABY_DTYPE_BF16, ABY_DTYPE_I8}) {
      INFO("heads ", heads, " cache ", dtype_name(cache));
      Latent in = make_latent(heads, shares, std::nullopt, cache);
      in.absorb_below = 0;
      OpDevice exact(reference());
      const Values want = attend(exact, in);
      for (const abk_backend *backend : backends()) {
        INFO(std::string(backend->name));
        OpDevice device(backend);
        CHECK(difference(attend(device, in), want, 1.5e-2) == "");
      }
      if (own_kernels())
        check_bits(in, shares);
      else
        MESSAGE("skipped: the same bits, which are not promised where oneDNN multiplies");
    }
  }
}
