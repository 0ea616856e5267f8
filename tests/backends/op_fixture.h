// Runs one op case on any backend: make inputs on the host, upload, call, download.
#pragma once

#include "device/backend.h"

#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

namespace abyssal::test {

using Values = std::vector<double>;

// The backends that this build has, the reference first.
const std::vector<const abk_backend *> &backends();
const abk_backend *reference();
const abk_backend *deferred(); // the module

// Weights on the host in a storage format, and what they stand for.
struct WeightData {
  abk_weight_use use = ABK_USE_MATRIX;
  aby_dtype dtype = ABY_DTYPE_F32;
  std::int64_t n = 0, k = 0, count = 1;
  aby_dtype compute = ABY_DTYPE_F32;
  aby_dtype scale_dtype = ABY_DTYPE_AUTO;
  std::int64_t block_n = 0, block_k = 0;
  std::int32_t heads = 0, qk_nope = 0, v_dim = 0;
  bool borrowed = true;
  std::size_t misalign = 0; // bytes that the data starts off an aligned address
  std::vector<std::vector<unsigned char>> data, scales;
  Values values; // [count, n, k], exact

  bool present() const { return n > 0; }
  double at(std::int64_t matrix, std::int64_t row, std::int64_t col) const {
    return values[static_cast<std::size_t>((matrix * n + row) * k + col)];
  }
};

// What a weight is like; the rest is random but for the seed.
struct WeightLike {
  aby_dtype dtype = ABY_DTYPE_F32;
  aby_dtype compute = ABY_DTYPE_F32;
  aby_dtype scale_dtype = ABY_DTYPE_F32;
  std::int64_t block_n = 128, block_k = 128;
  bool borrowed = true;
  std::size_t misalign = 0;
};

// Formats that a checkpoint may have, with each way of keeping the data: borrowed, copied, off an aligned address.
const std::vector<WeightLike> &weight_formats();

using Random = std::mt19937;
Values random_values(Random &random, std::int64_t count, double low = -1, double high = 1); // float32 values
WeightData random_matrix(Random &random, std::int64_t n, std::int64_t k, std::int64_t count, const WeightLike &like);
WeightData random_vector(Random &random, std::int64_t n, double low, double high);
WeightData random_kv_b(Random &random, std::int32_t heads, std::int32_t nope, std::int32_t v, std::int64_t kv_lora,
                       const WeightLike &like);
WeightData matrix_of(std::int64_t n, std::int64_t k, const Values &values); // F32, one matrix
WeightData vector_of(const Values &values);

// What a value becomes in a dtype.
double rounded(double value, aby_dtype dtype);
Values rounded(Values values, aby_dtype dtype);

// A ragged batch on the host. Block tables are scattered over the pool and differ between sequences.
struct BatchData {
  std::vector<std::int32_t> token_ids, row_begin{0}, context, block_table;
  std::vector<float> rope;
  std::int32_t table_stride = 0, rope_dim = 0, pool_blocks = 0;

  std::int32_t tokens() const { return row_begin.back(); }
  std::int32_t sequences() const { return static_cast<std::int32_t>(context.size()); }
  std::int64_t cache_row(std::size_t sequence, std::int64_t position) const; // in the pool
  abk_batch_desc desc() const;
};

struct Share {
  std::int32_t context, fresh;
};
BatchData make_batch(Random &random, const std::vector<Share> &shares, std::int32_t rope_dim,
                     std::int32_t vocab = 1000);

// Throws std::runtime_error with the backend's text: one device of a backend, one stream, and all that was made on it.
class OpDevice {
public:
  explicit OpDevice(const abk_backend *backend, std::uint32_t threads = 2);
  ~OpDevice();
  OpDevice(const OpDevice &) = delete;
  OpDevice &operator=(const OpDevice &) = delete;

  const abk_backend &api;
  abk_device *device = nullptr;
  abk_stream *stream = nullptr;

  void must(aby_status status, const char *what) const;
  aby_status run(abk_op op, const void *args, const abk_batch *batch = nullptr) const {
    return api.run(stream, batch, op, args);
  }
  // The op's own status, or that of the synchronisation which runs it.
  aby_status outcome(aby_status queued) const { return queued != ABY_OK ? queued : api.stream_synchronize(stream); }

  abk_span buffer(std::uint64_t bytes);
  // Rows of `cols` in rows of `stride`, at a byte offset of a larger buffer; what is between them is not a number and
  // must stay as it is (see download). values empty: all not a number.
  abk_rows rows(const Values &values, std::int64_t count, std::int64_t cols, aby_dtype dtype, std::int64_t gap = 0);
  abk_span ints(const std::vector<std::int32_t> &values);
  abk_span floats(const Values &values);
  abk_span array(const Values &values, aby_dtype dtype); // dense
  abk_span scratch(abk_op_desc desc);

  // nullptr for an absent weight. Data that is not borrowed is overwritten after the weight was made.
  abk_weight *weight(const WeightData &data);
  abk_batch *batch(const BatchData &data); // the arrays are overwritten afterwards

  // Runs what is queued. Fails when an element between the rows was touched.
  Values download(const abk_rows &rows, std::int64_t count);
  Values download(abk_span span, std::int64_t count, aby_dtype dtype);
  std::vector<std::int32_t> download_ints(abk_span span, std::int64_t count);

private:
  std::vector<abk_buffer *> buffers_;
  std::vector<abk_weight *> weights_;
  std::vector<abk_batch *> batches_;
};

// Empty when |got - expected| / |expected| over all is within the tolerance, else the first element that is off by
// more than the tolerance allows, and the error.
std::string difference(const Values &got, const Values &expected, double tolerance);

// Tolerance of results that are stored as `out`, from products in `compute`.
double tolerance(aby_dtype compute, aby_dtype out);

// Makes the inputs of a case once and runs it on every backend: expected against the reference within 1e-6 (or the
// rounding of what is stored), the reference against the others. Run: Values(OpDevice &).
template <typename Run>
void for_each_backend(const Values *expected, double reference_tolerance, double others_tolerance, Run &&run,
                      const std::string &what);

} // namespace abyssal::test

#include <doctest/doctest.h>

template <typename Run>
void abyssal::test::for_each_backend(const Values *expected, double reference_tolerance, double others_tolerance,
                                     Run &&run, const std::string &what) {
  Values oracle;
  for (const abk_backend *backend : backends()) {
    INFO(std::string(backend->name), ": ", what);
    OpDevice device(backend);
    const Values got = run(device);
    const bool first = backend == reference();
    if (first)
      oracle = got;
    if (first && expected != nullptr)
      CHECK(difference(got, *expected, reference_tolerance) == "");
    if (!first)
      CHECK(difference(got, oracle, others_tolerance) == "");
  }
}
