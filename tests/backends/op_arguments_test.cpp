// Bad arguments of the dense and the expert ops on every backend: refused by a status and a text that names op and
// argument, when the op is called or when it runs; the stream can then still be used.
#include "refusals.h"

#include <cmath>

using namespace abyssal;
using namespace abyssal::test;

namespace {

constexpr std::int32_t kRows = 3, kHidden = 8;

}

TEST_CASE("embed refuses bad arguments") {
  on_every_backend([](OpDevice &device) {
    const Wrong wrong(device);
    WeightData table = some_matrix(10, kHidden);
    table.use = ABK_USE_EMBEDDING;
    abk_embed_args good{device.weight(table), nullptr, some_rows(device, kHidden)};
    Refusals<abk_embed_args> refusals(device, "embed", on_stream(device, ABK_OP_EMBED, some_batch(device, 0)), good);
    expect_rows_checked(refusals, "out", [](auto &a) -> abk_rows & { return a.out; });
    expect_cols_checked(refusals, "out", [](auto &a) -> abk_rows & { return a.out; });
    expect_buffer(refusals, "out", [](auto &a) -> abk_span & { return a.out.span; });
    expect_weight_checked(refusals, wrong, "table", &abk_embed_args::table);
    for (const std::vector<std::int32_t> &ids : {std::vector<std::int32_t>{0, 10, 0}, {0, 0, -1}, {1 << 30, 0, 0}})
      refusals.expect("token id", [&](abk_embed_args &a) { a.ids = ids.data(); });
  });
}

TEST_CASE("norm_add refuses bad arguments") {
  on_every_backend([](OpDevice &device) {
    const Wrong wrong(device);
    abk_norm_add_args good{
        kRows, some_rows(device, kHidden), some_rows(device, kHidden), device.weight(some_vector(kHidden)),
        1e-6f, some_rows(device, kHidden)};
    Refusals<abk_norm_add_args> refusals(device, "norm_add", on_stream(device, ABK_OP_NORM_ADD), good);
    expect_rows_checked(refusals, "residual", [](auto &a) -> abk_rows & { return a.residual; }, true);
    expect_rows_checked(refusals, "delta", [](auto &a) -> abk_rows & { return a.delta; });
    expect_rows_checked(refusals, "out", [](auto &a) -> abk_rows & { return a.out; });
    expect_cols_checked(refusals, "delta", [](auto &a) -> abk_rows & { return a.delta; });
    expect_cols_checked(refusals, "out", [](auto &a) -> abk_rows & { return a.out; });
    expect_buffer(refusals, "residual", [](auto &a) -> abk_span & { return a.residual.span; });
    expect_weight_checked(refusals, wrong, "weight", &abk_norm_add_args::weight, Kind::kOptionalVector);
    refusals.expect("-1 rows", [](auto &a) { a.rows = -1; });
    refusals.expect("residual", [](auto &a) { a.rows = 1 << 30; });
    refusals.expect("hidden", [](auto &a) { a.residual.cols = 0; });
  });
}

TEST_CASE("linear refuses bad arguments") {
  on_every_backend([](OpDevice &device) {
    const Wrong wrong(device);
    abk_linear_args good{kRows, some_rows(device, kHidden), device.weight(some_matrix(4, kHidden)),
                         device.weight(some_vector(4)), some_rows(device, 4)};
    Refusals<abk_linear_args> refusals(device, "linear", on_stream(device, ABK_OP_LINEAR), good);
    expect_rows_checked(refusals, "x", [](auto &a) -> abk_rows & { return a.x; });
    expect_rows_checked(refusals, "out", [](auto &a) -> abk_rows & { return a.out; });
    refusals.expect("w", [](auto &a) { a.x.cols = kHidden - 1; });
    refusals.expect("x", [](auto &a) { a.x.cols = -1; });
    expect_cols_checked(refusals, "out", [](auto &a) -> abk_rows & { return a.out; });
    expect_buffer(refusals, "x", [](auto &a) -> abk_span & { return a.x.span; });
    expect_buffer(refusals, "out", [](auto &a) -> abk_span & { return a.out.span; });
    expect_weight_checked(refusals, wrong, "w", &abk_linear_args::w);
    expect_weight_checked(refusals, wrong, "bias", &abk_linear_args::bias, Kind::kOptionalVector);
    refusals.expect("-1 rows", [](auto &a) { a.rows = -1; });
    refusals.expect("x", [](auto &a) { a.rows = kRows + 1; });
  });
}

