// Descriptions of weights and batches on every backend: what is refused, and the sizes that are told.
#include "base/dtype.h"
#include "base/status.h"
#include "refusals.h"

using namespace abyssal;
using namespace abyssal::test;

namespace {

abk_weight_desc described(const WeightData &data, const void *const *pointers, const void *const *scales) {
  abk_weight_desc desc{};
  desc.use = data.use;
  desc.dtype = data.dtype;
  desc.n = data.n;
  desc.k = data.k;
  desc.count = data.count;
  desc.data = pointers;
  desc.scales = scales;
  desc.scale_dtype = data.scale_dtype;
  desc.block_n = data.block_n;
  desc.block_k = data.block_k;
  desc.compute = data.compute;
  desc.heads = data.heads;
  desc.qk_nope = data.qk_nope;
  desc.v_dim = data.v_dim;
  return desc;
}

// A change to a good description must be refused by weight_size (unless only the data is wrong) and weight_create.
template <typename Change>
void expect_weight_refused(OpDevice &device, abk_weight_desc desc, aby_status expected, const std::string &text,
                           bool only_data, Change &&change) {
  change(desc);
  INFO("expected: ", text);
  abk_weight_size size{7, 7, nullptr, 7};
  if (!only_data) {
    CHECK(device.api.weight_size(device.device, &desc, &size) == expected);
    CHECK(std::string(device.api.error_text()).find(text) != std::string::npos);
    CHECK(size.bytes == 7);
  }
  abk_weight *weight = nullptr;
  CHECK(device.api.weight_create(device.device, &weight, &desc) == expected);
  CHECK(std::string(device.api.error_text()).find(text) != std::string::npos);
  CHECK(weight == nullptr);
}

constexpr aby_status kInvalid = ABY_ERROR_INVALID_ARGUMENT;

} // namespace

TEST_CASE("descriptions of weights are checked") {
  on_every_backend([](OpDevice &device) {
    Random random(1);
    const WeightData data = random_matrix(random, 6, 4, 2, {ABY_DTYPE_F8_E4M3, ABY_DTYPE_F32, ABY_DTYPE_F32, 4, 4});
    const void *pointers[] = {data.data[0].data(), data.data[1].data()};
    const void *scales[] = {data.scales[0].data(), data.scales[1].data()};
    const void *missing[] = {data.data[0].data(), nullptr};
    const abk_weight_desc good = described(data, pointers, scales);
    abk_weight *weight = nullptr;
    REQUIRE(device.api.weight_create(device.device, &weight, &good) == ABY_OK);
    device.api.weight_destroy(weight);

    const auto refused = [&](aby_status status, const std::string &text, auto change, bool only_data = false) {
      expect_weight_refused(device, good, status, text, only_data, change);
    };
    refused(kInvalid, "use", [](auto &d) { d.use = -1; });
    refused(kInvalid, "use", [](auto &d) { d.use = 5; });
    for (std::int64_t abk_weight_desc::*at : {&abk_weight_desc::n, &abk_weight_desc::k, &abk_weight_desc::count}) {
      for (const std::int64_t value : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 62})
        refused(kInvalid, "weight (matrix)", [&](auto &d) { d.*at = value; });
    }
    refused(kInvalid, "weight (matrix)", [](auto &d) { d.n = d.k = std::int64_t{1} << 31; });
    for (const aby_dtype dtype : std::vector<aby_dtype>{ABY_DTYPE_AUTO, ABY_DTYPE_I8, ABY_DTYPE_F8_E8M0, 99})
      refused(ABY_ERROR_UNSUPPORTED, "dtype", [&](auto &d) { d.dtype = dtype; });
    for (const aby_dtype dtype : {ABY_DTYPE_AUTO, ABY_DTYPE_F16, ABY_DTYPE_I32})
      refused(ABY_ERROR_UNSUPPORTED, "scales", [&](auto &d) { d.scale_dtype = dtype; });
    refused(kInvalid, "blocks", [](auto &d) { d.block_n = 0; });
    refused(kInvalid, "blocks", [](auto &d) { d.block_k = -128; });
    refused(kInvalid, "compute", [](auto &d) { d.compute = ABY_DTYPE_F16; });
    refused(kInvalid, "count", [](auto &d) { d.use = ABK_USE_EMBEDDING; });
    refused(kInvalid, "weight (vector)", [](auto &d) { d.use = ABK_USE_VECTOR; });
    refused(kInvalid, "count", [](auto &d) { d.use = ABK_USE_MLA_KV_B; });
    const auto kv_b = [](abk_weight_desc &d, std::int32_t heads, std::int32_t nope, std::int32_t v) {
      d.use = ABK_USE_MLA_KV_B;
      d.count = 1;
      d.heads = heads;
      d.qk_nope = nope;
      d.v_dim = v;
    };
    refused(kInvalid, "heads", [&](auto &d) { kv_b(d, 2, 1, 1); }); // 4 rows, there are 6
    refused(kInvalid, "heads", [&](auto &d) { kv_b(d, 0, 3, 3); });
    refused(kInvalid, "heads", [&](auto &d) { kv_b(d, 1, 7, -1); });
    refused(kInvalid, "data is NULL", [](auto &d) { d.data = nullptr; }, true);
    refused(kInvalid, "scales is NULL", [](auto &d) { d.scales = nullptr; }, true);
    refused(kInvalid, "data of matrix 1 is NULL", [&](auto &d) { d.data = missing; }, true);
    refused(kInvalid, "scales of matrix 1 is NULL", [&](auto &d) { d.scales = missing; }, true);

    abk_weight_size size{};
    CHECK(device.api.weight_size(nullptr, &good, &size) == kInvalid);
    CHECK(device.api.weight_size(device.device, nullptr, &size) == kInvalid);
    CHECK(device.api.weight_size(device.device, &good, nullptr) == kInvalid);
    CHECK(device.api.weight_create(nullptr, &weight, &good) == kInvalid);
    CHECK(device.api.weight_create(device.device, &weight, nullptr) == kInvalid);
    CHECK(device.api.weight_create(device.device, nullptr, &good) == kInvalid);
  });
}

