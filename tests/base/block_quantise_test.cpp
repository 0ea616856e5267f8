// Rounding to block formats: what is lost, the scale's rule, and values that are none.
#include "base/block_quantise.h"

#include "base/block_format.h"
#include "base/dtype.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

using namespace abyssal;

namespace {

std::vector<float> round_trip(aby_dtype format, const std::vector<float> &x) {
  std::vector<unsigned char> blocks(row_bytes(format, static_cast<std::int64_t>(x.size())) + 1);
  quantise_blocks(format, x.data(), static_cast<std::int64_t>(x.size()), blocks.data() + 1); // at any address
  std::vector<float> back(x.size());
  dequantise(format, blocks.data() + 1, 0, static_cast<std::int64_t>(x.size()), back.data());
  return back;
}

std::vector<float> noise(std::size_t count, float size) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, size);
  std::vector<float> x(count);
  std::generate(x.begin(), x.end(), [&] { return normal(random); });
  return x;
}

double relative_error(const std::vector<float> &x, const std::vector<float> &reference) {
  double off = 0, norm = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    off += std::pow(double{x[i]} - reference[i], 2);
    norm += std::pow(double{reference[i]}, 2);
  }
  return std::sqrt(off / norm);
}

// Rounded to the scale that gives the largest magnitude the format's last step.
std::vector<float> plain(aby_dtype format, const std::vector<float> &x) {
  const bool eight = format == ABY_DTYPE_Q8_0;
  std::vector<float> rounded(x.size());
  for (std::size_t group = 0; group < x.size(); group += 32) {
    const auto first = x.begin() + static_cast<std::ptrdiff_t>(group);
    const float largest =
        *std::max_element(first, first + 32, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
    const float scale = f16_to_float(float_to_f16(largest / (eight ? 127.0f : -8.0f)));
    for (std::size_t i = group; i < group + 32; ++i)
      rounded[i] = scale * std::clamp(std::nearbyint(x[i] / scale), eight ? -127.0f : -8.0f, eight ? 127.0f : 7.0f);
  }
  return rounded;
}

std::vector<float> group_of(const std::vector<float> &x, std::size_t group) {
  return {x.begin() + static_cast<std::ptrdiff_t>(group), x.begin() + static_cast<std::ptrdiff_t>(group + 32)};
}

} // namespace

TEST_CASE("each group is as near as the largest magnitude's own scale makes it, and the whole is nearer") {
  // The scales of the least are float16's subnormals.
  for (const float size : {1e-5f, 1e-3f, 1.0f, 1e3f}) {
    for (const auto &[format, gain] : {std::pair{ABY_DTYPE_Q8_0, 0.93}, {ABY_DTYPE_Q4_0, 0.96}}) {
      CAPTURE(size);
      CAPTURE(dtype_name(format));
      const std::vector<float> x = noise(32 * 256, size), got = round_trip(format, x), other = plain(format, x);
      CHECK(relative_error(got, x) < (size > 1e-4f ? gain : 1.0) * relative_error(other, x));
      for (std::size_t group = 0; group < x.size(); group += 32) {
        const auto values = group_of(x, group);
        CHECK(relative_error(group_of(got, group), values) <= 1.0001 * relative_error(group_of(other, group), values));
      }
    }
  }
}

TEST_CASE("q8_0 is off by less than a step of its group, and half a percent of noise") {
  for (const float size : {1e-3f, 1.0f, 1e3f}) {
    const std::vector<float> x = noise(32 * 64, size), got = round_trip(ABY_DTYPE_Q8_0, x);
    CHECK(relative_error(got, x) < 5.2e-3);
    for (std::size_t group = 0; group < x.size(); group += 32) {
      float most = 0;
      for (std::size_t i = group; i < group + 32; ++i)
        most = std::max(most, std::fabs(x[i]));
      for (std::size_t i = group; i < group + 32; ++i) // 0.6 of a step is cut off at most, and what rounds the scale
        CHECK(std::fabs(got[i] - x[i]) <= most / 127.6f * 0.601f + most * 0x1p-11f + 127 * 0x1p-25f);
    }
  }
}

TEST_CASE("q4_0 is off by eight percent of noise") {
  const std::vector<float> x = noise(32 * 256, 0.02f);
  CHECK(relative_error(round_trip(ABY_DTYPE_Q4_0, x), x) < 8.3e-2);
}

TEST_CASE("what a format holds exactly comes back") {
  std::vector<float> eight(32), four(32);
  for (int i = 0; i < 32; ++i) {
    eight[static_cast<std::size_t>(i)] = 0.25f * static_cast<float>(i == 0 ? 127 : (i * 37) % 255 - 127);
    four[static_cast<std::size_t>(i)] = -0.5f * static_cast<float>(i % 16 - 8);
  }
  CHECK(round_trip(ABY_DTYPE_Q8_0, eight) == eight);
  CHECK(round_trip(ABY_DTYPE_Q4_0, four) == four);
}

TEST_CASE("zeros, tiny values, NaN and infinity") {
  for (const aby_dtype format : {ABY_DTYPE_Q8_0, ABY_DTYPE_Q4_0}) {
    CAPTURE(dtype_name(format));
    CHECK(round_trip(format, std::vector<float>(64, 0.0f)) == std::vector<float>(64, 0.0f));
    for (const float tiny : round_trip(format, std::vector<float>(32, 1e-30f)))
      CHECK(std::fabs(tiny) < 1e-6f);
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      std::vector<float> x = noise(64, 1);
      x[40] = bad;
      const std::vector<float> got = round_trip(format, x);
      for (std::size_t i = 0; i < 64; ++i)
        CHECK(std::isfinite(got[i]) == (i < 32));
    }
  }
}
