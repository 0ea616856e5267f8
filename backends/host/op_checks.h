// Checks of the dense ops' arguments for host backends. Each returns the arguments as host addresses, or throws
// INVALID_ARGUMENT naming op and argument. With no rows an op does nothing, and buffers are not looked at.
#pragma once

#include "backends/host/host_batch.h"
#include "backends/host/host_buffer.h"
#include "backends/host/host_weight.h"

#include <string>

namespace abyssal {

struct EmbedCall {
  const HostWeight &table;
  const std::int32_t *ids; // [rows], each inside the table
  HostRows out;
};

inline EmbedCall check_embed(const HostBatch &batch, const abk_embed_args &args) {
  const HostWeight &table = check_matrix(args.table, -1, -1, 1, "embed: table");
  if (table.use != ABK_USE_EMBEDDING) // a matrix may be packed so that its rows cannot be gathered
    fail(ABY_ERROR_INVALID_ARGUMENT, "embed: table: weight was prepared as ", weight_use_name(table.use));
  const std::int32_t *ids = args.ids != nullptr ? args.ids : batch.token_ids.data();
  for (std::int32_t i = 0; i < batch.tokens; ++i) {
    if (ids[i] < 0 || ids[i] >= table.n)
      fail(ABY_ERROR_INVALID_ARGUMENT, "embed: token id ", ids[i], " of row ", i, " is outside the table of ", table.n);
  }
  return {table, ids, check_rows(args.out, batch.tokens, table.k, "embed: out")};
}

struct NormAddCall {
  HostRows residual;
  HostRows delta;           // data nullptr: none
  const HostWeight *weight; // nullptr: one
  HostRows out;             // data nullptr: none
};

inline NormAddCall check_norm_add(const abk_norm_add_args &args) {
  check_row_count(args.rows, "norm_add");
  const std::int64_t hidden = check_size(args.residual.cols, 1, "norm_add: hidden");
  NormAddCall call{};
  call.residual = check_rows_f32(args.residual, args.rows, hidden, "norm_add: residual");
  if (args.delta.span.buffer != nullptr)
    call.delta = check_rows(args.delta, args.rows, hidden, "norm_add: delta");
  call.weight = check_vector(args.weight, hidden, true, "norm_add: weight");
  if (args.out.span.buffer != nullptr)
    call.out = check_rows(args.out, args.rows, hidden, "norm_add: out");
  return call;
}

struct LinearCall {
  HostRows x;
  const HostWeight &w;
  const HostWeight *bias; // or nullptr
  HostRows out;
};

inline LinearCall check_linear(const abk_linear_args &args) {
  check_row_count(args.rows, "linear");
  const HostWeight &w = check_matrix(args.w, -1, args.x.cols, 1, "linear: w");
  return {check_rows(args.x, args.rows, w.k, "linear: x"), w, check_vector(args.bias, w.n, true, "linear: bias"),
          check_rows(args.out, args.rows, w.n, "linear: out")};
}

// The three matrices of a SwiGLU, `count` of each.
struct SwigluWeights {
  const HostWeight *gate = nullptr;
  const HostWeight *up = nullptr;
  const HostWeight *down = nullptr;
};

inline SwigluWeights check_swiglu(const abk_weight *gate, const abk_weight *up, const abk_weight *down,
                                  std::int64_t hidden, std::int64_t count, const std::string &what) {
  SwigluWeights w;
  w.gate = &check_matrix(gate, -1, hidden, count, (what + "gate").c_str());
  w.up = &check_matrix(up, w.gate->n, hidden, count, (what + "up").c_str());
  w.down = &check_matrix(down, hidden, w.gate->n, count, (what + "down").c_str());
  return w;
}

struct MlpCall {
  HostRows x;
  SwigluWeights w;
  HostRows out;
};

inline MlpCall check_mlp(const abk_mlp_args &args) {
  check_row_count(args.rows, "mlp");
  const std::int64_t hidden = check_size(args.x.cols, 1, "mlp: hidden");
  return {check_rows(args.x, args.rows, hidden, "mlp: x"),
          check_swiglu(args.gate, args.up, args.down, hidden, 1, "mlp: "),
          check_rows(args.out, args.rows, hidden, "mlp: out")};
}

struct LogitsCall {
  HostRows x;
  const HostWeight *norm; // nullptr: x is normed
  const HostWeight &head;
  HostRows out;
};

inline LogitsCall check_logits(const HostBatch &batch, const abk_logits_args &args) {
  check_row_count(args.rows, "logits");
  if (args.rows > 0 && args.row_ids == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, "logits: row_ids is NULL");
  for (std::int32_t i = 0; i < args.rows; ++i) {
    if (args.row_ids[i] < 0 || args.row_ids[i] >= batch.tokens)
      fail(ABY_ERROR_INVALID_ARGUMENT, "logits: row id ", args.row_ids[i], " at ", i, ", the batch has ", batch.tokens,
           " rows");
  }
  const std::int64_t hidden = check_size(args.x.cols, 1, "logits: hidden");
  const HostWeight &head = check_matrix(args.head, -1, hidden, 1, "logits: head");
  return {check_rows(args.x, args.rows > 0 ? batch.tokens : 0, hidden, "logits: x"),
          check_vector(args.norm, hidden, true, "logits: norm"), head,
          check_rows_f32(args.out, args.rows, head.n, "logits: out")};
}

} // namespace abyssal
