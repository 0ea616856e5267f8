// What the reference ops compute with: matrices of doubles on the host's heap, and the product with a stored weight.
// Activations are rounded only where they are stored into a buffer, and where the compute type asks for it.
#pragma once

#include "backends/host/host_buffer.h"
#include "backends/reference/reference_weight.h"

#include <span>
#include <vector>

namespace abyssal {

struct Matrix {
  Matrix() = default;
  Matrix(std::int64_t row_count, std::int64_t col_count)
      : rows(row_count), cols(col_count), values(static_cast<std::size_t>(row_count * col_count)) {}
  double *row(std::int64_t r) { return values.data() + r * cols; }
  const double *row(std::int64_t r) const { return values.data() + r * cols; }

  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<double> values; // [rows, cols]
};

// `count` elements of an F32 or BF16 array.
void load(const void *from, aby_dtype dtype, std::int64_t count, double *to);
void store(void *to, aby_dtype dtype, std::int64_t count, const double *from);

Matrix load_rows(const HostRows &rows);
void store_rows(const HostRows &rows, const Matrix &from);

double dot(const double *a, const double *b, std::int64_t count);

// Each value rounded to bfloat16.
void round_to_bf16(std::span<double> values);

// x W^T + bias, [x.rows, w.n]. With compute BF16 the elements of x are rounded first. Weights are taken as they are
// stored; fp8 ones times their block's scale, which doubles hold exactly: a bfloat16 would hold the fp8 value but not
// the product, so a fast backend has to apply the scale to its float32 sums.
Matrix product(Matrix x, const HostWeight &w, std::int64_t matrix = 0, const HostWeight *bias = nullptr);

double silu(double x);

// (silu(x gate^T) * (x up^T)) down^T with matrix number `matrix` of each weight.
Matrix swiglu(const Matrix &x, const HostWeight &gate, const HostWeight &up, const HostWeight &down,
              std::int64_t matrix = 0);

// values / rms(values) * weight, in place; weight empty: one.
void rms_norm(std::span<double> values, std::span<const double> weight, double epsilon);

// Values of an optional vector, empty for nullptr.
std::vector<double> optional_vector(const HostWeight *weight);

// exp(score - max) / sum, in place. Nothing for an empty span.
void softmax(std::span<double> scores);

} // namespace abyssal
