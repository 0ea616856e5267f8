#include "op_fixture.h"

#include "backends/reference/reference_backend.h"
#include "base/dtype.h"
#if ABYSSAL_TEST_CPU
#include "backends/cpu/cpu_backend.h"
#endif

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <limits>
#include <stdexcept>

namespace abyssal::test {

const abk_backend *reference() { return reference_backend(); }

const abk_backend *deferred() {
  static const abk_backend *backend = [] {
    void *library = dlopen(ABYSSAL_DEFERRED_MODULE, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr)
      throw std::runtime_error(dlerror());
    const auto entry = reinterpret_cast<abk_entry_fn>(dlsym(library, ABK_ENTRY_NAME));
    if (entry == nullptr || entry(ABK_VERSION) == nullptr)
      throw std::runtime_error("the deferred module has no backend");
    return entry(ABK_VERSION);
  }();
  return backend;
}

const std::vector<const abk_backend *> &backends() {
  static const std::vector<const abk_backend *> all = {
      reference(),
      deferred(),
#if ABYSSAL_TEST_CPU
      cpu_backend(),
#endif
  };
  return all;
}

BatchData make_batch(Random &random, const std::vector<Share> &shares, std::int32_t rope_dim, std::int32_t vocab) {
  BatchData batch;
  batch.rope_dim = rope_dim;
  std::vector<std::int32_t> needed;
  for (const Share &share : shares) {
    batch.context.push_back(share.context);
    batch.row_begin.push_back(batch.row_begin.back() + share.fresh);
    needed.push_back((share.context + share.fresh + ABK_BLOCK_TOKENS - 1) / ABK_BLOCK_TOKENS);
    batch.table_stride = std::max(batch.table_stride, needed.back() + 1);
    batch.pool_blocks += needed.back();
  }
  batch.pool_blocks += 3; // some belong to nobody
  std::vector<std::int32_t> pool(static_cast<std::size_t>(batch.pool_blocks));
  for (std::size_t i = 0; i < pool.size(); ++i)
    pool[i] = static_cast<std::int32_t>(i);
  std::shuffle(pool.begin(), pool.end(), random);
  for (const std::int32_t count : needed) {
    for (std::int32_t i = 0; i < batch.table_stride; ++i) {
      batch.block_table.push_back(i < count ? pool.back() : -7); // beyond what is needed: not a block
      if (i < count)
        pool.pop_back();
    }
  }
  for (std::int32_t r = 0; r < batch.tokens(); ++r) {
    batch.token_ids.push_back(static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(vocab)));
    for (std::int32_t i = 0; i < rope_dim / 2; ++i) {
      const double angle = static_cast<double>(random() % 10000) / 500.0;
      batch.rope.push_back(static_cast<float>(1.25 * std::cos(angle)));
      batch.rope.push_back(static_cast<float>(1.25 * std::sin(angle)));
    }
  }
  return batch;
}

std::int64_t BatchData::cache_row(std::size_t sequence, std::int64_t position) const {
  const std::size_t place =
      sequence * static_cast<std::size_t>(table_stride) + static_cast<std::size_t>(position / ABK_BLOCK_TOKENS);
  return std::int64_t{block_table[place]} * ABK_BLOCK_TOKENS + position % ABK_BLOCK_TOKENS;
}

abk_batch_desc BatchData::desc() const {
  return {tokens(),           sequences(),  token_ids.data(), row_begin.data(), context.data(),
          block_table.data(), table_stride, rope.data(),      rope_dim};
}

OpDevice::OpDevice(const abk_backend *backend, std::uint32_t threads) : api(*backend) {
  const abk_device_options options{0, threads};
  must(api.device_open(&device, &options), "device_open");
  must(api.stream_create(device, &stream), "stream_create");
}

OpDevice::~OpDevice() {
  for (abk_batch *batch : batches_)
    api.batch_destroy(batch);
  for (abk_weight *weight : weights_)
    api.weight_destroy(weight);
  for (abk_buffer *buffer : buffers_)
    api.buffer_destroy(buffer);
  api.stream_destroy(stream);
  api.device_close(device);
}

void OpDevice::must(aby_status status, const char *what) const {
  if (status != ABY_OK)
    throw std::runtime_error(std::string(what) + " gives " + std::to_string(status) + ": " + api.error_text());
}

