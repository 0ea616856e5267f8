// Kernels of attention in integers of 16 bits: the same bits on every instruction set, and a state that is a softmax.
#include "backends/cpu/attention/lane_kernels.h"
#include "base/dtype.h"
#include "device/backend.h"
#include "lane_over_avx2.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <doctest/doctest.h>
#include <random>
#include <string>
#include <vector>

using namespace abyssal;
using namespace abyssal::cpu;

namespace {

// 64-byte aligned.
template <typename Element> class Array {
public:
  explicit Array(std::int64_t count) : memory_(static_cast<std::size_t>(count) * sizeof(Element) + 64) {}
  Element *data() {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    return reinterpret_cast<Element *>(memory_.data() + (64 - address % 64) % 64);
  }

private:
  std::vector<std::byte> memory_;
};

struct Case {
  std::int64_t lora, rope, count, lanes;
  aby_dtype cache;
  bool all_seen;
};

struct Inputs {
  explicit Inputs(const Case &of);
  std::vector<float> run(const LaneKernels &kernels) const;
  std::vector<float> values(std::int64_t t) const;
  void check_near(const std::vector<float> &got) const;

  Case c;
  CachedRow layout;
  std::vector<std::byte> rows; // [64]
  std::vector<float> queries;  // [16, lora + rope]
  std::int32_t seen[kLanes];
};

Inputs::Inputs(const Case &of) : c(of), layout(latent_row(of.cache, of.lora, of.rope)) {
  std::mt19937 random(static_cast<unsigned>(c.lora * 64 + c.count));
  std::normal_distribution<float> normal;
  rows.resize(layout.bytes() * ABK_BLOCK_TOKENS);
  std::vector<float> row(static_cast<std::size_t>(layout.width));
  for (std::size_t t = 0; t < ABK_BLOCK_TOKENS; ++t) {
    for (float &x : row)
      x = normal(random);
    if (c.cache == ABY_DTYPE_I8) {
      store_cached(layout, row.data(), rows.data() + t * layout.bytes());
    } else {
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::uint16_t bits = float_to_bf16(row[i]);
        std::memcpy(rows.data() + t * layout.bytes() + i * sizeof bits, &bits, sizeof bits);
      }
    }
  }
  queries.resize(static_cast<std::size_t>(kLanes * layout.width));
  for (float &x : queries)
    x = normal(random) / std::sqrt(static_cast<float>(layout.width));
  for (std::int32_t &count : seen)
    count = static_cast<std::int32_t>(random() % static_cast<unsigned>(c.count + 1));
}

std::vector<float> Inputs::values(std::int64_t t) const {
  std::vector<float> row(static_cast<std::size_t>(layout.width));
  load_cached(layout, rows.data() + static_cast<std::size_t>(t) * layout.bytes(), row.data());
  return row;
}

// The block twice, as a lane sees it and whole, and merged with a state of the whole block: [top, total, mixed] of the
// lanes in use; then the products.
std::vector<float> Inputs::run(const LaneKernels &kernels) const {
  LaneBlock block;
  block.count = c.count;
  block.d_qk = c.lora + c.rope;
  block.split = block.d_v = c.lora;
  Array<std::byte> memory(kernels.row_bytes(block));
  kernels.latent_rows(block, layout, rows.data(), memory.data());
  Array<std::uint32_t> query(lane_query_words(block.d_qk));
  for (std::int64_t lane = 0; lane < kLanes; ++lane)
    kernels.put_query(queries.data() + lane * layout.width, block.d_qk, block.split, lane, query.data());
  Array<float> state(lane_state_floats(c.lora)), other(lane_state_floats(c.lora)), products(64 * kLanes);
  block.seen = c.all_seen ? nullptr : seen;
  kernels.add(block, query.data(), c.lanes, true, lane_state(state.data()));
  block.seen = nullptr;
  kernels.add(block, query.data(), c.lanes, false, lane_state(state.data()));
  kernels.add(block, query.data(), c.lanes, true, lane_state(other.data()));
  kernels.merge(lane_state(state.data()), lane_state(other.data()), c.lanes, c.lora);
  kernels.products(block, query.data(), products.data(), kLanes);
  std::vector<float> all;
  const LaneState at = lane_state(state.data());
  all.insert(all.end(), at.top, at.top + c.lanes);
  all.insert(all.end(), at.total, at.total + c.lanes);
  all.insert(all.end(), at.mixed, at.mixed + c.lanes * c.lora);
  all.insert(all.end(), products.data(), products.data() + c.count * kLanes);
  return all;
}

