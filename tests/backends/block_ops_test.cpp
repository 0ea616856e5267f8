// Weights in every block format on every backend: as a matrix, an embedding, a head, kept in place and copied.
#include "base/dtype.h"
#include "base/status.h"
#include "naive_ops.h"

using namespace abyssal;
using namespace abyssal::test;

namespace {

std::vector<WeightLike> block_formats(aby_dtype compute) {
  std::vector<WeightLike> all;
  for (aby_dtype format = ABY_DTYPE_Q4_0; format <= ABY_DTYPE_MXFP4; ++format) {
    const bool odd = format % 2 != 0; // every other one copied, and every third at an odd address
    all.push_back({format, compute, ABY_DTYPE_F32, 0, 0, odd, static_cast<std::size_t>(format % 3 == 0 ? 1 : 0)});
  }
  return all;
}

abk_weight_desc desc_of(aby_dtype format, std::int64_t n, std::int64_t k, abk_weight_use use) {
  abk_weight_desc desc{};
  desc.use = use;
  desc.dtype = format;
  desc.n = n;
  desc.k = k;
  desc.count = 1;
  desc.borrowed = 1;
  desc.compute = ABY_DTYPE_F32;
  return desc;
}

} // namespace

TEST_CASE("linear with weights in every block format") {
  for (const aby_dtype compute : {ABY_DTYPE_F32, ABY_DTYPE_BF16}) {
    for (const WeightLike &like : block_formats(compute)) {
      const std::int64_t block = dtype_block(like.dtype).elements;
      for (const std::int64_t rows : {1, 2, 3, 4, 5, 9, 33}) {
        for (const std::int64_t k : {block, 3 * block, std::int64_t{768}}) {
          const std::int64_t n = 1 + rows * 7;
          Random random(static_cast<unsigned>(rows * 1009 + k));
          const Values x = random_values(random, rows * k);
          const WeightData w = random_matrix(random, n, k, 1, like);
          const Values expected = naive_linear(x, rows, w, 0, nullptr);
          for_each_backend(
              compute == ABY_DTYPE_F32 ? &expected : nullptr, 1e-6, tolerance(compute, ABY_DTYPE_F32),
              [&](OpDevice &device) {
                abk_linear_args args{static_cast<std::int32_t>(rows), device.rows(x, rows, k, ABY_DTYPE_F32),
                                     device.weight(w), nullptr, device.rows({}, rows, n, ABY_DTYPE_F32)};
                device.must(device.run(ABK_OP_LINEAR, &args), "linear");
                return device.download(args.out, rows);
              },
              concat(dtype_name(like.dtype), " rows ", rows, " k ", k));
        }
      }
    }
  }
}

TEST_CASE("an embedding in every block format gives exact rows and serves as a head") {
  for (const WeightLike &like : block_formats(ABY_DTYPE_F32)) {
    Random random(3);
    const std::int64_t hidden = 256;
    WeightData table = random_matrix(random, 20, hidden, 1, like);
    table.use = ABK_USE_EMBEDDING;
    const BatchData batch = make_batch(random, {{0, 5}}, 0, 20);
    Values rows, logits;
    for (const std::int32_t id : batch.token_ids)
      rows.insert(rows.end(), table.values.begin() + id * hidden, table.values.begin() + (id + 1) * hidden);
    for_each_backend(
        &rows, 0, 0,
        [&](OpDevice &device) {
          abk_embed_args args{device.weight(table), nullptr, device.rows({}, 5, hidden, ABY_DTYPE_F32)};
          device.must(device.run(ABK_OP_EMBED, &args, device.batch(batch)), "embed");
          return device.download(args.out, 5);
        },
        dtype_name(like.dtype));
    const Values x = random_values(random, hidden);
    const Values expected = naive_linear(x, 1, table, 0, nullptr);
    for_each_backend(
        &expected, 1e-6, 1e-6,
        [&](OpDevice &device) {
          abk_linear_args args{1, device.rows(x, 1, hidden, ABY_DTYPE_F32), device.weight(table), nullptr,
                               device.rows({}, 1, 20, ABY_DTYPE_F32)};
          device.must(device.run(ABK_OP_LINEAR, &args), "linear");
          return device.download(args.out, 1);
        },
        dtype_name(like.dtype));
  }
}

TEST_CASE("sizes of weights in block formats, and what such a weight cannot be") {
  for (const abk_backend *backend : backends()) {
    INFO(std::string(backend->name));
    OpDevice device(backend);
    abk_weight_size size{};
    abk_weight_desc desc = desc_of(ABY_DTYPE_Q4_K, 10, 512, ABK_USE_MATRIX);
    REQUIRE(backend->weight_size(device.device, &desc, &size) == ABY_OK);
    CHECK(size.bytes == 10 * 288);
    CHECK((size.borrowed_bytes == size.bytes || backend == deferred()));
    desc = desc_of(ABY_DTYPE_Q4_K, 10, 384, ABK_USE_MATRIX);
    CHECK(backend->weight_size(device.device, &desc, &size) == ABY_ERROR_INVALID_ARGUMENT);
    desc = desc_of(ABY_DTYPE_Q8_0, 32, 1, ABK_USE_VECTOR);
    CHECK(backend->weight_size(device.device, &desc, &size) == ABY_ERROR_INVALID_ARGUMENT);
    desc = desc_of(ABY_DTYPE_I8, 32, 32, ABK_USE_MATRIX);
    CHECK(backend->weight_size(device.device, &desc, &size) == ABY_ERROR_UNSUPPORTED);
  }
}