abk_span OpDevice::buffer(std::uint64_t bytes) {
  abk_buffer *made = nullptr;
  must(api.buffer_create(device, &made, bytes), "buffer_create");
  buffers_.push_back(made);
  return {made, 0};
}

namespace {

// Between the rows of uploaded tensors, and where nothing was written: a NaN with a payload that no arithmetic makes.
constexpr std::uint32_t kCanaryF32 = 0x7fc0ca11;
constexpr std::uint16_t kCanaryBf16 = 0x7fca;

std::vector<unsigned char> canaries(std::int64_t count, aby_dtype dtype) {
  const std::size_t size = dtype_size(dtype);
  std::vector<unsigned char> bytes(static_cast<std::size_t>(count) * size);
  for (std::size_t i = 0; i < bytes.size(); i += size) {
    if (dtype == ABY_DTYPE_F32)
      std::memcpy(&bytes[i], &kCanaryF32, size);
    else
      std::memcpy(&bytes[i], &kCanaryBf16, size);
  }
  return bytes;
}

void put(std::vector<unsigned char> &bytes, std::int64_t element, aby_dtype dtype, double value) {
  const auto single = static_cast<float>(value);
  const std::uint16_t half = float_to_bf16(single);
  const std::size_t size = dtype_size(dtype);
  std::memcpy(&bytes[static_cast<std::size_t>(element) * size],
              dtype == ABY_DTYPE_F32 ? static_cast<const void *>(&single) : &half, size);
}

double get(const unsigned char *bytes, std::int64_t element, aby_dtype dtype) {
  const std::size_t size = dtype_size(dtype);
  float single = 0;
  std::uint16_t half = 0;
  std::memcpy(dtype == ABY_DTYPE_F32 ? static_cast<void *>(&single) : &half,
              bytes + static_cast<std::size_t>(element) * size, size);
  return dtype == ABY_DTYPE_F32 ? single : bf16_to_float(half);
}

} // namespace

// Bytes before the first row, so that offsets are not always zero.
constexpr std::uint64_t kLead = 64;

abk_rows OpDevice::rows(const Values &values, std::int64_t count, std::int64_t cols, aby_dtype dtype,
                        std::int64_t gap) {
  const std::int64_t stride = cols + gap;
  std::vector<unsigned char> bytes = canaries(count * stride, dtype);
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(values.size()); ++i)
    put(bytes, i / cols * stride + i % cols, dtype, values[static_cast<std::size_t>(i)]);
  abk_span span = buffer(kLead + bytes.size());
  span.offset = kLead;
  must(api.copy_in(stream, span, bytes.data(), bytes.size()), "copy_in");
  return {span, dtype, static_cast<std::int32_t>(cols), stride};
}

abk_span OpDevice::ints(const std::vector<std::int32_t> &values) {
  const abk_span span = buffer(values.size() * 4);
  must(api.copy_in(stream, span, values.data(), values.size() * 4), "copy_in");
  return span;
}

abk_span OpDevice::array(const Values &values, aby_dtype dtype) {
  return rows(values, 1, static_cast<std::int64_t>(values.size()), dtype).span;
}

abk_span OpDevice::floats(const Values &values) { return array(values, ABY_DTYPE_F32); }

abk_span OpDevice::scratch(abk_op_desc desc) {
  std::uint64_t bytes = 0;
  must(api.supports(device, &desc, &bytes), "supports");
  const std::vector<unsigned char> garbage(bytes, 0xff); // what an earlier op may have left
  const abk_span span = buffer(bytes);
  must(api.copy_in(stream, span, garbage.data(), bytes), "copy_in");
  return span;
}

abk_batch *OpDevice::batch(const BatchData &data) {
  BatchData copied = data;
  const abk_batch_desc desc = copied.desc();
  abk_batch *made = nullptr;
  must(api.batch_create(stream, &made, &desc), "batch_create");
  batches_.push_back(made);
  for (auto *ints : {&copied.token_ids, &copied.row_begin, &copied.context, &copied.block_table})
    std::fill(ints->begin(), ints->end(), -99);
  std::fill(copied.rope.begin(), copied.rope.end(), std::numeric_limits<float>::quiet_NaN());
  return made;
}