TEST_CASE("weight_size tells what a weight takes, and how much of it stays where it is") {
  struct Case {
    abk_weight_use use;
    aby_dtype dtype;
    std::int64_t n, k, count;
    std::uint64_t data, scales; // bytes in all
  };
  const std::vector<Case> cases = {
      {ABK_USE_MATRIX, ABY_DTYPE_F32, 5, 7, 1, 140, 0},
      {ABK_USE_MATRIX, ABY_DTYPE_BF16, 5, 7, 3, 210, 0},
      {ABK_USE_EMBEDDING, ABY_DTYPE_F16, 100, 9, 1, 1800, 0},
      {ABK_USE_MATRIX, ABY_DTYPE_F8_E4M3, 129, 257, 2, 66306, 48},
      {ABK_USE_VECTOR, ABY_DTYPE_F32, 33, 1, 1, 132, 0},
      {ABK_USE_MATRIX, ABY_DTYPE_F8_E4M3, 1 << 20, 1 << 20, 1 << 10, std::uint64_t{1} << 50, std::uint64_t{1} << 38}};
  for (const Case &c : cases) {
    for (const bool borrowed : {false, true}) {
      on_every_backend([&](OpDevice &device) {
        abk_weight_desc desc{};
        desc.use = c.use;
        desc.dtype = c.dtype;
        desc.n = c.n;
        desc.k = c.k;
        desc.count = c.count;
        desc.scale_dtype = ABY_DTYPE_F32;
        desc.block_n = desc.block_k = 128;
        desc.borrowed = borrowed ? 1 : 0;
        desc.compute = ABY_DTYPE_F32; // no data: it is not read
        INFO(dtype_name(c.dtype), " ", c.n, " x ", c.k, " borrowed ", borrowed);
        abk_weight_size size{};
        device.must(device.api.weight_size(device.device, &desc, &size), "weight_size");
        CHECK(size.bytes == c.data + c.scales);
        CHECK(size.borrowed_bytes <= size.bytes);
        if (!borrowed || &device.api == deferred()) // which has its own memory
          CHECK(size.borrowed_bytes == 0);
        else if (c.use != ABK_USE_VECTOR)
          CHECK(size.borrowed_bytes >= c.data);
      });
    }
  }
}

