#include "base/dtype.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace abyssal;

TEST_CASE("bf16 rounds to nearest, ties to even, and keeps NaN and infinity") {
  CHECK(bf16_to_float(float_to_bf16(1.0f)) == 1.0f);
  CHECK(float_to_bf16(1.00390625f) == 0x3f80); // halfway between 1 and the next: to even
  CHECK(float_to_bf16(1.01171875f) == 0x3f82); // halfway again: to even, upwards
  CHECK(float_to_bf16(1.00390637f) == 0x3f81);
  CHECK(float_to_bf16(-2.5f) == 0xc020);
  CHECK(std::isinf(bf16_to_float(float_to_bf16(std::numeric_limits<float>::infinity()))));
  CHECK(std::isinf(bf16_to_float(float_to_bf16(3.4e38f))));
  CHECK(std::isnan(bf16_to_float(float_to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  CHECK(std::isnan(bf16_to_float(float_to_bf16(std::bit_cast<float>(0x7f800001u)))));
}

TEST_CASE("f16: normal, subnormal, zero, infinity, NaN") {
  CHECK(f16_to_float(0x3c00) == 1.0f);
  CHECK(f16_to_float(0xc500) == -5.0f);
  CHECK(f16_to_float(0x0001) == 0x1p-24f);
  CHECK(f16_to_float(0x03ff) == 1023 * 0x1p-24f);
  CHECK(f16_to_float(0x7bff) == 65504.0f);
  CHECK(std::signbit(f16_to_float(0x8000)));
  CHECK(std::isinf(f16_to_float(0x7c00)));
  CHECK(std::isnan(f16_to_float(0x7e00)));
}

TEST_CASE("fp8 e4m3: largest, subnormals, NaN; e8m0: powers of two") {
  CHECK(f8_e4m3_to_float(0x38) == 1.0f);
  CHECK(f8_e4m3_to_float(0x7e) == 448.0f);
  CHECK(f8_e4m3_to_float(0x01) == 0x1p-9f);
  CHECK(f8_e4m3_to_float(0x87) == -7 * 0x1p-9f);
  CHECK(f8_e4m3_to_float(0x08) == 0x1p-6f);
  CHECK(std::isnan(f8_e4m3_to_float(0x7f)));
  CHECK(std::isnan(f8_e4m3_to_float(0xff)));
  CHECK(f8_e8m0_to_float(127) == 1.0f);
  CHECK(f8_e8m0_to_float(120) == 0x1p-7f);
  CHECK(f8_e8m0_to_float(0) == 0x1p-127f);
  CHECK(std::isnan(f8_e8m0_to_float(255)));
}
