// A row of activations in integers, before it is known what it will be multiplied with.
//
// Groups of 32 values have a scale each: x = scale * quant, |quant| <= 32512. A group whose largest value stands far
// above those of the row's other groups keeps quants of 16 bits: in trained models a few such groups would make most of
// the error. Every other group keeps the upper 8 bits, 256 * high with high = (quant + 128) >> 8. The choice depends on
// the row alone, so a result does not depend on what is beside the row.
#pragma once

#include "backends/cpu/packed/packed_layout.h"

#include <cstddef>
#include <cstdint>

namespace abyssal::cpu {

constexpr std::int64_t kScaleGroup = 32;                        // activations that share a scale
constexpr std::int64_t kUnitScales = kPackedUnit / kScaleGroup; // of a unit
constexpr float kQuantSteps = 256.0f * 127.0f;                  // on either side of zero

struct RoundedRow {
  RoundedRow() = default;
  // memory: bytes(units), 64-byte aligned
  RoundedRow(std::byte *memory, std::int64_t row_units) noexcept
      : units(row_units), quants(reinterpret_cast<std::int16_t *>(memory)),
        scale(reinterpret_cast<float *>(quants + units * kPackedUnit)),
        wide(reinterpret_cast<std::uint8_t *>(scale + units * kUnitScales)) {}
  static constexpr std::int64_t bytes(std::int64_t row_units) noexcept {
    return (row_units * (kPackedUnit * 2 + kUnitScales * 5) + 63) / 64 * 64;
  }

  std::int64_t units = 0;
  std::int16_t *quants = nullptr; // [units][kPackedUnit]; zeros where a value is not finite
  float *scale = nullptr;         // [units][kUnitScales]; NaN where a value is not finite
  std::uint8_t *wide = nullptr;   // [units][kUnitScales] 1: the group keeps 16 bits
};

// Which activations keep 16 bits.
enum class WideGroups : std::uint8_t { kOutliers, kAll };

// Fills `wide` of a row whose quants and scales are there.
void choose_wide_groups(const RoundedRow &row, WideGroups which) noexcept;

} // namespace abyssal::cpu
