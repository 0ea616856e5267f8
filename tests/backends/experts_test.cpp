// moe_experts on every backend, against one row and one expert after another.
#include "base/dtype.h"
#include "base/status.h"
#include "naive_ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace abyssal;
using namespace abyssal::test;

namespace {

constexpr aby_dtype kF32 = ABY_DTYPE_F32;
constexpr aby_dtype kBf16 = ABY_DTYPE_BF16;

// Which experts rows choose: any; the last one always, besides others where top_k asks for them; none but the first
// top_k; any but number 1.
enum class Choice { kAny, kLastAlways, kFirst, kNeverOne };

struct ExpertsCase {
  std::int64_t rows;
  std::int32_t experts, top_k;
  std::int64_t hidden, inter, shared_inter; // shared_inter 0: none
  WeightLike like;
  Choice choice;
  aby_dtype x_dtype, out_dtype;
};

std::string text_of(const ExpertsCase &c) {
  return concat(c.rows, " rows, top ", c.top_k, " of ", c.experts, " choice ", static_cast<int>(c.choice), " hidden ",
                c.hidden, " inter ", c.inter, " shared ", c.shared_inter, " w ", dtype_name(c.like.dtype), " ",
                c.like.block_n, "x", c.like.block_k, " compute ", dtype_name(c.like.compute), " misaligned ",
                c.like.misalign, " x ", dtype_name(c.x_dtype), " out ", dtype_name(c.out_dtype));
}

std::vector<std::int32_t> choose(Random &random, const ExpertsCase &c) {
  std::vector<std::int32_t> index;
  for (std::int64_t r = 0; r < c.rows; ++r) {
    std::vector<std::int32_t> all(static_cast<std::size_t>(c.experts));
    std::iota(all.begin(), all.end(), 0);
    if (c.choice != Choice::kFirst)
      std::shuffle(all.begin(), all.end(), random);
    if (c.choice == Choice::kLastAlways)
      std::swap(*std::find(all.begin(), all.end(), c.experts - 1), all[0]);
    if (c.choice == Choice::kNeverOne)
      all.erase(std::find(all.begin(), all.end(), 1));
    std::sort(all.begin(), all.begin() + c.top_k);
    index.insert(index.end(), all.begin(), all.begin() + c.top_k);
  }
  return index;
}

struct Experts {
  explicit Experts(const ExpertsCase &of);
  Values expected() const;
  Values run(OpDevice &device) const;

  ExpertsCase c;
  Random random;
  Values x, weight;
  std::vector<std::int32_t> index;
  WeightData gate, up, down, shared_gate, shared_up, shared_down;
};

Experts::Experts(const ExpertsCase &of)
    : c(of), random(static_cast<unsigned>(of.rows * 1009 + of.hidden * 31 + of.inter)) {
  x = rounded(random_values(random, c.rows * c.hidden), c.x_dtype);
  weight = random_values(random, c.rows * c.top_k, -0.5, 2);
  index = choose(random, c);
  gate = random_matrix(random, c.inter, c.hidden, c.experts, c.like);
  up = random_matrix(random, c.inter, c.hidden, c.experts, c.like);
  down = random_matrix(random, c.hidden, c.inter, c.experts, c.like);
  if (c.shared_inter == 0)
    return;
  shared_gate = random_matrix(random, c.shared_inter, c.hidden, 1, c.like);
  shared_up = random_matrix(random, c.shared_inter, c.hidden, 1, c.like);
  shared_down = random_matrix(random, c.hidden, c.shared_inter, 1, c.like);
}

Values Experts::expected() const {
  Values out;
  for (std::int64_t r = 0; r < c.rows; ++r) {
    const Values row(x.begin() + r * c.hidden, x.begin() + (r + 1) * c.hidden);
    Values sum(static_cast<std::size_t>(c.hidden));
    if (c.shared_inter > 0)
      sum = naive_swiglu(row, 1, shared_gate, shared_up, shared_down);
    for (std::int64_t i = r * c.top_k; i < (r + 1) * c.top_k; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const Values part = naive_swiglu(row, 1, gate, up, down, index[at]);
      for (std::size_t j = 0; j < sum.size(); ++j)
        sum[j] += weight[at] * part[j];
    }
    out.insert(out.end(), sum.begin(), sum.end());
  }
  return rounded(out, c.out_dtype);
}

Values Experts::run(OpDevice &device) const {
  abk_op_desc scratch{};
  scratch.op = ABK_OP_MOE_EXPERTS;
  scratch.rows = static_cast<std::int32_t>(c.rows);
  scratch.hidden = static_cast<std::int32_t>(c.hidden);
  scratch.inter = static_cast<std::int32_t>(c.inter);
  scratch.shared_inter = static_cast<std::int32_t>(c.shared_inter);
  scratch.experts = c.experts;
  scratch.top_k = c.top_k;
  abk_moe_experts_args args{};
  args.rows = scratch.rows;
  args.top_k = c.top_k;
  args.x = device.rows(x, c.rows, c.hidden, c.x_dtype, 3);
  args.index = device.ints(index);
  args.weight = device.floats(weight);
  args.gate = device.weight(gate);
  args.up = device.weight(up);
  args.down = device.weight(down);
  args.shared_gate = device.weight(shared_gate);
  args.shared_up = device.weight(shared_up);
  args.shared_down = device.weight(shared_down);
  args.out = device.rows({}, c.rows, c.hidden, c.out_dtype, 2);
  args.scratch = device.scratch(scratch);
  device.must(device.run(ABK_OP_MOE_EXPERTS, &args), "moe_experts");
  return device.download(args.out, c.rows);
}

void check_experts(const ExpertsCase &c) {
  const Experts experts(c);
  const Values expected = experts.expected();
  // In bf16 a value in the middle may be rounded the other way.
  const double exact = c.like.compute == kF32 ? 1e-6 : 1e-3;
  for_each_backend(
      &expected, c.out_dtype == kF32 ? exact : 4e-3, tolerance(c.like.compute, c.out_dtype),
      [&](OpDevice &device) { return experts.run(device); }, text_of(c));
}

} // namespace

