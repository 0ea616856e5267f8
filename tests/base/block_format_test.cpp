// Every block format against the values that the Python package gguf gives; see tests/data/make_block_formats.py.
#include "base/block_format.h"

#include "base/dtype.h"
#include "base/mapped_file.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

using namespace abyssal;

namespace {

class Reader {
public:
  explicit Reader(std::string bytes) : bytes_(std::move(bytes)) {}
  bool done() const { return at_ == bytes_.size(); }
  std::uint32_t number() {
    std::uint32_t value = 0;
    std::memcpy(&value, take(sizeof value), sizeof value);
    return value;
  }
  const char *take(std::size_t count) {
    REQUIRE(count <= bytes_.size() - at_);
    at_ += count;
    return bytes_.data() + at_ - count;
  }

private:
  std::string bytes_;
  std::size_t at_ = 0;
};

} // namespace

TEST_CASE("every block format, bit for bit") {
  Reader reader(read_text_file(ABYSSAL_TEST_DATA "/block_formats.bin"));
  std::set<aby_dtype> seen;
  while (!reader.done()) {
    const auto format = static_cast<aby_dtype>(reader.number());
    const std::int64_t count = reader.number();
    INFO(dtype_name(format));
    REQUIRE(is_block_format(format));
    seen.insert(format);
    const DtypeBlock block = dtype_block(format);
    const std::int64_t elements = count * block.elements;
    const char *blocks = reader.take(row_bytes(format, elements));
    std::vector<float> want(static_cast<std::size_t>(elements)), got(want.size());
    std::memcpy(want.data(), reader.take(want.size() * sizeof(float)), want.size() * sizeof(float));

    dequantise(format, blocks, 0, elements, got.data());
    for (std::size_t i = 0; i < want.size(); ++i) {
      INFO("element " << i);
      REQUIRE(std::bit_cast<std::uint32_t>(got[i]) == std::bit_cast<std::uint32_t>(want[i]));
    }
    // A part of the array, at an odd address.
    std::string shifted = "x" + std::string(blocks, row_bytes(format, elements));
    std::vector<float> part(static_cast<std::size_t>(2 * block.elements));
    dequantise(format, shifted.data() + 1, 3 * block.elements, 2 * block.elements, part.data());
    CHECK(std::memcmp(part.data(), &want[static_cast<std::size_t>(3 * block.elements)], part.size() * sizeof(float)) ==
          0);
  }
  CHECK(seen.size() == 13);
}

TEST_CASE("what is no block format gives NaN") {
  const float one = 1;
  float out = 0;
  dequantise(ABY_DTYPE_F32, &one, 0, 1, &out);
  CHECK(std::isnan(out));
}

TEST_CASE("sizes of blocks and rows") {
  CHECK(dtype_block(ABY_DTYPE_F32).elements == 1);
  CHECK(dtype_block(ABY_DTYPE_BF16).bytes == 2);
  CHECK(dtype_block(ABY_DTYPE_AUTO).elements == 0);
  CHECK(row_bytes(ABY_DTYPE_F16, 7) == 14);
  CHECK(row_bytes(ABY_DTYPE_Q6_K, 512) == 420);
  CHECK(row_bytes(ABY_DTYPE_AUTO, 512) == 0);
  for (aby_dtype format = ABY_DTYPE_Q4_0; format <= ABY_DTYPE_MXFP4; ++format) {
    CHECK(kMostBlockElements % dtype_block(format).elements == 0);
    CHECK(dtype_size(format) == 0);
    CHECK(dtype_alignment(format) == 1);
    CHECK(std::string(dtype_name(format)) != "unknown");
  }
}
