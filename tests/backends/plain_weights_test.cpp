// Products with bf16 and fp8 weights over rows longer than the kernels take at once, and which bits they give.
#include "base/dtype.h"
#include "base/status.h"
#include "naive_ops.h"
#if ABYSSAL_TEST_CPU
#include "backends/cpu/device/isa.h"
#endif

#include <algorithm>
#include <cstring>

using namespace abyssal;
using namespace abyssal::test;

namespace {

constexpr aby_dtype kF32 = ABY_DTYPE_F32, kBf16 = ABY_DTYPE_BF16, kF8 = ABY_DTYPE_F8_E4M3;

Values product(OpDevice &device, const Values &x, const WeightData &w) {
  const auto rows = static_cast<std::int32_t>(static_cast<std::int64_t>(x.size()) / w.k);
  const abk_linear_args args{rows, device.rows(x, rows, w.k, kF32, 5), device.weight(w), nullptr,
                             device.rows({}, rows, w.n, kF32, 3)};
  device.must(device.run(ABK_OP_LINEAR, &args), "linear");
  return device.download(args.out, rows);
}

Values some_rows(const Values &all, std::int64_t first, std::int64_t count, std::int64_t cols) {
  return {all.begin() + first * cols, all.begin() + (first + count) * cols};
}

void check_product(std::int64_t rows, std::int64_t n, std::int64_t k, const WeightLike &like) {
  Random random(static_cast<unsigned>(rows + n + k));
  const Values x = random_values(random, rows * k);
  const WeightData w = random_matrix(random, n, k, 1, like);
  const Values expected = naive_linear(x, rows, w);
  for_each_backend(
      &expected, 1e-6, tolerance(like.compute, kF32), [&](OpDevice &device) { return product(device, x, w); },
      concat(rows, " rows, n ", n, " k ", k, " w ", dtype_name(like.dtype), " ", like.block_n, "x", like.block_k,
             " compute ", dtype_name(like.compute)));
}

// Every byte of e4m3 but the two that are not numbers, in rows of 256: w[i][j] has the bits j + i.
WeightData every_f8(aby_dtype compute, std::int64_t n) {
  WeightData w;
  w.dtype = kF8;
  w.compute = compute;
  w.n = n;
  w.k = 256;
  w.scale_dtype = kF32;
  w.block_n = w.block_k = 128;
  w.data.emplace_back();
  for (std::int64_t i = 0; i < n * w.k; ++i) {
    const auto bits = static_cast<std::uint8_t>(i % w.k + i / w.k);
    w.data[0].push_back((bits & 0x7f) == 0x7f ? std::uint8_t{0} : bits);
    w.values.push_back(f8_e4m3_to_float(w.data[0].back()));
  }
  const std::vector<float> ones(static_cast<std::size_t>((n + 127) / 128 * 2), 1.0f);
  w.scales.emplace_back(ones.size() * sizeof(float));
  std::memcpy(w.scales[0].data(), ones.data(), w.scales[0].size());
  return w;
}

} // namespace

TEST_CASE("linear with bf16 and fp8 weights over long rows") {
  for (const aby_dtype compute : {kF32, kBf16}) {
    for (const WeightLike &like : {WeightLike{kBf16, compute}, WeightLike{kF8, compute},
                                   WeightLike{kF8, compute, kBf16, 48, 256}, WeightLike{kF8, compute, kF32, 7, 192}}) {
      for (const std::int64_t rows : {1, 2, 3, 4, 7})
        check_product(rows, 14, 4096 + 300 + rows, like);
      check_product(1, 131, 512, like);
      check_product(2, 3, 8192, like);
      for (const std::int64_t rows : {9, 12, 13, 25, 50})
        check_product(rows, 60 + rows, 390 + 7 * rows, like);
      check_product(1200, 33, 257, like);
    }
  }
}

TEST_CASE("every number of e4m3 has its value") {
  for (const aby_dtype compute : {kF32, kBf16}) {
    const WeightData w = every_f8(compute, 130);
    for (const std::int64_t rows : {1, 4, 12, 64}) {
      for (const abk_backend *backend : backends()) {
        INFO(std::string(backend->name), " ", rows, " rows, compute ", dtype_name(compute));
        OpDevice device(backend);
        for (std::int64_t first = 0; first < w.k; first += 64) { // picks some columns, one a row
          Values x(static_cast<std::size_t>(rows * w.k)), expected;
          for (std::int64_t r = 0; r < rows; ++r) {
            const std::int64_t column = (first + r * 5) % w.k;
            x[static_cast<std::size_t>(r * w.k + column)] = 1;
            for (std::int64_t i = 0; i < w.n; ++i)
              expected.push_back(w.at(0, i, column));
          }
          CHECK(product(device, x, w) == expected);
        }
      }
    }
  }
}

#if ABYSSAL_TEST_CPU
// More than eight rows of float32 activations are oneDNN's, which sums as it likes; with AMX those of bf16 too.
TEST_CASE("a row's bits depend on whether there are many rows, not on which") {
  constexpr std::int64_t kN = 70, kK = 700, kRows = 650;
  const bool tiles = cpu::detect_isa() >= cpu::Isa::kAvx512Bf16 && !__builtin_cpu_supports("amx-bf16");
  for (const WeightLike &like : {WeightLike{kBf16, kBf16}, WeightLike{kF8, kBf16}, WeightLike{kF8, kF32}}) {
    Random random(3);
    const Values x = random_values(random, kRows * kK);
    const WeightData w = random_matrix(random, kN, kK, 1, like);
    for (const abk_backend *backend : backends()) {
      INFO(std::string(backend->name), " ", dtype_name(like.dtype), " compute ", dtype_name(like.compute));
      OpDevice device(backend), other(backend, 3);
      const Values few = product(device, some_rows(x, 0, 8, kK), w);
      for (const std::int64_t count : {1, 2, 3, 4, 5})
        CHECK(product(other, some_rows(x, 2, count, kK), w) == some_rows(few, 2, count, kN));
      if (!tiles || like.compute != kBf16)
        continue;
      const Values all = product(device, x, w);
      for (const std::int64_t first : {0, 77, 570}) {
        for (const std::int64_t count : {9, 12, 13, 50})
          CHECK(product(other, some_rows(x, first, count, kK), w) == some_rows(all, first, count, kN));
      }
    }
  }
}
#endif
