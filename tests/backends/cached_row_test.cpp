// Rows of the cache: how they are laid out, and what int8 keeps of a value.
#include "backends/host/cached_row.h"

#include "base/dtype.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

using namespace abyssal;

namespace {

using Floats = std::vector<float>;

Floats random_row(std::int64_t width, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Floats row(static_cast<std::size_t>(width));
  for (float &value : row)
    value = normal(random);
  return row;
}

std::vector<std::byte> stored(const CachedRow &layout, const Floats &row) {
  std::vector<std::byte> bytes(layout.bytes() + 8, std::byte{0xa5});
  store_cached(layout, row.data(), bytes.data());
  for (std::size_t i = layout.bytes(); i < bytes.size(); ++i)
    CHECK(bytes[i] == std::byte{0xa5}); // nothing beyond the row
  return bytes;
}

Floats there_and_back(const CachedRow &layout, const Floats &row) {
  Floats back(row.size());
  load_cached(layout, stored(layout, row).data(), back.data());
  return back;
}

} // namespace

TEST_CASE("bytes of a row") {
  CHECK(latent_row(ABY_DTYPE_F32, 512, 64).bytes() == 2304);
  CHECK(latent_row(ABY_DTYPE_BF16, 512, 64).bytes() == 1152);
  CHECK(latent_row(ABY_DTYPE_I8, 512, 64).bytes() == 512 + 64 * 2 + 8 * 4);
  CHECK(latent_row(ABY_DTYPE_I8, 65, 0).bytes() == 2 * 4 + 68); // 65 and three of padding
  CHECK(latent_row(ABY_DTYPE_I8, 1, 2).bytes() == 4 + 4 + 4);
  CHECK(heads_row(ABY_DTYPE_BF16, 8, 128).bytes() == 2048);
  CHECK(heads_row(ABY_DTYPE_I8, 8, 128).bytes() == 1024 + 8 * 2 * 4);
  CHECK(heads_row(ABY_DTYPE_I8, 3, 96).bytes() == 288 + 3 * 2 * 4);
  CHECK(CachedRow{}.bytes() == 0);
}

TEST_CASE("rows of a plain type are their values") {
  const Floats row = random_row(37, 1);
  CHECK(there_and_back(latent_row(ABY_DTYPE_F32, 32, 5), row) == row);
  const Floats back = there_and_back(latent_row(ABY_DTYPE_BF16, 32, 5), row);
  for (std::size_t i = 0; i < row.size(); ++i)
    CHECK(back[i] == bf16_to_float(float_to_bf16(row[i])));
}

TEST_CASE("a quant is within half a step of its value, and k_pe is bfloat16") {
  for (const std::int64_t lora : {1, 63, 64, 65, 96, 512}) {
    const CachedRow layout = latent_row(ABY_DTYPE_I8, lora, 6);
    const Floats row = random_row(lora + 6, static_cast<unsigned>(lora)), back = there_and_back(layout, row);
    for (std::int64_t first = 0; first < lora; first += 64) {
      const std::int64_t last = std::min<std::int64_t>(lora, first + 64);
      float most = 0;
      for (std::int64_t i = first; i < last; ++i)
        most = std::max(most, std::abs(row[static_cast<std::size_t>(i)]));
      for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(last); ++i) {
        CAPTURE(i);
        CHECK(std::abs(back[i] - row[i]) <= most / 127 * 0.50001f);
      }
    }
    for (std::size_t i = static_cast<std::size_t>(lora); i < row.size(); ++i)
      CHECK(back[i] == bf16_to_float(float_to_bf16(row[i])));
  }
}

TEST_CASE("the layout of an int8 row, byte by byte") {
  // Two heads of three values; scales 1 and 2^-8, quants to nearest with ties to even.
  const std::vector<std::byte> bytes =
      stored(heads_row(ABY_DTYPE_I8, 2, 3), {127, 2.5f, -3.5f, -127 / 256.0f, 1 / 256.0f, 0});
  float scales[2];
  std::int8_t quants[6];
  std::memcpy(scales, bytes.data(), sizeof scales);
  std::memcpy(quants, bytes.data() + sizeof scales, sizeof quants);
  CHECK(scales[0] == 1);
  CHECK(scales[1] == 1 / 256.0f);
  const std::vector<int> want = {127, 2, -4, -127, 1, 0};
  CHECK(std::vector<int>(quants, quants + 6) == want);
  CHECK(bytes[14] == std::byte{0});
  CHECK(bytes[15] == std::byte{0});
}

TEST_CASE("each head has groups of its own") {
  const CachedRow layout = heads_row(ABY_DTYPE_I8, 3, 80);
  Floats row = random_row(240, 5);
  const Floats before = there_and_back(layout, row);
  row[81] = 1e6f; // in the second head's first group of 64
  const Floats after = there_and_back(layout, row);
  for (std::size_t i = 0; i < row.size(); ++i) {
    CAPTURE(i);
    if (i < 80 || i >= 144)
      CHECK(after[i] == before[i]);
    else if (i != 81)
      CHECK(after[i] == 0);
  }
}

TEST_CASE("zeros, tiny values, and values that are not finite") {
  const CachedRow layout = latent_row(ABY_DTYPE_I8, 192, 2);
  Floats row = random_row(194, 7);
  std::fill_n(row.begin(), 64, 0.0f);
  std::fill_n(row.begin() + 64, 64, 1e-38f);
  for (const float broken : {NAN, INFINITY, -INFINITY}) {
    row[150] = broken;
    const Floats back = there_and_back(layout, row);
    for (std::size_t i = 0; i < 128; ++i)
      CHECK(back[i] == 0);
    for (std::size_t i = 128; i < 192; ++i)
      CHECK(std::isnan(back[i]));
    CHECK(std::isfinite(back[192]));
  }
}
