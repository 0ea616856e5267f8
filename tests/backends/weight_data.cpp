// Random weights in every storage format, decoded here by the formats' definitions, apart from the library's code; the
// block formats by its dequantise, which has its own test.
#include "op_fixture.h"

#include "base/block_format.h"
#include "base/dtype.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace abyssal::test {

namespace {

// sign, exponent, mantissa by definition. Infinities and NaNs are not made here.
double minifloat(std::uint32_t bits, int exponent_bits, int mantissa_bits, int bias) {
  const std::uint32_t mantissa = bits & ((1u << mantissa_bits) - 1);
  const int exponent = static_cast<int>((bits >> mantissa_bits) & ((1u << exponent_bits) - 1));
  const bool negative = ((bits >> (exponent_bits + mantissa_bits)) & 1u) != 0;
  const double fraction = static_cast<double>(mantissa) / static_cast<double>(1u << mantissa_bits);
  const double value = exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  return negative ? -value : value;
}

template <typename Bits> void append(std::vector<unsigned char> &bytes, Bits bits) {
  const std::size_t at = bytes.size();
  bytes.resize(at + sizeof bits);
  std::memcpy(&bytes[at], &bits, sizeof bits);
}

// A random element between -1 and 1 or so (fp8: all values), appended; its value.
double random_element(Random &random, std::vector<unsigned char> &bytes, aby_dtype dtype) {
  switch (dtype) {
  case ABY_DTYPE_F16: {
    const auto bits = static_cast<std::uint16_t>((random() & 0x83ffu) | (random() % 15) << 10); // subnormals too
    append(bytes, bits);
    return minifloat(bits, 5, 10, 15);
  }
  case ABY_DTYPE_BF16: {
    const auto bits = static_cast<std::uint16_t>((random() & 0x807fu) | (120 + random() % 7) << 7);
    append(bytes, bits);
    return minifloat(bits, 8, 7, 127);
  }
  case ABY_DTYPE_F8_E4M3: {
    auto bits = static_cast<std::uint8_t>(random());
    if ((bits & 0x7f) == 0x7f) // NaN
      bits = 0;
    append(bytes, bits);
    return minifloat(bits, 4, 3, 7);
  }
  default: {
    const auto value = static_cast<float>(random_values(random, 1)[0]);
    append(bytes, value);
    return value;
  }
  }
}

// A random block scale, appended; its value.
double random_scale(Random &random, std::vector<unsigned char> &bytes, aby_dtype dtype) {
  switch (dtype) {
  case ABY_DTYPE_F8_E8M0: {
    const auto bits = static_cast<std::uint8_t>(117 + random() % 4);
    append(bytes, bits);
    return std::ldexp(1.0, bits - 127);
  }
  case ABY_DTYPE_BF16: {
    const auto bits = static_cast<std::uint16_t>((random() & 0x7fu) | (117 + random() % 4) << 7);
    append(bytes, bits);
    return minifloat(bits, 8, 7, 127);
  }
  default: {
    const auto value = static_cast<float>(random_values(random, 1, 0.001, 0.01)[0]);
    append(bytes, value);
    return value;
  }
  }
}

// Moves everything by `by` bytes, so that it starts off an aligned address.
void shift(std::vector<std::vector<unsigned char>> &all, std::size_t by) {
  for (auto &bytes : all)
    bytes.insert(bytes.begin(), by, static_cast<unsigned char>(0xff));
}

// Where the block of a format has its float16 numbers.
std::vector<std::size_t> half_places(aby_dtype format) {
  switch (format) {
  case ABY_DTYPE_Q4_1:
  case ABY_DTYPE_Q5_1:
  case ABY_DTYPE_Q4_K:
  case ABY_DTYPE_Q5_K:
    return {0, 2};
  case ABY_DTYPE_Q2_K:
    return {80, 82};
  case ABY_DTYPE_Q3_K:
    return {108};
  case ABY_DTYPE_Q6_K:
    return {208};
  default:
    return {0};
  }
}

// Random blocks whose elements are between -4 and 4 or so.
void append_blocks(Random &random, std::vector<unsigned char> &bytes, aby_dtype format, std::int64_t count) {
  const auto size = static_cast<std::size_t>(dtype_block(format).bytes);
  for (std::int64_t i = 0; i < count; ++i) {
    std::vector<unsigned char> block(size);
    for (unsigned char &byte : block)
      byte = static_cast<unsigned char>(random());
    if (format == ABY_DTYPE_MXFP4)
      block[0] = static_cast<unsigned char>(123 + random() % 4);
    const unsigned exponent = dtype_block(format).elements == 32 ? 7 : 2;
    for (const std::size_t at : format == ABY_DTYPE_MXFP4 ? std::vector<std::size_t>() : half_places(format))
      block[at + 1] = static_cast<unsigned char>((block[at + 1] & 0x83) | (exponent + random() % 3) << 2);
    bytes.insert(bytes.end(), block.begin(), block.end());
  }
}

void make_block_matrix(Random &random, WeightData &weight) {
  std::vector<unsigned char> data;
  const std::int64_t elements = weight.n * weight.k;
  append_blocks(random, data, weight.dtype, elements / dtype_block(weight.dtype).elements);
  std::vector<float> values(static_cast<std::size_t>(elements));
  dequantise(weight.dtype, data.data(), 0, elements, values.data());
  weight.values.insert(weight.values.end(), values.begin(), values.end());
  weight.data.push_back(std::move(data));
}

void make_matrix(Random &random, WeightData &weight) {
  if (is_block_format(weight.dtype))
    return make_block_matrix(random, weight);
  std::vector<unsigned char> data;
  const std::size_t first = weight.values.size();
  for (std::int64_t i = 0; i < weight.n * weight.k; ++i)
    weight.values.push_back(random_element(random, data, weight.dtype));
  weight.data.push_back(std::move(data));
  if (weight.dtype != ABY_DTYPE_F8_E4M3)
    return;
  std::vector<unsigned char> scales;
  for (std::int64_t r = 0; r < weight.n; r += weight.block_n) {
    for (std::int64_t c = 0; c < weight.k; c += weight.block_k) {
      const double scale = random_scale(random, scales, weight.scale_dtype);
      for (std::int64_t i = r; i < std::min(r + weight.block_n, weight.n); ++i) {
        for (std::int64_t j = c; j < std::min(c + weight.block_k, weight.k); ++j)
          weight.values[first + static_cast<std::size_t>(i * weight.k + j)] *= scale;
      }
    }
  }
  weight.scales.push_back(std::move(scales));
}

} // namespace

