// The packed kernels, written once over sixteen lanes; each instruction set's file includes its lanes, one of the
// products of many rows, and then this.
#include "backends/cpu/packed/packed_kernels.h"
#include "backends/cpu/packed/rows_ymm.h"

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

// A panel's places for one group of 32 columns of M rows, for the product of few rows with a tile.
template <PackedKind Kind, int M> struct DirectSums {
  using U = Unit<Kind>;
  static constexpr int kParts = kScaleGroup / U::kLayout.group; // groups of weights
  Ints part[kParts][M];

  // One half. Two sums a row, so that one instruction need not wait for another; integers add up exactly in any order.
  static DirectSums bytes(const U &unit, int columns, const std::uint8_t *table, const std::int8_t *x,
                          const std::int32_t *init) {
    ByteSums sum[2][M];
    for (int m = 0; m < M; ++m) {
      sum[0][m] = ByteSums::start(init[m]);
      sum[1][m] = ByteSums::start(kParts == 2 ? init[M + m] : 0);
    }
    unit.each(columns, table, [&](int v, Quants quants) {
      for (int m = 0; m < M; ++m)
        sum[v / 4][m].dot(quants, Spread(x + (v * M + m) * 4));
    });
    DirectSums result;
    for (int m = 0; m < M; ++m) {
      result.part[0][m] = kParts == 2 ? sum[0][m].ints() : (sum[0][m] + sum[1][m]).ints();
      if constexpr (kParts == 2)
        result.part[1][m] = sum[1][m].ints();
    }
    return result;
  }

  void join(const DirectSums &low) {
    for (int p = 0; p < kParts; ++p)
      for (int m = 0; m < M; ++m)
        part[p][m] = part[p][m].join(low.part[p][m]);
  }

  static DirectSums words(const U &unit, int columns, const PackedMatrix &w, const std::int16_t *x) {
    DirectSums result;
    for (int p = 0; p < kParts; ++p)
      for (int m = 0; m < M; ++m)
        result.part[p][m] = Ints::none();
    unit.each(columns, w.table, [&](int v, auto quants) {
      const auto plain = quants.minus(w.zero);
      const auto even = plain.even(), odd = plain.odd();
      auto *sum = result.part[kParts == 2 ? v / 4 : 0];
      for (int m = 0; m < M; ++m) {
        sum[m].dot(even, Spread(x + (2 * v * M + m) * 2));
        sum[m].dot(odd, Spread(x + ((2 * v + 1) * M + m) * 2));
      }
    });
    return result;
  }
};

template <PackedKind Kind, int M>
void direct_rows(const PackedMatrix &w, std::int64_t tile, const Panel &x, const std::byte *then, float *out) {
  using U = Unit<Kind>;
  using Sums = DirectSums<Kind, M>;
  constexpr bool kWords = kLaneWords && !nibble_quants(Kind);
  constexpr std::int64_t kUnitBytes = U::kLayout.unit_bytes();
  const std::byte *at = w.tile(tile);
  const std::byte *const end = at + w.units() * kUnitBytes;
  Floats total[M];
  for (int m = 0; m < M; ++m)
    total[m] = Floats::zero();
  for (std::int64_t u = 0; u < w.units(); ++u, at += kUnitBytes) {
    const std::int64_t over = kFetchAhead - (end - at);
    const std::byte *const ahead = over < 0 ? at + kFetchAhead : then != nullptr ? then + over : at;
    for (std::int64_t line = 0; line < kUnitBytes; line += 64)
      __builtin_prefetch(ahead + line, 0, 3);
    const U unit{at};
    for (int columns = 0; columns < kUnitScales; ++columns) {
      const std::int64_t g = u * kUnitScales + columns; // of activations
      Sums sums;
      if constexpr (kWords) {
        sums = Sums::words(unit, columns, w, x.words + g * kScaleGroup * M);
      } else {
        const std::int64_t place = g * kScaleGroup * M, init = g * Sums::kParts * M;
        sums = Sums::bytes(unit, columns, w.table, x.high + place, x.init_high + init);
        if (x.wide[g] != 0)
          sums.join(Sums::bytes(unit, columns, w.table, x.low + place, x.init_low + init));
      }
      for (int p = 0; p < Sums::kParts; ++p) {
        const int group = columns * Sums::kParts + p; // of weights
        const Floats scale = unit.scale(group);
        for (int m = 0; m < M; ++m)
          total[m] = Floats::fma(sums.part[p][m].floats() * Floats::all(x.scale[g * M + m]), scale, total[m]);
        if constexpr (U::kLayout.bias()) {
          const Floats bias = unit.bias(group);
          for (int m = 0; m < M; ++m)
            total[m] = Floats::fma(bias, Floats::all(x.sums[(g * Sums::kParts + p) * M + m]), total[m]);
        }
      }
    }
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
  constexpr bool kWords = ManyRows::kWords && !nibble_quants(Kind);
  for (int t = 0; t < to.tiles; ++t) {
    const std::byte *at = w.tile(tile + t) + to.unit0 * U::kLayout.unit_bytes();
    for (std::int64_t u = 0; u < to.units; ++u, at += U::kLayout.unit_bytes()) {
      const U unit{at};
      for (int columns = 0; columns < 4; ++columns) {
        const std::int64_t first = (u * kUnitVectors + columns * 8) * to.tiles + t;
        unit.each(columns, w.table, [&](int v, auto q) {
          std::uint8_t *quants = to.quants + (first + v * to.tiles) * (kWords ? 128 : 64);
          if constexpr (kWords) {
            q.minus(w.zero).even().store(quants);
            q.minus(w.zero).odd().store(quants + 64);
          } else {
            (ManyRows::kRowPanels ? q.minus(w.zero) : q).store(quants);
          }
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
                                          ManyRows::kWords,
                                          round_row,
                                          fill_panel<kSumsInPairs, ManyRows::kRowPanels>,
                                          kHasDirect ? direct : nullptr,
                                          widen,
                                          ManyRows::multiply,
                                          ManyRows::begin,
                                          ManyRows::end};

} // namespace
} // namespace abyssal::cpu
