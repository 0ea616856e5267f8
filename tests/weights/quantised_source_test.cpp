// Matrices rounded when they are asked for: each type, fp8 scales, kv_b_proj in halves, and what stays as it is.
#include "weights/quantised_source.h"

#include "base/block_format.h"
#include "base/block_quantise.h"
#include "weights/memory_source.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

using namespace abyssal;

namespace {

// Tensors with their bytes, to be made a source.
class Arrays {
public:
  void add(const char *name, aby_dtype dtype, std::int64_t n, std::int64_t k, const void *data, std::size_t bytes) {
    aby_tensor tensor{};
    tensor.struct_size = sizeof tensor;
    tensor.dtype = dtype;
    tensor.name = name;
    const auto *from = static_cast<const std::byte *>(data);
    bytes_.emplace_back(std::make_unique<std::vector<std::byte>>(from, from + bytes));
    tensor.data = bytes_.back()->data();
    tensor.bytes = bytes;
    tensor.rank = 2;
    tensor.shape[0] = n;
    tensor.shape[1] = k;
    tensors_.push_back(tensor);
  }
  template <typename Element>
  void add(const char *name, aby_dtype dtype, std::int64_t n, std::int64_t k, const std::vector<Element> &values) {
    add(name, dtype, n, k, values.data(), values.size() * sizeof(Element));
  }
  std::shared_ptr<const TensorSource> source() const { return make_memory_source(tensors_); }

private:
  std::vector<std::unique_ptr<std::vector<std::byte>>> bytes_;
  std::vector<aby_tensor> tensors_;
};

std::vector<float> ramp(std::int64_t n, std::int64_t k) {
  std::vector<float> x(static_cast<std::size_t>(n * k));
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = std::sin(static_cast<float>(i) * 0.37f) * (1.0f + static_cast<float>(i % 7));
  return x;
}

std::vector<std::byte> rounded(aby_dtype format, const std::vector<float> &x) {
  std::vector<std::byte> blocks(row_bytes(format, static_cast<std::int64_t>(x.size())));
  quantise_blocks(format, x.data(), static_cast<std::int64_t>(x.size()), blocks.data());
  return blocks;
}

std::vector<float> values(const std::vector<std::byte> &blocks, aby_dtype format, std::int64_t count) {
  std::vector<float> x(static_cast<std::size_t>(count));
  dequantise(format, blocks.data(), 0, count, x.data());
  return x;
}

} // namespace

TEST_CASE("matrices of every plain type are rounded from their exact values") {
  const std::vector<float> x = ramp(20, 64);
  std::vector<std::uint16_t> half, brain;
  std::vector<float> half_values, brain_values;
  for (const float value : x) {
    half.push_back(float_to_f16(value));
    half_values.push_back(f16_to_float(half.back()));
    brain.push_back(float_to_bf16(value));
    brain_values.push_back(bf16_to_float(brain.back()));
  }
  Arrays arrays;
  arrays.add("f32", ABY_DTYPE_F32, 20, 64, x);
  arrays.add("f16", ABY_DTYPE_F16, 20, 64, half);
  arrays.add("bf16", ABY_DTYPE_BF16, 20, 64, brain);
  arrays.add("other", ABY_DTYPE_F32, 20, 64, x);
  for (const aby_dtype format : {ABY_DTYPE_Q8_0, ABY_DTYPE_Q4_0}) {
    QuantiseList list;
    list.matrices = {{"f32", format}, {"f16", format}, {"bf16", format}};
    const auto source = quantise_source(arrays.source(), list);
    const TensorView &view = *source->find("bf16");
    CHECK(view.dtype == format);
    CHECK(view.shape == std::vector<std::int64_t>{20, 64});
    CHECK(view.data == nullptr);
    CHECK(view.bytes == 20 * row_bytes(format, 64));
    CHECK(source->make("f32") == rounded(format, x));
    CHECK(source->make("f16") == rounded(format, half_values));
    CHECK(source->make("bf16") == rounded(format, brain_values));
    CHECK_FALSE(source->stays_in_place("f32"));
    CHECK(source->stored("f16").quantised());
    CHECK(source->stored("f16").dtypes == std::vector<aby_dtype>{ABY_DTYPE_F16});
    CHECK(source->stored("f16").bytes == 20 * 64 * 2);
    CHECK(source->find("other")->dtype == ABY_DTYPE_F32);
    CHECK(source->stays_in_place("other"));
    CHECK_FALSE(source->stored("other").quantised());
  }
}

