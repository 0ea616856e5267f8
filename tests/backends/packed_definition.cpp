#include "packed_definition.h"

#include "base/block_format.h"
#include "base/dtype.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace abyssal::test {

namespace {

// One row of activations, quantised as documented: x = scale * quant, of which `steps` are on either side of zero.
struct QuantRow {
  std::vector<int> quants;
  std::vector<float> scale; // per block
};

QuantRow quantised(const Values &x, std::size_t first, std::int64_t k, float steps = 127.0f) {
  QuantRow row;
  for (std::int64_t i = 0; i < k; i += kActivationBlock) {
    float most = 0;
    for (std::int64_t j = i; j < std::min(k, i + kActivationBlock); ++j)
      most = std::max(most, std::fabs(static_cast<float>(x[first + static_cast<std::size_t>(j)])));
    row.scale.push_back(most / steps);
    const float inverse = most > 0 ? steps / most : 0.0f;
    for (std::int64_t j = i; j < std::min(k, i + kActivationBlock); ++j) {
      const float scaled = static_cast<float>(x[first + static_cast<std::size_t>(j)]) * inverse;
      row.quants.push_back(static_cast<int>(std::nearbyint(scaled)));
    }
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
  for (std::int64_t first = 0; first < k; first += kActivationBlock) {
    float block = 0;
    for (std::int64_t g = first; g < std::min(k, first + kActivationBlock); g += groups.size) {
      int sum = 0, plain = 0;
      for (std::int64_t i = g; i < g + groups.size; ++i) {
        sum += x.quants[static_cast<std::size_t>(i)] * w.quants[static_cast<std::size_t>(i)];
        plain += x.quants[static_cast<std::size_t>(i)];
      }
      const auto group = static_cast<std::size_t>(g / groups.size);
      block = std::fma(static_cast<float>(sum), w.scale[group], block);
      if (groups.bias)
        block = std::fma(w.bias[group], static_cast<float>(plain), block);
    }
    out = std::fma(block, x.scale[static_cast<std::size_t>(first / kActivationBlock)], out);
  }
  return out;
}

// A row of 16 bits as two of 8: 254 high + low.
std::array<QuantRow, 2> split(const QuantRow &row) {
  QuantRow high, low;
  for (const int q : row.quants) {
    high.quants.push_back(static_cast<int>(std::nearbyint(static_cast<float>(q) * (1.0f / 254.0f))));
    low.quants.push_back(q - 254 * high.quants.back());
    CHECK(std::max(std::abs(high.quants.back()), std::abs(low.quants.back())) <= 127);
  }
  for (const float scale : row.scale) {
    high.scale.push_back(scale * 254.0f);
    low.scale.push_back(scale);
  }
  return {high, low};
}

} // namespace

Values packed_linear(const Values &x, std::int64_t rows, const WeightData &w) {
  Values out;
  const bool wide = w.compute == ABY_DTYPE_I16;
  for (std::int64_t r = 0; r < rows; ++r) {
    const QuantRow row = quantised(x, static_cast<std::size_t>(r * w.k), w.k, wide ? 254.0f * 127.0f + 126.0f : 127.0f);
    const std::array<QuantRow, 2> parts = split(row);
    for (std::int64_t n = 0; n < w.n; ++n) {
      const WeightRow weights = weight_row(w, 0, n);
      const auto dot = [&](const QuantRow &part) { return packed_dot(part, weights, w.k, block_groups(w.dtype)); };
      out.push_back(wide ? dot(parts[0]) + dot(parts[1]) : dot(row));
    }
  }
  return out;
}

} // namespace abyssal::test
