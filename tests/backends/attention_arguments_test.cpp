// Bad arguments of the attention ops on every backend, and ops without a stream, a batch or arguments.
#include "refusals.h"

#include <array>
#include <cstddef>

using namespace abyssal;
using namespace abyssal::test;

namespace {

constexpr std::int32_t kTokens = 3, kHidden = 8, kHeads = 2, kNope = 4, kRope = 2, kLora = 6, kV = 3;

// Two sequences, of 64 and 1 tokens with the new ones: one block each.
BatchData two_sequences(std::int32_t rope_dim, std::int32_t first_block) {
  Random random(4);
  BatchData batch = make_batch(random, {{62, 2}, {0, 1}}, rope_dim, 10);
  batch.table_stride = 1;
  batch.block_table = {first_block, 1};
  return batch;
}

abk_span pool(OpDevice &device, std::int64_t width) { // two blocks
  return device
      .rows(Values(static_cast<std::size_t>(2 * ABK_BLOCK_TOKENS * width), 0.5), 2 * ABK_BLOCK_TOKENS, width,
            ABY_DTYPE_F32)
      .span;
}

template <typename Args>
void expect_cache_checked(Refusals<Args> &refusals, const std::string &name, abk_span Args::*at, std::int64_t width) {
  const auto bytes = static_cast<std::uint64_t>(ABK_BLOCK_TOKENS * width * 4);
  refusals.expect(name, [&](Args &a) { a.*at = {}; });
  refusals.expect(name, [&](Args &a) { (a.*at).offset += 4; }); // there is no second whole block then
  refusals.expect(name, [&](Args &a) { (a.*at).offset += bytes; });
  refusals.expect(name, [&](Args &a) { (a.*at).offset += 3 * bytes; });
  refusals.expect(name, [&](Args &a) { (a.*at).offset -= 1; });
  refusals.expect(name, [&](Args &a) { a.cache_dtype = ABY_DTYPE_F16; });
}

// Blocks that the cache does not have are refused, whichever the batch names.
template <typename Args>
void expect_blocks_checked(OpDevice &device, abk_op op, const Args &args, std::int32_t rope_dim,
                           const std::string &text) {
  for (const std::int32_t block : {-1, 2, 1 << 30, -(1 << 30)}) {
    INFO("block ", block);
    expect_refusal(device, device.outcome(device.run(op, &args, device.batch(two_sequences(rope_dim, block)))), text);
  }
  CHECK(device.outcome(device.run(op, &args, device.batch(two_sequences(rope_dim, 0)))) == ABY_OK);
}

abk_op_desc scratch_of(abk_op op) {
  abk_op_desc desc{};
  desc.op = op;
  desc.rows = kTokens;
  desc.context = 64;
  desc.hidden = kHidden;
  desc.heads = kHeads;
  desc.kv_heads = 1;
  desc.head_dim = 4;
  desc.q_lora = 5;
  desc.kv_lora = kLora;
  desc.qk_nope = kNope;
  desc.rope_dim = kRope;
  desc.v_dim = kV;
  return desc;
}

} // namespace

