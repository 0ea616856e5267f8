// Products with weights in block formats and int8 activations: every bit as backends/cpu/packed says, for any number of
// rows, threads and instruction set, and near the exact product.
#include "base/dtype.h"
#include "base/status.h"
#include "naive_ops.h"
#include "packed_definition.h"

#include <algorithm>
#include <array>
#include <cmath>

using namespace abyssal;
using namespace abyssal::test;

namespace {

Values linear(OpDevice &device, const Values &x, std::int64_t rows, const WeightData &w) {
  abk_linear_args args{static_cast<std::int32_t>(rows), device.rows(x, rows, w.k, ABY_DTYPE_F32, 3), device.weight(w),
                       nullptr, device.rows({}, rows, w.n, ABY_DTYPE_F32, 5)};
  device.must(device.run(ABK_OP_LINEAR, &args), "linear");
  return device.download(args.out, rows);
}

WeightLike int8_like(aby_dtype format, aby_dtype compute = ABY_DTYPE_I8) {
  return {format, compute, ABY_DTYPE_F32, 0, 0, format % 2 == 0, static_cast<std::size_t>(format % 3 == 0 ? 1 : 0)};
}

const abk_backend *cpu() { return backends().back(); }

} // namespace

namespace {

// Rows in which some groups stand far above the others, other ones in each row.
Values activations(Random &random, std::int64_t rows, std::int64_t k) {
  Values x = random_values(random, rows * k);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = r % 3 * kActivationGroup; i < k; i += 5 * kActivationGroup)
      x[static_cast<std::size_t>(r * k + i + r % kActivationGroup)] *= 20 + static_cast<double>(r);
  }
  return x;
}

void check_bits(aby_dtype format, aby_dtype compute, std::int64_t n, std::int64_t k) {
  Random random(static_cast<unsigned>(k + n));
  const WeightData w = random_matrix(random, n, k, 1, int8_like(format, compute));
  const std::int64_t most = 26;
  Values x = activations(random, most, k);
  std::fill_n(x.begin(), std::min<std::int64_t>(k, kActivationGroup), 0.0); // a group of zeros
  for (std::size_t i = static_cast<std::size_t>(k); i < static_cast<std::size_t>(2 * k); ++i)
    x[i] *= 1e-30; // and small ones
  const Values want = packed_linear(x, most, w);
  OpDevice device(cpu());
  for (const std::int64_t rows : {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 26}) {
    INFO(concat(dtype_name(format), " ", dtype_name(compute), " n ", n, " k ", k, " rows ", rows));
    const Values got = linear(device, Values(x.begin(), x.begin() + rows * k), rows, w);
    CHECK(got == Values(want.begin(), want.begin() + rows * n));
  }
}

} // namespace

TEST_CASE("packed products give the documented bits for every format, shape and number of rows") {
  for (aby_dtype format = ABY_DTYPE_Q4_0; format <= ABY_DTYPE_MXFP4; ++format) {
    const std::int64_t block = dtype_block(format).elements;
    for (const aby_dtype compute : {ABY_DTYPE_I8, ABY_DTYPE_I16}) {
      for (const std::int64_t k : {block, 3 * block, std::int64_t{1280}}) {
        for (const std::int64_t n : {1, 16, 33})
          check_bits(format, compute, n, k);
      }
    }
  }
}

TEST_CASE("packed products are near the exact ones") {
  for (aby_dtype format = ABY_DTYPE_Q4_0; format <= ABY_DTYPE_MXFP4; ++format) {
    for (const aby_dtype compute : {ABY_DTYPE_I8, ABY_DTYPE_I16}) {
      Random random(7);
      const WeightData w = random_matrix(random, 64, 1024, 1, int8_like(format, compute));
      const Values x = random_values(random, 9 * 1024);
      const Values want = naive_linear(x, 9, w);
      for (const abk_backend *backend : backends()) { // the others multiply in float32
        INFO(std::string(backend->name), " ", dtype_name(format), " ", dtype_name(compute));
        OpDevice device(backend);
        const double limit = backend != cpu() ? 1e-6 : compute == ABY_DTYPE_I8 ? 1e-2 : 5e-5;
        CHECK(difference(linear(device, x, 9, w), want, limit) == "");
      }
    }
  }
}

TEST_CASE("a NaN or infinity stays in its row of a packed product") {
  for (const aby_dtype compute : {ABY_DTYPE_I8, ABY_DTYPE_I16}) {
    for (const double bad : {std::nan(""), HUGE_VAL}) {
      for (const std::int64_t rows : {3, 14}) {
        Random random(3);
        const WeightData w = random_matrix(random, 20, 512, 1, int8_like(ABY_DTYPE_Q4_0, compute));
        Values x = random_values(random, rows * 512);
        x[512 + 300] = bad;
        OpDevice device(cpu());
        const Values got = linear(device, x, rows, w);
        for (std::size_t i = 0; i < got.size(); ++i)
          CHECK(std::isfinite(got[i]) == (i / 20 != 1));
      }
    }
  }
}

