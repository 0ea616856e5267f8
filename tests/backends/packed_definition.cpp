#include "packed_definition.h"

#include "base/block_format.h"
#include "base/dtype.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace abyssal::test {

namespace {

// One row of activations, quantised as documented: x = scale * quant.
struct QuantRow {
  std::vector<int> quants;
  std::vector<float> scale; // per group
};

// From which scale on a group keeps 16 bits: twice the geometric mean, whose logarithms are a float's bits.
std::int64_t least_wide_bits(const std::vector<float> &scale) {
  std::int64_t sum = 0, count = 0;
  for (const float value : scale) {
    if (value > 0) {
      sum += std::bit_cast<std::int32_t>(value);
      ++count;
    }
  }
  return count > 0 ? sum / count + (1 << 23) : 0;
}

QuantRow quantised(const Values &x, std::size_t first, std::int64_t k, bool all_wide) {
  QuantRow row;
  for (std::int64_t i = 0; i < k; i += kActivationGroup) {
    float most = 0;
    for (std::int64_t j = i; j < std::min(k, i + kActivationGroup); ++j)
      most = std::max(most, std::fabs(static_cast<float>(x[first + static_cast<std::size_t>(j)])));
    row.scale.push_back(most / 32512.0f);
    const float inverse = most > 0 ? 32512.0f / most : 0.0f;
    for (std::int64_t j = i; j < std::min(k, i + kActivationGroup); ++j) {
      const float scaled = static_cast<float>(x[first + static_cast<std::size_t>(j)]) * inverse;
      row.quants.push_back(std::isfinite(inverse) ? static_cast<int>(std::nearbyint(scaled)) : 0);
    }
  }
  const std::int64_t least = least_wide_bits(row.scale);
  for (std::size_t i = 0; i < row.quants.size(); ++i) {
    const float scale = row.scale[i / static_cast<std::size_t>(kActivationGroup)];
    if (!all_wide && std::bit_cast<std::int32_t>(scale) <= least)
      row.quants[i] = ((row.quants[i] + 128) >> 8) * 256;
  }
  return row;
}

// A row of weights taken apart: quants, and scale and bias of each group.
struct WeightRow {
  std::vector<int> quants;
  std::vector<float> scale, bias;
};

WeightRow weight_row(const WeightData &w, std::int64_t matrix, std::int64_t row) {
  const DtypeBlock block = dtype_block(w.dtype);
  const std::int64_t groups = block.elements / block_groups(w.dtype).size;
  const unsigned char *at =
      w.data[static_cast<std::size_t>(matrix)].data() + w.misalign + row * row_bytes(w.dtype, w.k);
  WeightRow result;
  BlockQuants quants{};
  for (std::int64_t k = 0; k < w.k; k += block.elements, at += block.bytes) {
    read_block(w.dtype, at, quants);
    result.quants.insert(result.quants.end(), quants.quants, quants.quants + block.elements);
    result.scale.insert(result.scale.end(), quants.scale, quants.scale + groups);
    result.bias.insert(result.bias.end(), quants.bias, quants.bias + groups);
  }
  return result;
}

float packed_dot(const QuantRow &x, const WeightRow &w, std::int64_t k, BlockGroups groups) {
  float out = 0;
  for (std::int64_t g = 0; g < k; g += groups.size) {
    int sum = 0, plain = 0;
    for (std::int64_t i = g; i < g + groups.size; ++i) {
      sum += x.quants[static_cast<std::size_t>(i)] * w.quants[static_cast<std::size_t>(i)];
      plain += x.quants[static_cast<std::size_t>(i)];
    }
    const auto group = static_cast<std::size_t>(g / groups.size);
    const float scale = x.scale[static_cast<std::size_t>(g / kActivationGroup)];
    out = std::fma(static_cast<float>(sum) * scale, w.scale[group], out);
    if (groups.bias)
      out = std::fma(w.bias[group], static_cast<float>(plain) * scale, out);
  }
  return out;
}

} // namespace

Values packed_linear(const Values &x, std::int64_t rows, const WeightData &w) {
  Values out;
  for (std::int64_t r = 0; r < rows; ++r) {
    const QuantRow row = quantised(x, static_cast<std::size_t>(r * w.k), w.k, w.compute == ABY_DTYPE_I16);
    for (std::int64_t n = 0; n < w.n; ++n)
      out.push_back(packed_dot(row, weight_row(w, 0, n), w.k, block_groups(w.dtype)));
  }
  return out;
}

} // namespace abyssal::test