TEST_CASE("mla_project refuses bad arguments") {
  using Args = abk_mla_project_args;
  on_every_backend([](OpDevice &device) {
    const Wrong wrong(device);
    Args good{};
    good.heads = kHeads;
    good.qk_nope = kNope;
    good.rope_dim = kRope;
    good.kv_lora = kLora;
    good.x = some_rows(device, kHidden);
    good.q_a = device.weight(some_matrix(5, kHidden));
    good.q_a_norm = device.weight(some_vector(5));
    good.q_b = device.weight(some_matrix(kHeads * (kNope + kRope), 5));
    good.kv_a = device.weight(some_matrix(kLora + kRope, kHidden));
    good.kv_a_norm = device.weight(some_vector(kLora));
    good.q_a_bias = device.weight(some_vector(5));
    good.kv_a_bias = device.weight(some_vector(kLora + kRope));
    good.norm_epsilon = 1e-6f;
    good.q = some_rows(device, kHeads * (kNope + kRope));
    good.cache = pool(device, kLora + kRope);
    good.cache_dtype = ABY_DTYPE_F32;
    good.scratch = device.scratch(scratch_of(ABK_OP_MLA_PROJECT));
    Refusals<Args> refusals(device, "mla_project",
                            on_stream(device, ABK_OP_MLA_PROJECT, device.batch(two_sequences(kRope, 0))), good);
    expect_rows_checked(refusals, "x", [](auto &a) -> abk_rows & { return a.x; });
    expect_rows_checked(refusals, "q", [](auto &a) -> abk_rows & { return a.q; });
    expect_cols_checked(refusals, "q", [](auto &a) -> abk_rows & { return a.q; });
    expect_buffer(refusals, "q", [](auto &a) -> abk_span & { return a.q.span; });
    expect_weight_checked(refusals, wrong, "q_b", &Args::q_b);
    expect_weight_checked(refusals, wrong, "kv_a", &Args::kv_a);
    expect_weight_checked(refusals, wrong, "kv_a_norm", &Args::kv_a_norm, Kind::kVector);
    expect_weight_checked(refusals, wrong, "q_a_norm", &Args::q_a_norm, Kind::kVector);
    expect_weight_checked(refusals, wrong, "q_a_bias", &Args::q_a_bias, Kind::kOptionalVector);
    expect_weight_checked(refusals, wrong, "kv_a_bias", &Args::kv_a_bias, Kind::kOptionalVector);
    refusals.expect("q_a", [&](Args &a) { a.q_a = wrong.kv_b; });
    refusals.expect("q_a", [](Args &a) { a.q_a = nullptr; }); // its norm is still there
    refusals.expect("heads", [](Args &a) { a.heads = 0; });
    refusals.expect("qk_nope", [](Args &a) { a.qk_nope = 0; });
    refusals.expect("kv_lora", [](Args &a) { a.kv_lora = 0; });
    refusals.expect("rope_dim", [](Args &a) { a.rope_dim = 4; }); // the batch's is 2
    refusals.expect("rope_dim", [](Args &a) { a.rope_dim = -2; });
    expect_cache_checked(refusals, "cache", &Args::cache, kLora + kRope);
    expect_scratch_checked(device, refusals, scratch_of(ABK_OP_MLA_PROJECT));
    expect_blocks_checked(device, ABK_OP_MLA_PROJECT, good, kRope, "mla_project: cache: block");
  });
}

TEST_CASE("mla_attend refuses bad arguments") {
  using Args = abk_mla_attend_args;
  on_every_backend([](OpDevice &device) {
    const Wrong wrong(device);
    Args good{};
    good.heads = kHeads;
    good.qk_nope = kNope;
    good.rope_dim = kRope;
    good.kv_lora = kLora;
    good.v_dim = kV;
    good.q = some_rows(device, kHeads * (kNope + kRope));
    good.kv_b = device.weight(some_kv_b(kHeads, kNope, kV, kLora));
    good.cache = pool(device, kLora + kRope);
    good.cache_dtype = ABY_DTYPE_F32;
    good.scale = 1;
    good.absorb_below = 2;
    good.out = some_rows(device, kHeads * kV);
    good.scratch = device.scratch(scratch_of(ABK_OP_MLA_ATTEND));
    Refusals<Args> refusals(device, "mla_attend",
                            on_stream(device, ABK_OP_MLA_ATTEND, device.batch(two_sequences(kRope, 0))), good);
    expect_rows_checked(refusals, "q", [](auto &a) -> abk_rows & { return a.q; });
    expect_cols_checked(refusals, "q", [](auto &a) -> abk_rows & { return a.q; });
    expect_rows_checked(refusals, "out", [](auto &a) -> abk_rows & { return a.out; });
    expect_cols_checked(refusals, "out", [](auto &a) -> abk_rows & { return a.out; });
    expect_buffer(refusals, "out", [](auto &a) -> abk_span & { return a.out.span; });
    for (const abk_weight *weight : {static_cast<abk_weight *>(nullptr), wrong.matrix, wrong.vector, wrong.kv_b})
      refusals.expect("kv_b", [&](Args &a) { a.kv_b = weight; });
    for (std::int32_t Args::*at : {&Args::heads, &Args::qk_nope, &Args::kv_lora, &Args::v_dim}) {
      refusals.expect("", [&](Args &a) { a.*at = 0; });
      refusals.expect("", [&](Args &a) { a.*at = -1; });
      refusals.expect("kv_b", [&](Args &a) { ++(a.*at); });
    }
    refusals.expect("rope_dim", [](Args &a) { a.rope_dim = -1; });
    refusals.expect("q", [](Args &a) { a.rope_dim = 4; });
    expect_cache_checked(refusals, "cache", &Args::cache, kLora + kRope);
    expect_scratch_checked(device, refusals, scratch_of(ABK_OP_MLA_ATTEND));
    expect_blocks_checked(device, ABK_OP_MLA_ATTEND, good, kRope, "mla_attend: cache: block");
  });
}