TEST_CASE("moe_experts over rows, top_k and choices") {
  std::size_t i = 0;
  for (const std::int64_t rows : {0, 1, 2, 7, 8, 9, 16, 17, 65, 200}) {
    for (const std::int32_t top_k : {1, 2, 3, 6, 8}) {
      for (const Choice choice : {Choice::kAny, Choice::kLastAlways, Choice::kFirst, Choice::kNeverOne}) {
        ++i;
        check_experts({rows, top_k + 3, top_k, 24, 17, i % 3 == 0 ? 0 : 33, weight_formats()[i % 9], choice,
                       i % 2 == 0 ? kF32 : kBf16, i % 5 < 3 ? kF32 : kBf16});
      }
    }
  }
}

TEST_CASE("moe_experts of every weight format and odd sizes") {
  std::size_t i = 0;
  for (const WeightLike &like : weight_formats()) {
    for (const std::int64_t hidden : {1, 15, 32, 65, 130}) {
      for (const std::int64_t inter : {1, 16, 31, 129}) {
        ++i;
        check_experts({std::vector<std::int64_t>{1, 3, 20}[i % 3], 5, 2, hidden, inter,
                       std::vector<std::int64_t>{0, 1, 64, 33}[i % 4], like, Choice::kAny, i % 2 == 0 ? kF32 : kBf16,
                       i % 7 < 4 ? kF32 : kBf16});
      }
    }
  }
}

TEST_CASE("moe_experts with fp8 blocks that do not divide anything") {
  std::size_t i = 0;
  for (const std::int64_t block_n : {1, 7, 128}) {
    for (const std::int64_t block_k : {1, 5, 48, 128}) {
      for (const aby_dtype scale : {ABY_DTYPE_F32, ABY_DTYPE_BF16, ABY_DTYPE_F8_E8M0}) {
        for (const aby_dtype compute : {kF32, kBf16}) {
          ++i;
          check_experts({std::vector<std::int64_t>{2, 40}[i % 2],
                         3,
                         2,
                         131,
                         133,
                         0,
                         {ABY_DTYPE_F8_E4M3, compute, scale, block_n, block_k, i % 3 != 0, i % 4},
                         Choice::kAny,
                         kF32,
                         kF32});
        }
      }
    }
  }
}

TEST_CASE("moe_experts with one expert, and with all of them") {
  for (const WeightLike &like : {weight_formats()[0], weight_formats()[1]}) {
    for (const std::int64_t rows : {1, 9, 70}) {
      check_experts({rows, 1, 1, 40, 20, 8, like, Choice::kAny, kF32, kF32});
      check_experts({rows, 6, 6, 40, 20, 8, like, Choice::kAny, kF32, kF32});
    }
  }
}

TEST_CASE("a NaN stays in its row, whatever expert it shares with others") {
  Experts experts({3, 2, 1, 4, 3, 0, {}, Choice::kFirst, kF32, kF32});
  experts.x[4 + 2] = std::numeric_limits<double>::quiet_NaN();
  for (const abk_backend *backend : backends()) {
    INFO(std::string(backend->name));
    OpDevice device(backend);
    const Values out = experts.run(device);
    for (std::size_t i = 0; i < out.size(); ++i)
      CHECK(std::isnan(out[i]) == (i / 4 == 1));
  }
}
