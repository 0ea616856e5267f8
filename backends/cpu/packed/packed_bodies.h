// The packed kernels, written once over sixteen lanes; each instruction set's file includes its lanes, one of the
// products of many rows, and then this.
#include "backends/cpu/packed/packed_kernels.h"

#include <algorithm>
#include <cmath>

namespace abyssal::cpu {
namespace {

// Where the parts of a unit are, and how its scales and quants are read.
template <PackedKind Kind> struct Unit {
  static constexpr PackedLayout kLayout = layout_of(Kind);
  static constexpr int kGroups = kLayout.groups();
  static constexpr int kGroupVectors = kLayout.group / 4;
  const std::byte *at;

  const std::byte *quants() const { return at + kLayout.scale_bytes(); }

  Floats scale(int group) const {
    if constexpr (kLayout.scales == PackedScales::kK)
      return Floats::load_f16(at) * Floats::load_u8(at + 64 + group * 16);
    else if constexpr (kLayout.scales == PackedScales::kF16 || kLayout.scales == PackedScales::kF16Bias)
      return Floats::load_f16(at + group * 32);
    else
      return Floats::load(reinterpret_cast<const float *>(at) + group * 16);
  }
  Floats bias(int group) const {
    if constexpr (kLayout.scales == PackedScales::kK)
      return -(Floats::load_f16(at + 32) * Floats::load_u8(at + 64 + (kGroups + group) * 16));
    else if constexpr (kLayout.scales == PackedScales::kF16Bias)
      return Floats::load_f16(at + (kGroups + group) * 32);
    else
      return Floats::load(reinterpret_cast<const float *>(at) + (kGroups + group) * 16);
  }

  // Calls take(vector, quants) for the vectors of 32 columns, those of a group in order but for the interleaving of
  // nibbles: a byte holds the same place of vectors v and v + 4.
  template <typename Take> void each(int columns, const std::uint8_t *table, Take &&take) const {
    if constexpr (kLayout.bits == 8) {
      const std::byte *from = quants() + columns * 512;
      for (int v = 0; v < 8; ++v)
        take(v, Quants::load(from + v * 64));
    } else {
      const std::byte *from = quants() + columns * 256;
      for (int v = 0; v < 4; ++v) {
        const Quants pair = Quants::load(from + v * 64);
        Quants low = pair.low_nibbles(), high = pair.high_nibbles();
        if constexpr (kLayout.table) {
          low = low.lookup(table);
          high = high.lookup(table);
        }
        take(v, low);
        take(v + 4, high);
      }
    }
  }
};

// How far ahead of its use memory is fetched. The hardware's own fetching starts anew with each page, and with each
// slice of a matrix.
constexpr std::int64_t kFetchAhead = 6144;

template <PackedKind Kind, int M>
void direct_rows(const PackedMatrix &w, std::int64_t tile, const Panel &x, const std::byte *then, float *out) {
  using U = Unit<Kind>;
  constexpr bool kSmall = small_quants(Kind);
  constexpr std::int64_t kUnitBytes = U::kLayout.unit_bytes();
  const std::int64_t units = w.units();
  const std::byte *at = w.tile(tile);
  const std::int8_t *data = x.data;
  const std::int32_t *init = x.init;
  const float *sums = x.sums;
  Floats total[M];
  for (int m = 0; m < M; ++m)
    total[m] = Floats::zero();
  const std::byte *const end = at + units * kUnitBytes;
  for (std::int64_t u = 0; u < units; ++u, at += kUnitBytes) {
    const std::int64_t over = kFetchAhead - (end - at);
    const std::byte *const ahead = over < 0 ? at + kFetchAhead : then != nullptr ? then + over : at;
    for (std::int64_t line = 0; line < kUnitBytes; line += 64)
      __builtin_prefetch(ahead + line, 0, 3);
    const U unit{at};
    Floats block[M];
    for (int m = 0; m < M; ++m)
      block[m] = Floats::zero();
    for (int columns = 0; columns < 4; ++columns, data += 32 * M) {
      // Two sums a group, so that one instruction need not wait for another; integers add up exactly in any order.
      Ints low[M], high[M];
      for (int m = 0; m < M; ++m) {
        low[m] = Ints::start<kSmall>(init[m]);
        high[m] = U::kLayout.group == 16 ? Ints::start<kSmall>(init[M + m]) : Ints::none();
      }
      unit.each(columns, w.table, [&](int v, Quants quants) {
        for (int m = 0; m < M; ++m)
          (v < 4 ? low[m] : high[m]).template dot<kSmall>(quants, Four(data + (v * M + m) * 4));
      });
      const auto finish = [&](int group, const Ints *sum) {
        const Floats scale = unit.scale(group);
        for (int m = 0; m < M; ++m)
          block[m] = Floats::fma(sum[m].floats(), scale, block[m]);
        if constexpr (U::kLayout.bias()) {
          const Floats bias = unit.bias(group);
          for (int m = 0; m < M; ++m)
            block[m] = Floats::fma(bias, Floats::all(sums[m]), block[m]);
          sums += M;
        }
        init += M;
      };
      if constexpr (U::kLayout.group == 16) {
        finish(2 * columns, low);
        finish(2 * columns + 1, high);
      } else {
        for (int m = 0; m < M; ++m)
          low[m] = low[m] + high[m];
        finish(columns, low);
      }
    }
    for (int m = 0; m < M; ++m)
      total[m] = Floats::fma(block[m], Floats::all(x.scale[u * M + m]), total[m]);
  }
  for (int m = 0; m < M; ++m)
    total[m].store(out + m * kPackedTile);
}

template <PackedKind Kind>
void direct_kind(const PackedMatrix &w, std::int64_t tile, const Panel &x, const std::byte *then, float *out) {
  switch (x.rows) {
  case 1:
    return direct_rows<Kind, 1>(w, tile, x, then, out);
  case 2:
    return direct_rows<Kind, 2>(w, tile, x, then, out);
  case 3:
    return direct_rows<Kind, 3>(w, tile, x, then, out);
  default:
    return direct_rows<Kind, 4>(w, tile, x, then, out);
  }
}

template <PackedKind Kind> void widen_kind(const PackedMatrix &w, std::int64_t tile, const WideTiles &to) {
  using U = Unit<Kind>;
  for (int t = 0; t < to.tiles; ++t) {
    const std::byte *at = w.tile(tile + t) + to.unit0 * U::kLayout.unit_bytes();
    for (std::int64_t u = 0; u < to.units; ++u, at += U::kLayout.unit_bytes()) {
      const U unit{at};
      for (int columns = 0; columns < 4; ++columns) {
        std::uint8_t *quants = to.quants + ((u * kUnitVectors + columns * 8) * to.tiles + t) * 64;
        unit.each(columns, w.table, [&](int v, Quants q) {
          (ManyRows::kSignedQuants ? q.minus(w.zero) : q).store(quants + v * to.tiles * 64);
        });
      }
      for (int group = 0; group < U::kGroups; ++group) {
        const std::int64_t place = ((u * U::kGroups + group) * to.tiles + t) * kPackedTile;
        unit.scale(group).store(to.scale + place);
        if constexpr (U::kLayout.bias())
          unit.bias(group).store(to.biases + place);
      }
    }
  }
}

// What the values of a unit are multiplied with to become quants, and back.
struct UnitScale {
  UnitScale(float most, float steps) : finite(std::isfinite(most)) {
    const float inverse = finite && most > 0 ? steps / most : 0.0f;
    // Tiny blocks: the inverse overflows, and their values do not matter beside any other.
    factor = std::isfinite(inverse) ? inverse : 0.0f;
    scale = finite ? most / steps : most - most; // NaN
  }
  bool finite;
  float factor, scale;
};

// The most that 254 high + low reaches with its parts within 127 and high rounded to the nearest even: one more, and
// high would be 127.5.
constexpr float kSteps16 = 254.0f * 127.0f + 126.0f;

// A unit's columns: in place, or padded with zeros.
const float *whole_unit(const float *from, std::int64_t left, float *padded) {
  if (left >= kPackedUnit)
    return from;
  std::fill_n(padded, kPackedUnit, 0.0f);
  std::copy_n(from, std::max<std::int64_t>(left, 0), padded);
  return padded;
}

void round_row(const float *x, std::int64_t count, const RoundedRow &to) {
  constexpr std::int64_t kParts = RoundedRow::kParts, kHalf = kPackedUnit / 2;
  const bool two = to.places == 2;
  alignas(64) float padded[kPackedUnit];
  for (std::int64_t u = 0; u < to.units; ++u) {
    const float *from = whole_unit(x + u * kPackedUnit, count - u * kPackedUnit, padded);
    const UnitScale unit(largest(from), two ? kSteps16 : 127.0f);
    if (!unit.finite) { // its scale is not a number, and its quants are zeros
      std::fill_n(padded, kPackedUnit, 0.0f);
      from = padded;
    }
    const std::int64_t second = to.units + u; // where the lower halves are
    std::int8_t *quants = to.quants + u * kPackedUnit, *low = to.quants + second * kPackedUnit;
    std::int32_t *sums = to.sums + u * kParts, *low_sums = to.sums + second * kParts;
    for (int half = 0; half < 2; ++half) {
      const float *part = from + half * kHalf;
      if (two)
        round64_split(part, unit.factor, quants + half * kHalf, sums + half * kParts / 2, low + half * kHalf,
                      low_sums + half * kParts / 2);
      else
        round64(part, unit.factor, quants + half * kHalf, sums + half * kParts / 2);
    }
    to.scale[u] = two ? unit.scale * 254.0f : unit.scale;
    if (two)
      to.scale[second] = unit.scale;
  }
}

// A unit's quants into place `row` of a panel. sums: of each 16.
template <int Group>
inline void put_unit(const std::int8_t *quants, const std::int32_t *sums, std::int64_t unit, std::int64_t row,
                     std::int32_t zero, const Panel &panel) {
  constexpr int kGroups = static_cast<int>(kPackedUnit) / Group;
  const std::int64_t rows = panel.rows;
  const std::int64_t place = unit * kGroups * rows + row;
  std::int32_t sum[kGroups];
  for (int g = 0; g < kGroups; ++g)
    sum[g] = Group == 16 ? sums[g] : sums[2 * g] + sums[2 * g + 1];
  for (int g = 0; g < kGroups; ++g)
    panel.init[place + g * rows] = -zero * sum[g];
  for (int g = 0; panel.sums != nullptr && g < kGroups; ++g)
    panel.sums[place + g * rows] = static_cast<float>(sum[g]);
  if (ManyRows::kRowPanels || rows == 1) {
    std::memcpy(panel.data + (unit * rows + row) * kPackedUnit, quants, kPackedUnit);
    return;
  }
  std::int8_t *to = panel.data + (unit * kUnitVectors * rows + row) * 4;
#pragma GCC unroll 8
  for (int v = 0; v < kUnitVectors; ++v)
    std::memcpy(to + v * rows * 4, quants + v * 4, 4);
}

void put_row(const RoundedRow &from, std::int64_t unit0, int row, int group, std::int32_t zero, const Panel &panel) {
  for (int place = 0; place < from.places; ++place) {
    const std::int64_t at = row + place;
    for (std::int64_t u = 0; u < from.units; ++u) {
      const std::int64_t i = place * from.units + u;
      const std::int8_t *quants = from.quants + i * kPackedUnit;
      const std::int32_t *sums = from.sums + i * RoundedRow::kParts;
      panel.scale[(unit0 + u) * panel.rows + at] = from.scale[i];
      if (group == 16)
        put_unit<16>(quants, sums, unit0 + u, at, zero, panel);
      else
        put_unit<32>(quants, sums, unit0 + u, at, zero, panel);
    }
  }
}

void direct(const PackedMatrix &w, std::int64_t tile, const Panel &x, const std::byte *then, float *out) {
  switch (w.kind) {
  case PackedKind::kQ4:
    return direct_kind<PackedKind::kQ4>(w, tile, x, then, out);
  case PackedKind::kQ4Bias:
    return direct_kind<PackedKind::kQ4Bias>(w, tile, x, then, out);
  case PackedKind::kQ4K:
    return direct_kind<PackedKind::kQ4K>(w, tile, x, then, out);
  case PackedKind::kTable4:
    return direct_kind<PackedKind::kTable4>(w, tile, x, then, out);
  case PackedKind::kTable4F32:
    return direct_kind<PackedKind::kTable4F32>(w, tile, x, then, out);
  case PackedKind::kQ4G16:
    return direct_kind<PackedKind::kQ4G16>(w, tile, x, then, out);
  case PackedKind::kQ4G16Bias:
    return direct_kind<PackedKind::kQ4G16Bias>(w, tile, x, then, out);
  case PackedKind::kQ8:
    return direct_kind<PackedKind::kQ8>(w, tile, x, then, out);
  case PackedKind::kQ5Bias:
    return direct_kind<PackedKind::kQ5Bias>(w, tile, x, then, out);
  case PackedKind::kQ8G16:
    return direct_kind<PackedKind::kQ8G16>(w, tile, x, then, out);
  }
}

void widen(const PackedMatrix &w, std::int64_t tile, const WideTiles &to) {
  switch (w.kind) {
  case PackedKind::kQ4:
    return widen_kind<PackedKind::kQ4>(w, tile, to);
  case PackedKind::kQ4Bias:
    return widen_kind<PackedKind::kQ4Bias>(w, tile, to);
  case PackedKind::kQ4K:
    return widen_kind<PackedKind::kQ4K>(w, tile, to);
  case PackedKind::kTable4:
    return widen_kind<PackedKind::kTable4>(w, tile, to);
  case PackedKind::kTable4F32:
    return widen_kind<PackedKind::kTable4F32>(w, tile, to);
  case PackedKind::kQ4G16:
    return widen_kind<PackedKind::kQ4G16>(w, tile, to);
  case PackedKind::kQ4G16Bias:
    return widen_kind<PackedKind::kQ4G16Bias>(w, tile, to);
  case PackedKind::kQ8:
    return widen_kind<PackedKind::kQ8>(w, tile, to);
  case PackedKind::kQ5Bias:
    return widen_kind<PackedKind::kQ5Bias>(w, tile, to);
  case PackedKind::kQ8G16:
    return widen_kind<PackedKind::kQ8G16>(w, tile, to);
  }
}

// Panels of rows are for many of them.
constexpr bool kHasDirect = !ManyRows::kRowPanels;
constexpr PackedKernels kPackedKernels = {ManyRows::kPanelRows,
                                          kHasDirect ? kDirectRows : 0,
                                          ManyRows::kWideTiles,
                                          round_row,
                                          put_row,
                                          kHasDirect ? direct : nullptr,
                                          widen,
                                          ManyRows::multiply,
                                          ManyRows::begin,
                                          ManyRows::end};

} // namespace
} // namespace abyssal::cpu
