#include "backends/reference/reference_math.h"

#include <algorithm>
#include <cmath>

namespace abyssal {

void load(const void *from, aby_dtype dtype, std::int64_t count, double *to) {
  for (std::int64_t i = 0; i < count; ++i)
    to[i] = load_as_float(from, dtype, static_cast<std::size_t>(i));
}

void store(void *to, aby_dtype dtype, std::int64_t count, const double *from) {
  for (std::int64_t i = 0; i < count; ++i)
    store_float(to, dtype, static_cast<std::size_t>(i), static_cast<float>(from[i]));
}

Matrix load_rows(const HostRows &rows) {
  Matrix result(rows.rows, rows.cols);
  for (std::int64_t r = 0; r < rows.rows; ++r)
    load(rows.row(r), rows.dtype, rows.cols, result.row(r));
  return result;
}

void store_rows(const HostRows &rows, const Matrix &from) {
  for (std::int64_t r = 0; r < rows.rows; ++r)
    store(rows.row(r), rows.dtype, rows.cols, from.row(r));
}

double dot(const double *a, const double *b, std::int64_t count) {
  // Independent sums let the compiler use vector registers; their order does not depend on anything but count.
  constexpr std::int64_t kLanes = 8;
  double sums[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane)
      sums[lane] += a[i + lane] * b[i + lane];
  }
  double sum = 0;
  for (; i < count; ++i)
    sum += a[i] * b[i];
  for (const double lane : sums)
    sum += lane;
  return sum;
}

void round_to_bf16(std::span<double> values) {
  for (double &value : values)
    value = bf16_to_float(float_to_bf16(static_cast<float>(value)));
}

Matrix product(Matrix x, const HostWeight &w, std::int64_t matrix, const HostWeight *bias) {
  if (w.compute == ABY_DTYPE_BF16)
    round_to_bf16(x.values);
  const ReferenceWeight &weight = ReferenceWeight::of(w);
  const std::vector<double> added = optional_vector(bias);
  Matrix out(x.rows, w.n);
  std::vector<double> row(static_cast<std::size_t>(w.k));
  for (std::int64_t j = 0; x.rows > 0 && j < w.n; ++j) {
    weight.widen_row(matrix, j, row.data()); // once for all rows of x
    const double start = added.empty() ? 0.0 : added[static_cast<std::size_t>(j)];
    for (std::int64_t r = 0; r < x.rows; ++r)
      out.row(r)[j] = start + dot(x.row(r), row.data(), w.k);
  }
  return out;
}

double silu(double x) { return x / (1.0 + std::exp(-x)); }

Matrix swiglu(const Matrix &x, const HostWeight &gate, const HostWeight &up, const HostWeight &down,
              std::int64_t matrix) {
  Matrix hidden = product(x, gate, matrix);
  const Matrix factor = product(x, up, matrix);
  for (std::size_t i = 0; i < hidden.values.size(); ++i)
    hidden.values[i] = silu(hidden.values[i]) * factor.values[i];
  return product(std::move(hidden), down, matrix);
}

void rms_norm(std::span<double> values, std::span<const double> weight, double epsilon) {
  const auto count = static_cast<std::int64_t>(values.size());
  const double mean = dot(values.data(), values.data(), count) / static_cast<double>(count);
  const double scale = 1.0 / std::sqrt(mean + epsilon);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] *= weight.empty() ? scale : scale * weight[i];
}

std::vector<double> optional_vector(const HostWeight *weight) {
  return weight == nullptr ? std::vector<double>() : ReferenceWeight::of(*weight).vector();
}

void softmax(std::span<double> scores) {
  if (scores.empty())
    return;
  const double most = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double &score : scores) {
    score = std::exp(score - most);
    sum += score;
  }
  for (double &score : scores)
    score /= sum;
}

} // namespace abyssal