TEST_CASE("gqa_attend refuses bad arguments") {
  using Args = abk_gqa_attend_args;
  on_every_backend([](OpDevice &device) {
    Args good{};
    good.heads = kHeads;
    good.kv_heads = 1;
    good.head_dim = 4;
    good.q = some_rows(device, kHeads * 4);
    good.k = some_rows(device, 4);
    good.v = some_rows(device, 4);
    good.k_cache = pool(device, 4);
    good.v_cache = pool(device, 4);
    good.cache_dtype = ABY_DTYPE_F32;
    good.scale = 1;
    good.out = some_rows(device, kHeads * 4);
    good.scratch = device.scratch(scratch_of(ABK_OP_GQA_ATTEND));
    Refusals<Args> refusals(device, "gqa_attend",
                            on_stream(device, ABK_OP_GQA_ATTEND, device.batch(two_sequences(4, 0))), good);
    const std::vector<std::pair<std::string, abk_rows Args::*>> all_rows = {
        {"q", &Args::q}, {"k", &Args::k}, {"v", &Args::v}, {"out", &Args::out}};
    for (const auto &[name, at] : all_rows) {
      const auto rows = [at = at](auto &a) -> abk_rows & { return a.*at; };
      expect_rows_checked(refusals, name, rows);
      expect_cols_checked(refusals, name, rows);
      expect_buffer(refusals, name, [at = at](auto &a) -> abk_span & { return (a.*at).span; });
    }
    refusals.expect("heads", [](Args &a) { a.heads = 0; });
    refusals.expect("kv_heads", [](Args &a) { a.kv_heads = 0; });
    refusals.expect("2 heads for 3", [](Args &a) { a.kv_heads = 3; });
    refusals.expect("head_dim", [](Args &a) { a.head_dim = 0; });
    refusals.expect("2 heads for 1 kv heads of size 3", [](Args &a) { a.head_dim = 3; });
    refusals.expect("rope_dim", [](Args &a) { a.head_dim = 2; }); // the batch's is 4
    expect_cache_checked(refusals, "k_cache", &Args::k_cache, 4);
    refusals.expect("v_cache", [](Args &a) { a.v_cache.offset += 4; });
    refusals.expect("v_cache", [](Args &a) { a.v_cache = {}; });
    expect_scratch_checked(device, refusals, scratch_of(ABK_OP_GQA_ATTEND));
    expect_blocks_checked(device, ABK_OP_GQA_ATTEND, good, 4, "gqa_attend: k_cache: block");
  });
}

namespace {

void expect_whole(OpDevice &device, abk_op op, const std::string &name, bool takes_batch) {
  alignas(8) const std::array<std::byte, 512> args{}; // as large as any
  abk_batch *batch = device.batch(two_sequences(0, 0));
  expect_refusal(device, device.api.run(nullptr, batch, op, args.data()), name + ": stream");
  expect_refusal(device, device.run(op, nullptr, batch), name + ": args");
  if (takes_batch)
    expect_refusal(device, device.run(op, args.data()), name + ": batch");
}

} // namespace

TEST_CASE("no op goes without a stream, arguments and, where it has one, a batch") {
  on_every_backend([](OpDevice &device) {
    expect_whole(device, ABK_OP_EMBED, "embed", true);
    expect_whole(device, ABK_OP_NORM_ADD, "norm_add", false);
    expect_whole(device, ABK_OP_LINEAR, "linear", false);
    expect_whole(device, ABK_OP_MLP, "mlp", false);
    expect_whole(device, ABK_OP_MLA_PROJECT, "mla_project", true);
    expect_whole(device, ABK_OP_MLA_ATTEND, "mla_attend", true);
    expect_whole(device, ABK_OP_GQA_ATTEND, "gqa_attend", true);
    expect_whole(device, ABK_OP_MOE_ROUTE, "moe_route", false);
    expect_whole(device, ABK_OP_MOE_EXPERTS, "moe_experts", false);
    expect_whole(device, ABK_OP_LOGITS, "logits", true);
    CHECK(device.api.stream_synchronize(device.stream) == ABY_OK);
  });
}