TEST_CASE("fp8 is rounded with its block scales, edge blocks included") {
  const std::int64_t n = 5, k = 96, rows = 2, columns = 2; // blocks of [4, 64]
  std::vector<std::uint8_t> stored;
  for (std::int64_t i = 0; i < n * k; ++i)
    stored.push_back(static_cast<std::uint8_t>(i * 11 % 0x7e));
  const std::vector<float> scales = {0.5f, 3.0f, 0.01f, 70.0f};
  Arrays arrays;
  arrays.add("w", ABY_DTYPE_F8_E4M3, n, k, stored);
  arrays.add("w_scale_inv", ABY_DTYPE_F32, rows, columns, scales);
  std::vector<float> x;
  for (std::int64_t i = 0; i < n * k; ++i)
    x.push_back(f8_e4m3_to_float(stored[static_cast<std::size_t>(i)]) *
                scales[static_cast<std::size_t>(i / k / 4 * columns + i % k / 64)]);
  QuantiseList list;
  list.matrices = {{"w", ABY_DTYPE_Q8_0}};
  list.scale_n = 4;
  list.scale_k = 64;
  const auto source = quantise_source(arrays.source(), list);
  CHECK(source->make("w") == rounded(ABY_DTYPE_Q8_0, x));
  CHECK(source->stored("w").bytes == static_cast<std::uint64_t>(n * k) + 4 * sizeof(float));
}

TEST_CASE("large matrices give the same bytes for any number of threads") {
  const std::vector<float> x = ramp(600, 512);
  Arrays arrays;
  arrays.add("w", ABY_DTYPE_F32, 600, 512, x);
  QuantiseList list;
  list.matrices = {{"w", ABY_DTYPE_Q8_0}};
  list.threads = 3;
  CHECK(quantise_source(arrays.source(), list)->make("w") == rounded(ABY_DTYPE_Q8_0, x));
}

TEST_CASE("kv_b_proj is rounded in halves, and joined from them") {
  const std::int64_t heads = 2, nope = 32, v = 24, lora = 64;
  const std::vector<float> x = ramp(heads * (nope + v), lora);
  Arrays arrays;
  arrays.add("l.self_attn.kv_b_proj.weight", ABY_DTYPE_F32, heads * (nope + v), lora, x);
  QuantiseList list;
  list.kv_b["l.self_attn.kv_b_proj.weight"] = {ABY_DTYPE_Q8_0, heads, nope, v, lora};
  const auto source = quantise_source(arrays.source(), list);
  const auto joined = source->make("l.self_attn.kv_b_proj.weight");
  REQUIRE(source->find("l.self_attn.kv_b_proj.weight")->dtype == ABY_DTYPE_F32);
  REQUIRE(joined.size() == x.size() * sizeof(float));
  std::vector<float> whole(x.size());
  std::memcpy(whole.data(), joined.data(), joined.size());
  for (std::int64_t head = 0; head < heads; ++head) {
    const float *keys_in = x.data() + head * (nope + v) * lora, *values_in = keys_in + nope * lora;
    std::vector<float> transposed;
    for (std::int64_t l = 0; l < lora; ++l)
      for (std::int64_t i = 0; i < nope; ++i)
        transposed.push_back(keys_in[i * lora + l]);
    const std::string at = "." + std::to_string(head) + ".weight";
    const auto keys = source->make("l.self_attn.k_b_proj" + at), vals = source->make("l.self_attn.v_b_proj" + at);
    CHECK(source->find("l.self_attn.k_b_proj" + at)->shape == std::vector<std::int64_t>{lora, nope});
    CHECK(source->find("l.self_attn.v_b_proj" + at)->shape == std::vector<std::int64_t>{v, lora});
    CHECK(keys == rounded(ABY_DTYPE_Q8_0, transposed));
    CHECK(vals == rounded(ABY_DTYPE_Q8_0, {values_in, values_in + v * lora}));
    const auto k_values = values(keys, ABY_DTYPE_Q8_0, lora * nope), v_values = values(vals, ABY_DTYPE_Q8_0, v * lora);
    const float *out = whole.data() + head * (nope + v) * lora;
    bool same = true;
    for (std::int64_t i = 0; i < nope; ++i)
      for (std::int64_t l = 0; l < lora; ++l)
        same = same && out[i * lora + l] == k_values[static_cast<std::size_t>(l * nope + i)];
    CHECK(same);
    CHECK(std::equal(v_values.begin(), v_values.end(), out + nope * lora));
  }
}