TEST_CASE("mlp refuses bad arguments") {
  on_every_backend([](OpDevice &device) {
    const Wrong wrong(device);
    abk_op_desc scratch{};
    scratch.op = ABK_OP_MLP;
    scratch.rows = kRows;
    scratch.hidden = kHidden;
    scratch.inter = 6;
    abk_mlp_args good{kRows,
                      some_rows(device, kHidden),
                      device.weight(some_matrix(6, kHidden)),
                      device.weight(some_matrix(6, kHidden)),
                      device.weight(some_matrix(kHidden, 6)),
                      some_rows(device, kHidden),
                      device.scratch(scratch)};
    Refusals<abk_mlp_args> refusals(device, "mlp", on_stream(device, ABK_OP_MLP), good);
    expect_rows_checked(refusals, "x", [](auto &a) -> abk_rows & { return a.x; });
    expect_rows_checked(refusals, "out", [](auto &a) -> abk_rows & { return a.out; });
    expect_cols_checked(refusals, "out", [](auto &a) -> abk_rows & { return a.out; });
    expect_buffer(refusals, "x", [](auto &a) -> abk_span & { return a.x.span; });
    expect_weight_checked(refusals, wrong, "gate", &abk_mlp_args::gate);
    expect_weight_checked(refusals, wrong, "up", &abk_mlp_args::up);
    expect_weight_checked(refusals, wrong, "down", &abk_mlp_args::down);
    expect_scratch_checked(device, refusals, scratch);
    refusals.expect("-1 rows", [](auto &a) { a.rows = -1; });
  });
}

TEST_CASE("logits refuses bad arguments") {
  on_every_backend([](OpDevice &device) {
    const Wrong wrong(device);
    abk_op_desc scratch{};
    scratch.op = ABK_OP_LOGITS;
    scratch.rows = 2;
    scratch.hidden = kHidden;
    scratch.vocab = 10;
    const std::vector<std::int32_t> ids = {2, 0}, beyond = {0, 3}, negative = {-1, 0};
    abk_logits_args good{2,
                         ids.data(),
                         some_rows(device, kHidden),
                         device.weight(some_vector(kHidden)),
                         1e-6f,
                         device.weight(some_matrix(10, kHidden)),
                         some_rows(device, 10, 2),
                         device.scratch(scratch)};
    Refusals<abk_logits_args> refusals(device, "logits", on_stream(device, ABK_OP_LOGITS, some_batch(device, 0)), good);
    expect_rows_checked(refusals, "x", [](auto &a) -> abk_rows & { return a.x; });
    expect_rows_checked(refusals, "out", [](auto &a) -> abk_rows & { return a.out; }, true);
    expect_cols_checked(refusals, "out", [](auto &a) -> abk_rows & { return a.out; });
    expect_buffer(refusals, "out", [](auto &a) -> abk_span & { return a.out.span; });
    expect_weight_checked(refusals, wrong, "norm", &abk_logits_args::norm, Kind::kOptionalVector);
    expect_weight_checked(refusals, wrong, "head", &abk_logits_args::head);
    expect_scratch_checked(device, refusals, scratch);
    refusals.expect("row_ids", [](auto &a) { a.row_ids = nullptr; });
    refusals.expect("row id", [&](auto &a) { a.row_ids = beyond.data(); });
    refusals.expect("row id", [&](auto &a) { a.row_ids = negative.data(); });
    refusals.expect("-1 rows", [](auto &a) { a.rows = -1; });
  });
}

TEST_CASE("moe_route refuses bad arguments") {
  on_every_backend([](OpDevice &device) {
    const Wrong wrong(device);
    abk_moe_route_args good{kRows,
                            12,
                            4,
                            4,
                            2,
                            ABK_SCORING_SIGMOID,
                            ABK_TOPK_NOAUX_TC,
                            1,
                            2.5f,
                            some_rows(device, 12),
                            device.weight(some_vector(12)),
                            device.ints(std::vector<std::int32_t>(kRows * 4)),
                            device.floats(Values(kRows * 4))};
    Refusals<abk_moe_route_args> refusals(device, "moe_route", on_stream(device, ABK_OP_MOE_ROUTE), good);
    expect_rows_checked(refusals, "logits", [](auto &a) -> abk_rows & { return a.logits; }, true);
    expect_cols_checked(refusals, "logits", [](auto &a) -> abk_rows & { return a.logits; });
    for (abk_span abk_moe_route_args::*at : {&abk_moe_route_args::index, &abk_moe_route_args::weight}) {
      const std::string name = at == &abk_moe_route_args::index ? "index" : "weight";
      expect_buffer(refusals, name, [&](auto &a) -> abk_span & { return a.*at; });
      refusals.expect(name, [&](auto &a) { (a.*at).offset += 4; });
      refusals.expect(name, [&](auto &a) { (a.*at).offset = 1; });
    }
    expect_weight_checked(refusals, wrong, "bias", &abk_moe_route_args::bias, Kind::kOptionalVector);
    refusals.expect("-1 rows", [](auto &a) { a.rows = -1; });
    refusals.expect("experts", [](auto &a) { a.experts = 0; });
    refusals.expect("top_k", [](auto &a) { a.top_k = 0; });
    refusals.expect("top_k", [](auto &a) { a.top_k = 13; });
    refusals.expect("top_k", [](auto &a) { a.top_k = 7; }); // the groups kept have 6
    refusals.expect("5 groups", [](auto &a) { a.n_group = 5; });
    refusals.expect("0 groups", [](auto &a) { a.n_group = 0; });
    refusals.expect("topk_group", [](auto &a) { a.topk_group = 0; });
    refusals.expect("topk_group", [](auto &a) { a.topk_group = 5; });
    refusals.expect("scoring", [](auto &a) { a.scoring = 2; });
    refusals.expect("method", [](auto &a) { a.method = 3; });
    refusals.expect("a bias is only", [](auto &a) { a.method = ABK_TOPK_GREEDY; });
    refusals.expect("routed_scaling_factor", [](auto &a) { a.routed_scaling_factor = INFINITY; });
  });
}