TEST_CASE("weight_size names the layout that quantised weights are packed in, and no other") {
  const std::vector<std::pair<aby_dtype, std::string>> packed = {
      {ABY_DTYPE_Q4_0, "q4"},         {ABY_DTYPE_Q4_1, "q4_bias"},  {ABY_DTYPE_Q5_0, "q8"},
      {ABY_DTYPE_Q5_1, "q5_bias"},    {ABY_DTYPE_Q8_0, "q8"},       {ABY_DTYPE_Q2_K, "q4_g16_bias"},
      {ABY_DTYPE_Q3_K, "q4_g16"},     {ABY_DTYPE_Q4_K, "q4_k"},     {ABY_DTYPE_Q5_K, "q5_bias"},
      {ABY_DTYPE_Q6_K, "q8_g16"},     {ABY_DTYPE_IQ4_NL, "table4"}, {ABY_DTYPE_IQ4_XS, "table4_f32"},
      {ABY_DTYPE_MXFP4, "table4_f32"}};
  for (const auto &[dtype, layout] : packed) {
    for (const aby_dtype compute : {ABY_DTYPE_I8, ABY_DTYPE_F32}) {
      on_every_backend([&](OpDevice &device) {
        abk_weight_desc desc{};
        desc.dtype = dtype;
        desc.n = 16;
        desc.k = 256;
        desc.count = 2;
        desc.compute = compute;
        INFO(dtype_name(dtype), " for ", dtype_name(compute));
        abk_weight_size size{};
        device.must(device.api.weight_size(device.device, &desc, &size), "weight_size");
        const bool packs = std::string(device.api.name) == "cpu" && compute == ABY_DTYPE_I8;
        CHECK(std::string(size.layout != nullptr ? size.layout : "") == (packs ? layout : ""));
      });
    }
  }
}

TEST_CASE("borrowed data that cannot be read where it lies does not stay there") {
  on_every_backend([](OpDevice &device) {
    Random random(2);
    const WeightData data = random_matrix(random, 6, 4, 2, {ABY_DTYPE_BF16});
    const void *pointers[] = {data.data[0].data(), data.data[1].data() + 1};
    abk_weight_desc desc = described(data, pointers, nullptr);
    desc.borrowed = 1;
    abk_weight_size size{};
    device.must(device.api.weight_size(device.device, &desc, &size), "weight_size");
    CHECK(size.bytes == 96);
    CHECK(size.borrowed_bytes == (&device.api == deferred() ? 0 : 48));
  });
}

TEST_CASE("descriptions of batches are checked") {
  on_every_backend([](OpDevice &device) {
    Random random(3);
    const BatchData data = make_batch(random, {{62, 2}, {5, 0}, {0, 1}}, 4, 10);
    const std::int32_t falling[] = {0, 2, 1, 3}, late[] = {1, 2, 2, 3}, early[] = {0, 2, 2, 2}, context[] = {62, -1, 0},
                       far[] = {62, 5, 1 << 30};
    const auto refused = [&](const std::string &text, auto change) {
      abk_batch_desc desc = data.desc();
      change(desc);
      abk_batch *batch = nullptr;
      expect_refusal(device, device.api.batch_create(device.stream, &batch, &desc), text);
      CHECK(batch == nullptr);
    };
    refused("tokens", [](auto &d) { d.tokens = -1; });
    refused("sequences", [](auto &d) { d.sequences = -1; });
    refused("table stride", [](auto &d) { d.table_stride = -1; });
    for (const std::int32_t rope_dim : {-2, 3, 1 << 30})
      refused("rope_dim", [&](auto &d) { d.rope_dim = rope_dim; });
    refused("token_ids", [](auto &d) { d.token_ids = nullptr; });
    refused("row_begin", [](auto &d) { d.row_begin = nullptr; });
    refused("context", [](auto &d) { d.context = nullptr; });
    refused("block_table", [](auto &d) { d.block_table = nullptr; });
    refused("rope", [](auto &d) { d.rope = nullptr; });
    refused("row_begin falls at sequence 1", [&](auto &d) { d.row_begin = falling; });
    refused("row_begin goes from 1 to 3", [&](auto &d) { d.row_begin = late; });
    refused("row_begin goes from 0 to 2", [&](auto &d) { d.row_begin = early; });
    refused("sequence 1 has context -1", [&](auto &d) { d.context = context; });
    refused("sequence 2 needs", [&](auto &d) { d.context = far; });
    refused("sequence 0 needs", [&](auto &d) { d.table_stride = 0; });
    abk_batch *batch = nullptr;
    const abk_batch_desc good = data.desc();
    expect_refusal(device, device.api.batch_create(nullptr, &batch, &good), "stream");
    expect_refusal(device, device.api.batch_create(device.stream, nullptr, &good), "out");
    expect_refusal(device, device.api.batch_create(device.stream, &batch, nullptr), "desc");
  });
}