namespace {

struct Experts {
  std::int64_t experts, hidden, inter, shared_inter;
  WeightData gate, up, down, shared_gate, shared_up, shared_down;
};

Values run_experts(OpDevice &device, const Experts &e, const Values &x, const std::vector<std::int32_t> &index,
                   const Values &weight, std::int32_t rows, std::int32_t top_k) {
  abk_moe_experts_args args{};
  args.rows = rows;
  args.top_k = top_k;
  args.x = device.rows(x, rows, e.hidden, ABY_DTYPE_F32);
  args.index = device.ints(index);
  args.weight = device.floats(weight);
  args.gate = device.weight(e.gate);
  args.up = device.weight(e.up);
  args.down = device.weight(e.down);
  args.shared_gate = device.weight(e.shared_gate);
  args.shared_up = device.weight(e.shared_up);
  args.shared_down = device.weight(e.shared_down);
  args.out = device.rows({}, rows, e.hidden, ABY_DTYPE_F32);
  abk_op_desc desc{};
  desc.op = ABK_OP_MOE_EXPERTS;
  desc.rows = rows;
  desc.hidden = static_cast<std::int32_t>(e.hidden);
  desc.inter = static_cast<std::int32_t>(e.inter);
  desc.shared_inter = static_cast<std::int32_t>(e.shared_inter);
  desc.experts = static_cast<std::int32_t>(e.experts);
  desc.top_k = top_k;
  args.scratch = device.scratch(desc);
  device.must(device.run(ABK_OP_MOE_EXPERTS, &args), "moe_experts");
  return device.download(args.out, rows);
}

} // namespace

TEST_CASE("packed experts: near the exact ones, and a row's bits do not depend on the rows beside it") {
  const std::array<std::array<aby_dtype, 3>, 5> mixes = {{{ABY_DTYPE_Q4_0, ABY_DTYPE_Q4_0, ABY_DTYPE_Q4_0},
                                                          {ABY_DTYPE_Q4_K, ABY_DTYPE_Q4_K, ABY_DTYPE_Q6_K},
                                                          {ABY_DTYPE_Q8_0, ABY_DTYPE_Q2_K, ABY_DTYPE_BF16},
                                                          {ABY_DTYPE_BF16, ABY_DTYPE_Q4_1, ABY_DTYPE_Q5_0},
                                                          {ABY_DTYPE_F32, ABY_DTYPE_F32, ABY_DTYPE_IQ4_XS}}};
  constexpr std::int32_t rows = 45, top_k = 2;
  for (const auto &mix : mixes) {
    Experts e{5, 256, 512, 256, {}, {}, {}, {}, {}, {}};
    Random random(11);
    e.gate = random_matrix(random, e.inter, e.hidden, e.experts, int8_like(mix[0]));
    e.up = random_matrix(random, e.inter, e.hidden, e.experts, int8_like(mix[1]));
    e.down = random_matrix(random, e.hidden, e.inter, e.experts, int8_like(mix[2]));
    e.shared_gate = random_matrix(random, e.shared_inter, e.hidden, 1, int8_like(mix[0]));
    e.shared_up = random_matrix(random, e.shared_inter, e.hidden, 1, int8_like(mix[1]));
    e.shared_down = random_matrix(random, e.hidden, e.shared_inter, 1, int8_like(mix[2]));
    const Values x = random_values(random, rows * e.hidden), weight = random_values(random, rows * top_k, 0, 1);
    std::vector<std::int32_t> index;
    for (std::int32_t r = 0; r < rows; ++r) { // expert 4 gets nothing, expert 3 every row
      index.push_back(r % 3);
      index.push_back(3);
    }
    OpDevice exact(reference()), device(cpu());
    const Values want = run_experts(exact, e, x, index, weight, rows, top_k);
    const Values all = run_experts(device, e, x, index, weight, rows, top_k);
    INFO(dtype_name(mix[0]), " ", dtype_name(mix[1]), " ", dtype_name(mix[2]));
    CHECK(difference(all, want, 2e-2) == "");
    const bool packed = std::all_of(mix.begin(), mix.end(), is_block_format);
    for (const std::int32_t r : {0, 17, 44}) {
      const auto part = [&](const auto &values, std::int64_t width) {
        return std::decay_t<decltype(values)>(values.begin() + r * width, values.begin() + (r + 1) * width);
      };
      const Values alone = run_experts(device, e, part(x, e.hidden), part(index, top_k), part(weight, top_k), 1, top_k);
      CHECK((!packed || alone == part(all, e.hidden)));
      // Float products of few rows sum in another order, and a last bit may round an activation the other way.
      CHECK(difference(alone, part(all, e.hidden), packed ? 0 : 3e-5) == "");
    }
  }
}
