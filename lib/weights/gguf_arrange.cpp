#include "weights/gguf_arrange.h"

#include "base/block_format.h"

#include <cstring>

namespace abyssal {

namespace {

// Elements [first, first + count) as float32, count whole blocks.
void widen(const TensorView &view, std::int64_t first, std::int64_t count, float *out) {
  if (is_block_format(view.dtype))
    return dequantise(view.dtype, view.data, first, count, out);
  for (std::int64_t i = 0; i < count; ++i)
    out[i] = load_as_float(view.data, view.dtype, static_cast<std::size_t>(first + i));
}

} // namespace

std::vector<std::byte> join_kv_b(const TensorView &keys, const TensorView &values) {
  const std::int64_t heads = keys.shape[0], lora = keys.shape[1], nope = keys.shape[2], v = values.shape[1];
  std::vector<std::byte> bytes(static_cast<std::size_t>(heads * (nope + v) * lora) * sizeof(float));
  auto *out = reinterpret_cast<float *>(bytes.data()); // operator new aligns it
  std::vector<float> row(static_cast<std::size_t>(nope));
  for (std::int64_t h = 0; h < heads; ++h) {
    float *head = out + h * (nope + v) * lora;
    for (std::int64_t l = 0; l < lora; ++l) {
      widen(keys, (h * lora + l) * nope, nope, row.data());
      for (std::int64_t i = 0; i < nope; ++i)
        head[i * lora + l] = row[static_cast<std::size_t>(i)];
    }
    widen(values, h * v * lora, v * lora, head + nope * lora);
  }
  return bytes;
}

std::vector<std::byte> unpermute_rows(const TensorView &stored, std::int64_t head_dim) {
  const std::int64_t n = stored.shape[0], half = head_dim / 2;
  const std::size_t row = static_cast<std::size_t>(stored.bytes) / static_cast<std::size_t>(n);
  std::vector<std::byte> bytes(static_cast<std::size_t>(stored.bytes));
  for (std::int64_t r = 0; r < n; ++r) {
    const std::int64_t in_head = r % head_dim;
    const std::int64_t from = r - in_head + in_head % half * 2 + in_head / half;
    std::memcpy(bytes.data() + static_cast<std::size_t>(r) * row, stored.data + static_cast<std::size_t>(from) * row,
                row);
  }
  return bytes;
}

} // namespace abyssal
