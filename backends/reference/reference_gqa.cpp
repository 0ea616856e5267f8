// gqa_attend
#include "backends/host/attention_checks.h"
#include "backends/reference/reference_attention.h"
#include "backends/reference/reference_ops.h"

namespace abyssal::reference {

namespace {

// Turns the pairs (i, i + d / 2) of each head. rope: [d / 2, 2]
void rope_halves(double *values, const float *rope, std::int64_t d) {
  const std::int64_t half = d / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const double cosine = rope[2 * i];
    const double sine = rope[2 * i + 1];
    const double low = values[i];
    const double high = values[i + half];
    values[i] = low * cosine - high * sine;
    values[i + half] = low * sine + high * cosine;
  }
}

// Ropes the rows in place, in the buffer too, and gives what the buffer now holds.
Matrix rope_rows(const HostRows &rows, const HostBatch &batch, std::int64_t heads, std::int64_t d) {
  Matrix values = load_rows(rows);
  for (std::int64_t r = 0; r < values.rows; ++r) {
    for (std::int64_t h = 0; h < heads; ++h)
      rope_halves(values.row(r) + h * d, batch.rope_row(r), d);
  }
  store_rows(rows, values);
  return load_rows(rows);
}

void write_cache(const HostCache &cache, const HostBatch &batch, const Matrix &rows) {
  for (std::int32_t i = 0; i < batch.sequences; ++i) {
    const std::int64_t begin = batch.row_begin[static_cast<std::size_t>(i)];
    for (std::int64_t t = 0; t < batch.new_tokens(i); ++t) {
      const std::int64_t position = batch.context[static_cast<std::size_t>(i)] + t;
      store_cache(cache, batch, i, position, rows.row(begin + t));
    }
  }
}

void attend_sequence(const HostBatch &batch, std::int32_t sequence, const abk_gqa_attend_args &args,
                     const GqaAttendCall &call, const Matrix &q, Matrix &out) {
  const std::int64_t begin = batch.row_begin[static_cast<std::size_t>(sequence)];
  const std::int64_t d = args.head_dim;
  const Matrix keys = load_cache(call.k_cache, batch, sequence);
  const Matrix values = load_cache(call.v_cache, batch, sequence);
  for (std::int64_t t = 0; t < batch.new_tokens(sequence); ++t) {
    const std::int64_t visible = batch.context[static_cast<std::size_t>(sequence)] + t + 1;
    std::vector<double> scores(static_cast<std::size_t>(visible));
    for (std::int64_t h = 0; h < args.heads; ++h) {
      const std::int64_t kv_head = h / (args.heads / args.kv_heads);
      for (std::int64_t j = 0; j < visible; ++j)
        scores[static_cast<std::size_t>(j)] = dot(q.row(begin + t) + h * d, keys.row(j) + kv_head * d, d) * args.scale;
      softmax(scores);
      add_weighted(out.row(begin + t) + h * d, scores, values.row(0) + kv_head * d, values.cols, d);
    }
  }
}

} // namespace

void gqa_attend(const HostBatch &batch, const abk_gqa_attend_args &args) {
  const GqaAttendCall call = check_gqa_attend(batch, args);
  const Matrix q = rope_rows(call.q, batch, args.heads, args.head_dim);
  write_cache(call.k_cache, batch, rope_rows(call.k, batch, args.kv_heads, args.head_dim));
  write_cache(call.v_cache, batch, load_rows(call.v));
  Matrix out(call.out.rows, call.out.cols);
  for (std::int32_t i = 0; i < batch.sequences; ++i) {
    if (batch.new_tokens(i) > 0)
      attend_sequence(batch, i, args, call, q, out);
  }
  store_rows(call.out, out);
}

} // namespace abyssal::reference