// Against the definition: rows that a lane sees count three times, the others twice.
void Inputs::check_near(const std::vector<float> &got) const {
  double squares = 0, errors = 0;
  for (std::int64_t lane = 0; lane < c.lanes; ++lane) {
    double total = 0;
    std::vector<double> mixed(static_cast<std::size_t>(c.lora));
    for (std::int64_t t = 0; t < c.count; ++t) {
      const std::vector<float> row = values(t);
      double score = 0;
      for (std::size_t i = 0; i < row.size(); ++i)
        score += double{row[i]} * queries[static_cast<std::size_t>(lane * layout.width) + i];
      const double weight = std::exp2(score) * (c.all_seen || t < seen[lane] ? 3 : 2);
      total += weight;
      for (std::size_t i = 0; i < mixed.size(); ++i)
        mixed[i] += weight * row[i];
    }
    const float *sums = got.data() + 2 * c.lanes + lane * c.lora;
    for (std::size_t i = 0; i < mixed.size(); ++i) {
      const double want = mixed[i] / total, is = double{sums[i]} / got[static_cast<std::size_t>(c.lanes + lane)];
      squares += want * want;
      errors += (is - want) * (is - want);
    }
  }
  CHECK(std::sqrt(errors / squares) < 1e-3);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::int64_t lora : {16, 48, 512}) {
    for (const std::int64_t rope : {0, 2, 64}) {
      for (const std::int64_t count : {1, 3, 17, 63, 64}) {
        for (const std::int64_t lanes : {1, 5, 16}) {
          const auto at = static_cast<std::int64_t>(all.size());
          all.push_back({lora, rope, count, lanes, at % 2 == 0 ? ABY_DTYPE_BF16 : ABY_DTYPE_I8, at % 3 == 0});
        }
      }
    }
  }
  return all;
}

bool same(const std::vector<float> &a, const std::vector<float> &b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

} // namespace

TEST_CASE("integer lanes are near the definition, and have the same bits on every instruction set") {
  const Isa isa = detect_isa();
  if (isa < Isa::kAvx2) {
    MESSAGE("skipped: no AVX2");
    return;
  }
  for (const Case &c : cases()) {
    INFO("lora ", c.lora, " rope ", c.rope, " rows ", c.count, " lanes ", c.lanes, " cache ", dtype_name(c.cache));
    const Inputs in(c);
    const std::vector<float> got = in.run(avx2_lane_kernels());
    in.check_near(got);
    CHECK(same(in.run(test::avx_vnni_lanes_over_avx2()), got));
    if (has_avx_vnni())
      CHECK(same(in.run(avx_vnni_lane_kernels()), got));
    if (isa >= Isa::kAvx512)
      CHECK(same(in.run(avx512_lane_kernels()), got));
    if (isa >= Isa::kAvx512Vnni)
      CHECK(same(in.run(avx512_vnni_lane_kernels()), got));
  }
}

TEST_CASE("a value of a row that is not finite is seen in its lanes' results, and in no others") {
  Case c{32, 16, 9, 2, ABY_DTYPE_BF16, false};
  Inputs in(c);
  in.seen[0] = 9;
  in.seen[1] = 4;
  const std::uint16_t infinite = 0x7f80;
  std::memcpy(in.rows.data() + 6 * in.layout.bytes(), &infinite, sizeof infinite);
  LaneBlock block;
  block.count = c.count;
  block.d_qk = c.lora + c.rope;
  block.split = block.d_v = c.lora;
  block.seen = in.seen;
  const LaneKernels &kernels = avx2_lane_kernels();
  Array<std::byte> memory(kernels.row_bytes(block));
  kernels.latent_rows(block, in.layout, in.rows.data(), memory.data());
  Array<std::uint32_t> query(lane_query_words(block.d_qk));
  for (std::int64_t lane = 0; lane < kLanes; ++lane)
    kernels.put_query(in.queries.data() + lane * in.layout.width, block.d_qk, block.split, lane, query.data());
  Array<float> state(lane_state_floats(c.lora));
  const LaneState at = lane_state(state.data());
  kernels.add(block, query.data(), c.lanes, true, at);
  CHECK(std::isnan(at.mixed[0]));
  for (std::int64_t i = 0; i < c.lora; ++i)
    CHECK(std::isfinite(at.mixed[c.lora + i]));
}
