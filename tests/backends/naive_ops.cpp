#include "naive_ops.h"

#include <algorithm>
#include <cmath>

namespace abyssal::test {

Values naive_linear(const Values &x, std::int64_t rows, const WeightData &w, std::int64_t matrix,
                    const WeightData *bias) {
  const Values operand = w.compute == ABY_DTYPE_BF16 ? rounded(x, ABY_DTYPE_BF16) : x;
  Values out;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t j = 0; j < w.n; ++j) {
      double sum = 0;
      for (std::int64_t i = 0; i < w.k; ++i)
        sum += operand[static_cast<std::size_t>(r * w.k + i)] * w.at(matrix, j, i);
      out.push_back(sum + (bias != nullptr && bias->present() ? bias->values[static_cast<std::size_t>(j)] : 0));
    }
  }
  return out;
}

Values naive_norm(const Values &x, std::int64_t rows, const WeightData &weight, double epsilon) {
  const std::size_t cols = x.size() / static_cast<std::size_t>(std::max<std::int64_t>(rows, 1));
  Values out;
  for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
    double squares = 0;
    for (std::size_t i = 0; i < cols; ++i)
      squares += x[r * cols + i] * x[r * cols + i];
    const double rms = std::sqrt(squares / static_cast<double>(cols) + epsilon);
    for (std::size_t i = 0; i < cols; ++i)
      out.push_back(x[r * cols + i] / rms * (weight.present() ? weight.values[i] : 1));
  }
  return out;
}

Values naive_swiglu(const Values &x, std::int64_t rows, const WeightData &gate, const WeightData &up,
                    const WeightData &down, std::int64_t matrix) {
  Values hidden = naive_linear(x, rows, gate, matrix);
  const Values factor = naive_linear(x, rows, up, matrix);
  for (std::size_t i = 0; i < hidden.size(); ++i)
    hidden[i] = hidden[i] / (1 + std::exp(-hidden[i])) * factor[i];
  return naive_linear(hidden, rows, down, matrix);
}

Values naive_attention(const Values &q, const Values &keys, const Values &values, std::int64_t count, double scale) {
  const std::size_t d_k = q.size();
  const std::size_t rows = static_cast<std::size_t>(count);
  const std::size_t d_v = values.size() / (keys.size() / d_k);
  Values scores(rows);
  for (std::size_t j = 0; j < rows; ++j) {
    for (std::size_t i = 0; i < d_k; ++i)
      scores[j] += q[i] * keys[j * d_k + i];
    scores[j] *= scale;
  }
  const double most = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double &score : scores)
    sum += score = std::exp(score - most);
  Values out(d_v);
  for (std::size_t j = 0; j < rows; ++j) {
    for (std::size_t i = 0; i < d_v; ++i)
      out[i] += scores[j] / sum * values[j * d_v + i];
  }
  return out;
}

namespace {

void turn(double &a, double &b, const float *cos_sin) {
  const double x = a;
  const double y = b;
  a = x * cos_sin[0] - y * cos_sin[1];
  b = y * cos_sin[0] + x * cos_sin[1];
}

} // namespace

void naive_rope_interleaved(Values &values, std::size_t first, const float *rope, std::size_t d) {
  for (std::size_t i = 0; i < d / 2; ++i)
    turn(values[first + 2 * i], values[first + 2 * i + 1], rope + 2 * i);
}

void naive_rope_halves(Values &values, std::size_t first, const float *rope, std::size_t d) {
  for (std::size_t i = 0; i < d / 2; ++i)
    turn(values[first + i], values[first + i + d / 2], rope + 2 * i);
}

} // namespace abyssal::test
