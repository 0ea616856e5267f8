#include "model/rope.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace abyssal;

namespace {

// Heads of 128 + 64, of which 64 are turned.
RopeConfig mla_rope(double factor, double mscale_all_dim) {
  return {.dim = 64,
          .score_dim = 192,
          .scores_scaled = true,
          .theta = 10000,
          .scaling = RopeScaling::kYarn,
          .factor = factor,
          .original_max_position_embeddings = 4096,
          .beta_fast = 32,
          .beta_slow = 1,
          .mscale = 1,
          .mscale_all_dim = mscale_all_dim};
}

} // namespace

TEST_CASE("without scaling the frequencies are powers of theta, and a row is cos and sin of the angle") {
  const Rope rope({.dim = 8, .score_dim = 8, .theta = 10000});
  REQUIRE(rope.dim() == 8);
  CHECK(rope.inverse_frequency()[0] == 1.0f);
  CHECK(rope.inverse_frequency()[2] == doctest::Approx(0.01));
  CHECK(rope.score_scale() == doctest::Approx(1 / std::sqrt(8.0)));
  std::vector<float> table;
  rope.append(table, 3);
  REQUIRE(table.size() == 8);
  CHECK(table[0] == doctest::Approx(std::cos(3.0)));
  CHECK(table[1] == doctest::Approx(std::sin(3.0)));
  CHECK(table[4] == doctest::Approx(std::cos(0.03)));
}

TEST_CASE("YaRN as DeepSeek-V3 uses it: ends kept and divided, the score scaled by m squared") {
  const Rope rope(mla_rope(40, 1));
  const auto plain = [](int i) { return std::pow(10000.0, -i / 32.0); };
  // 32 turns of 4096 positions: index 10.46; one turn: index 22.5. The ramp runs from 10 to 23.
  for (const int i : {0, 5, 10})
    CHECK(rope.inverse_frequency()[static_cast<std::size_t>(i)] == doctest::Approx(plain(i)));
  for (const int i : {23, 28, 31})
    CHECK(rope.inverse_frequency()[static_cast<std::size_t>(i)] == doctest::Approx(plain(i) / 40));
  const double share = 6.0 / 13;
  CHECK(rope.inverse_frequency()[16] == doctest::Approx(plain(16) * (1 - share) + plain(16) / 40 * share));
  const double m = 0.1 * std::log(40.0) + 1;
  CHECK(rope.score_scale() == doctest::Approx(m * m / std::sqrt(192.0)));
  std::vector<float> table;
  rope.append(table, 0);
  CHECK(table[0] == 1.0f); // mscale equals mscale_all_dim: cos and sin are not scaled
}

TEST_CASE("YaRN with mscale alone scales cos and sin, not the score") {
  const Rope rope(mla_rope(16, 0));
  std::vector<float> table;
  rope.append(table, 0);
  CHECK(table[0] == doctest::Approx(0.1 * std::log(16.0) + 1));
  CHECK(rope.score_scale() == doctest::Approx(1 / std::sqrt(192.0)));
}

TEST_CASE("Llama 3: short wavelengths kept, long ones divided by the factor, between the two a smooth step") {
  const Rope rope({.dim = 128,
                   .score_dim = 128,
                   .theta = 500000,
                   .scaling = RopeScaling::kLlama3,
                   .factor = 8,
                   .original_max_position_embeddings = 8192});
  const auto plain = [](int i) { return std::pow(500000.0, -i / 64.0); };
  CHECK(rope.inverse_frequency()[0] == doctest::Approx(1.0));
  CHECK(rope.inverse_frequency()[20] == doctest::Approx(plain(20)));
  CHECK(rope.inverse_frequency()[50] == doctest::Approx(plain(50) / 8));
  const double turns = 8192 * plain(31) / (2 * 3.14159265358979);
  REQUIRE(turns > 1);
  REQUIRE(turns < 4);
  const double smooth = (turns - 1) / 3;
  CHECK(rope.inverse_frequency()[31] == doctest::Approx(plain(31) * ((1 - smooth) / 8 + smooth)));
}