const std::vector<WeightLike> &weight_formats() {
  constexpr aby_dtype kF32 = ABY_DTYPE_F32;
  constexpr aby_dtype kBf16 = ABY_DTYPE_BF16;
  static const std::vector<WeightLike> all = {
      {ABY_DTYPE_F32, kF32},
      {ABY_DTYPE_BF16, kBf16},
      {ABY_DTYPE_F8_E4M3, kF32, ABY_DTYPE_F32, 128, 128},
      {ABY_DTYPE_F16, kF32, kF32, 0, 0, false},
      {ABY_DTYPE_F8_E4M3, kBf16, ABY_DTYPE_F8_E8M0, 16, 32, false},
      {ABY_DTYPE_BF16, kF32, kF32, 0, 0, true, 1}, // starts at an odd address
      {ABY_DTYPE_F8_E4M3, kBf16, ABY_DTYPE_BF16, 3, 5, true, 1},
      {ABY_DTYPE_F32, kBf16, kF32, 0, 0, true, 2},
      {ABY_DTYPE_F16, kBf16},
  };
  return all;
}

Values random_values(Random &random, std::int64_t count, double low, double high) {
  Values values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>(low + (high - low) * static_cast<double>(random() & 0xffffffu) / 0xffffff));
  return values;
}

WeightData random_matrix(Random &random, std::int64_t n, std::int64_t k, std::int64_t count, const WeightLike &like) {
  WeightData weight;
  weight.dtype = like.dtype;
  weight.compute = like.compute;
  weight.n = n;
  weight.k = k;
  weight.count = count;
  weight.borrowed = like.borrowed;
  weight.misalign = like.misalign;
  if (like.dtype == ABY_DTYPE_F8_E4M3) {
    weight.scale_dtype = like.scale_dtype;
    weight.block_n = like.block_n;
    weight.block_k = like.block_k;
  }
  for (std::int64_t i = 0; i < count; ++i)
    make_matrix(random, weight);
  shift(weight.data, like.misalign);
  shift(weight.scales, like.misalign);
  return weight;
}

WeightData random_vector(Random &random, std::int64_t n, double low, double high) {
  return vector_of(random_values(random, n, low, high));
}

WeightData random_kv_b(Random &random, std::int32_t heads, std::int32_t nope, std::int32_t v, std::int64_t kv_lora,
                       const WeightLike &like) {
  WeightData weight = random_matrix(random, std::int64_t{heads} * (nope + v), kv_lora, 1, like);
  weight.use = ABK_USE_MLA_KV_B;
  weight.heads = heads;
  weight.qk_nope = nope;
  weight.v_dim = v;
  return weight;
}

WeightData matrix_of(std::int64_t n, std::int64_t k, const Values &values) {
  WeightData weight;
  weight.n = n;
  weight.k = k;
  weight.values = values;
  weight.data.emplace_back();
  for (const double value : values)
    append(weight.data.back(), static_cast<float>(value));
  return weight;
}

WeightData vector_of(const Values &values) {
  WeightData weight = matrix_of(static_cast<std::int64_t>(values.size()), 1, values);
  weight.use = ABK_USE_VECTOR;
  return weight;
}

double rounded(double value, aby_dtype dtype) {
  const auto single = static_cast<float>(value);
  if (dtype != ABY_DTYPE_BF16)
    return single;
  // To nearest, ties to even, in whole units of the last of 8 significant bits.
  if (single == 0.0f || !std::isfinite(single))
    return single;
  const double unit = std::ldexp(1.0, std::ilogb(single) - 7);
  return std::nearbyint(single / unit) * unit;
}

Values rounded(Values values, aby_dtype dtype) {
  for (double &value : values)
    value = rounded(value, dtype);
  return values;
}

} // namespace abyssal::test