abk_weight *OpDevice::weight(const WeightData &data) {
  if (!data.present())
    return nullptr;
  // Data that is not borrowed is given as a copy, which is overwritten at once.
  std::vector<std::vector<unsigned char>> data_copy = data.data, scales_copy = data.scales;
  auto *stored = data.borrowed ? const_cast<std::vector<std::vector<unsigned char>> *>(&data.data) : &data_copy;
  auto *scaled = data.borrowed ? const_cast<std::vector<std::vector<unsigned char>> *>(&data.scales) : &scales_copy;
  std::vector<const void *> pointers, scale_pointers;
  for (const auto &bytes : *stored)
    pointers.push_back(bytes.data() + data.misalign);
  for (const auto &bytes : *scaled)
    scale_pointers.push_back(bytes.data() + data.misalign);
  abk_weight_desc desc{};
  desc.use = data.use;
  desc.dtype = data.dtype;
  desc.n = data.n;
  desc.k = data.k;
  desc.count = data.count;
  desc.data = pointers.data();
  desc.scales = scale_pointers.empty() ? nullptr : scale_pointers.data();
  desc.scale_dtype = data.scale_dtype;
  desc.block_n = data.block_n;
  desc.block_k = data.block_k;
  desc.borrowed = data.borrowed ? 1 : 0;
  desc.compute = data.compute;
  desc.heads = data.heads;
  desc.qk_nope = data.qk_nope;
  desc.v_dim = data.v_dim;
  abk_weight *made = nullptr;
  must(api.weight_create(device, &made, &desc), "weight_create");
  weights_.push_back(made);
  for (auto *copies : {&data_copy, &scales_copy}) {
    for (auto &bytes : *copies)
      std::fill(bytes.begin(), bytes.end(), static_cast<unsigned char>(0xff));
  }
  return made;
}

Values OpDevice::download(const abk_rows &rows, std::int64_t count) {
  const std::int64_t elements = count * rows.stride;
  const std::size_t size = dtype_size(rows.dtype);
  std::vector<unsigned char> bytes(static_cast<std::size_t>(elements) * size);
  must(api.copy_out(stream, bytes.data(), rows.span, bytes.size()), "copy_out");
  must(api.stream_synchronize(stream), "stream_synchronize");
  const std::vector<unsigned char> canary = canaries(1, rows.dtype);
  Values values;
  for (std::int64_t r = 0; r < count; ++r) {
    for (std::int64_t c = 0; c < rows.stride; ++c) {
      const unsigned char *element = &bytes[static_cast<std::size_t>(r * rows.stride + c) * size];
      if (c < rows.cols)
        values.push_back(get(element, 0, rows.dtype));
      else if (std::memcmp(element, canary.data(), size) != 0)
        throw std::runtime_error("element " + std::to_string(c) + " of row " + std::to_string(r) +
                                 ", beyond the columns, was written");
    }
  }
  return values;
}

Values OpDevice::download(abk_span span, std::int64_t count, aby_dtype dtype) {
  return download(abk_rows{span, dtype, static_cast<std::int32_t>(count), count}, 1);
}

std::vector<std::int32_t> OpDevice::download_ints(abk_span span, std::int64_t count) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(count));
  must(api.copy_out(stream, values.data(), span, values.size() * 4), "copy_out");
  must(api.stream_synchronize(stream), "stream_synchronize");
  return values;
}

std::string difference(const Values &got, const Values &expected, double tolerance) {
  if (got.size() != expected.size())
    return std::to_string(got.size()) + " elements, expected " + std::to_string(expected.size());
  double error = 0;
  double norm = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    error += (got[i] - expected[i]) * (got[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  if (std::sqrt(error) <= tolerance * std::sqrt(norm)) // false for NaN
    return "";
  const double allowed = tolerance * std::sqrt(norm / static_cast<double>(got.size()));
  std::size_t first = 0;
  while (first + 1 < got.size() && std::abs(got[first] - expected[first]) <= allowed)
    ++first;
  std::array<char, 200> text{};
  std::snprintf(text.data(), text.size(),
                "element %zu of %zu: got %.9g, expected %.9g; relative error of all %.3g > %.3g", first, got.size(),
                got[first], expected[first], std::sqrt(error / norm), tolerance);
  return text.data();
}

double tolerance(aby_dtype compute, aby_dtype out) {
  if (compute == ABY_DTYPE_BF16)
    return 1e-2;
  return out == ABY_DTYPE_BF16 ? 4e-3 : 1e-5; // one rounding step of a bfloat16 in the worst place
}

} // namespace abyssal::test