TEST_CASE("moe_experts refuses bad arguments") {
  on_every_backend([](OpDevice &device) {
    const Wrong wrong(device);
    abk_op_desc scratch{};
    scratch.op = ABK_OP_MOE_EXPERTS;
    scratch.rows = kRows;
    scratch.hidden = kHidden;
    scratch.inter = 6;
    scratch.shared_inter = 4;
    scratch.experts = 5;
    scratch.top_k = 2;
    abk_moe_experts_args good{};
    good.rows = kRows;
    good.top_k = 2;
    good.x = some_rows(device, kHidden);
    good.index = device.ints({0, 4, 1, 2, 3, 4});
    good.weight = device.floats({1, 1, 1, 1, 1, 1});
    good.gate = device.weight(some_matrix(6, kHidden, 5));
    good.up = device.weight(some_matrix(6, kHidden, 5));
    good.down = device.weight(some_matrix(kHidden, 6, 5));
    good.shared_gate = device.weight(some_matrix(4, kHidden));
    good.shared_up = device.weight(some_matrix(4, kHidden));
    good.shared_down = device.weight(some_matrix(kHidden, 4));
    good.out = some_rows(device, kHidden);
    good.scratch = device.scratch(scratch);
    Refusals<abk_moe_experts_args> refusals(device, "moe_experts", on_stream(device, ABK_OP_MOE_EXPERTS), good);
    expect_rows_checked(refusals, "x", [](auto &a) -> abk_rows & { return a.x; });
    expect_rows_checked(refusals, "out", [](auto &a) -> abk_rows & { return a.out; });
    expect_cols_checked(refusals, "out", [](auto &a) -> abk_rows & { return a.out; });
    expect_buffer(refusals, "index", [](auto &a) -> abk_span & { return a.index; });
    expect_buffer(refusals, "weight", [](auto &a) -> abk_span & { return a.weight; });
    refusals.expect("gate", [](auto &a) { a.gate = nullptr; });
    refusals.expect("gate", [&](auto &a) { a.gate = wrong.kv_b; });
    refusals.expect("gate", [&](auto &a) { a.gate = wrong.vector; });
    refusals.expect("up", [&](auto &a) { a.gate = wrong.stack; }); // by which the others are measured
    expect_weight_checked(refusals, wrong, "up", &abk_moe_experts_args::up);
    expect_weight_checked(refusals, wrong, "down", &abk_moe_experts_args::down);
    expect_weight_checked(refusals, wrong, "shared_gate", &abk_moe_experts_args::shared_gate);
    expect_weight_checked(refusals, wrong, "shared_up", &abk_moe_experts_args::shared_up);
    expect_weight_checked(refusals, wrong, "shared_down", &abk_moe_experts_args::shared_down);
    expect_scratch_checked(device, refusals, scratch);
    for (const std::vector<std::int32_t> &index :
         {std::vector<std::int32_t>{0, 4, 1, 2, 3, 5}, {0, -1, 1, 2, 3, 4}, {1 << 30, 0, 0, 0, 0, 0}}) {
      const abk_span span = device.ints(index);
      refusals.expect("expert", [&](auto &a) { a.index = span; });
    }
    refusals.expect("top_k", [](auto &a) { a.top_k = 0; });
    refusals.expect("index", [](auto &a) { a.top_k = 3; });
    refusals.expect("-1 rows", [](auto &a) { a.rows = -1; });
  });
}
