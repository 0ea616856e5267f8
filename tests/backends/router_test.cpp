// The router's product: near the reference, and a row's logits have the same bits whatever rows are beside it.
#include "base/dtype.h"
#include "base/status.h"
#include "naive_ops.h"
#include "op_fixture.h"

using namespace abyssal;
using namespace abyssal::test;

namespace {

constexpr std::int64_t kHidden = 203;

Values logits_of(OpDevice &device, const Values &x, const WeightData &gate, aby_dtype x_dtype) {
  const auto rows = static_cast<std::int32_t>(static_cast<std::int64_t>(x.size()) / kHidden);
  const abk_linear_args args{rows, device.rows(x, rows, kHidden, x_dtype, 3), device.weight(gate), nullptr,
                             device.rows({}, rows, gate.n, ABY_DTYPE_F32, 1)};
  device.must(device.run(ABK_OP_LINEAR, &args), "linear");
  return device.download(args.out, rows);
}

} // namespace

TEST_CASE("a router's logits do not depend on the rows beside them, nor on the threads") {
  for (const std::int64_t experts : {5, 64, 160}) {
    for (const aby_dtype dtype : {ABY_DTYPE_F32, ABY_DTYPE_BF16, ABY_DTYPE_F16}) {
      for (const aby_dtype x_dtype : {ABY_DTYPE_F32, ABY_DTYPE_BF16}) {
        Random random(static_cast<unsigned>(experts));
        const std::int64_t rows = 150;
        WeightData gate = random_matrix(random, experts, kHidden, 1, {dtype});
        gate.use = ABK_USE_ROUTER;
        const Values x = rounded(random_values(random, rows * kHidden), x_dtype);
        const Values want = naive_linear(x, rows, gate);
        for (const abk_backend *backend : backends()) {
          INFO(std::string(backend->name), " experts ", experts, " in ", dtype_name(dtype), " x ", dtype_name(x_dtype));
          OpDevice device(backend, 2), other(backend, 3);
          const Values all = logits_of(device, x, gate, x_dtype);
          CHECK(difference(all, want, 1e-5) == "");
          CHECK(logits_of(other, x, gate, x_dtype) == all);
          for (const std::int64_t first : {0, 7, 149}) {
            for (const std::int64_t count : {1, 3, 8, 9, 70}) {
              const std::int64_t last = std::min(rows, first + count);
              const Values some(x.begin() + first * kHidden, x.begin() + last * kHidden);
              CHECK(logits_of(device, some, gate, x_dtype) ==
                    Values(all.begin() + first * experts, all.begin() + last * experts));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("a router is one matrix") {
  for (const abk_backend *backend : backends()) {
    INFO(std::string(backend->name));
    Random random(1);
    WeightData gate = random_matrix(random, 4, 8, 2, {});
    gate.use = ABK_USE_ROUTER;
    OpDevice device(backend);
    CHECK_THROWS_WITH(device.weight(gate), doctest::Contains("count 2"));
  }
}
