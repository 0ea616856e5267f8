// The product of many rows in matrix tiles; included after the lanes and their `Tiles`.
//
// One tile product takes 16 rows of activations and 16 rows of weights over one group of 32. The weights are its right
// side as they lie widened: four consecutive k of 16 rows are a row of that tile. Its 16 x 16 exact sums go through
// memory to the lanes, which add them up in floats as every kernel does. Those floats take longer than the tiles, and
// the more so with groups of 16, which are left to the lanes altogether.
#include "backends/cpu/packed/packed_kernels.h"

#include <algorithm>

namespace abyssal::cpu {
namespace {

constexpr int kTileRows = 16; // of activations
constexpr int kTileGroup = 32;

// Tiles 0 to 3 are sums, 4 and 5 activations, 6 and 7 weights.
struct alignas(64) TileConfig {
  explicit TileConfig(int x_rows) {
    for (int tile = 0; tile < 8; ++tile) {
      rows[tile] = static_cast<std::uint8_t>(tile < 6 ? x_rows : kTileGroup / 4);
      row_bytes[tile] = static_cast<std::uint16_t>(tile == 4 || tile == 5 ? kTileGroup : 64);
    }
  }
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

template <int Sum, int A, int B> void tile_product(const std::uint8_t *quants, std::int64_t stride) {
  Tiles::load<B>(quants, stride);
  Tiles::zero<Sum>();
  Tiles::dot<Sum, A, B>();
}

// A step is a unit of the T tiles of weights: as many as keep its sums in the first-level cache. All that it needs is
// copied here: tile instructions make the compiler forget what it read.
template <int T> class TileStep {
public:
  static constexpr int kGroups = static_cast<int>(kPackedUnit) / kTileGroup;
  static constexpr int kRoundGroups = 4 / T; // four sums at a time
  static constexpr int kRounds = kGroups / kRoundGroups;
  using Sums = std::int32_t[T][kGroups][kTileRows * kPackedTile];

  TileStep(const WideTiles &tiles, const Panel &x, std::int64_t index) : rows_(x.rows) {
    const std::int64_t unit = tiles.unit0 + index;
    quants_ = tiles.quants + index * kUnitVectors * kStride;
    scale_ = tiles.scale + index * kGroups * T * kPackedTile;
    biases_ = tiles.biases + index * kGroups * T * kPackedTile;
    high_ = x.high + unit * rows_ * kPackedUnit;
    low_ = x.low + unit * rows_ * kPackedUnit;
    wide_ = x.wide + unit * kGroups;
    x_scale_ = x.scale + unit * kGroups * rows_;
    x_sums_ = x.sums + (x.sums != nullptr ? unit * kGroups * rows_ : 0);
  }

  // The exact sums of the unit.
  void sums(Sums &high, Sums &low) const {
    for (int round = 0; round < kRounds; ++round)
      multiply(round, high_, high);
    const bool wide = std::any_of(wide_, wide_ + kGroups, [](std::uint8_t any) { return any != 0; });
    for (int round = 0; wide && round < kRounds; ++round)
      multiply(round, low_, low);
    for (int group = 0; wide && group < kGroups; ++group) {
      for (std::int64_t i = 0; wide_[group] != 0 && i < T * rows_ * kPackedTile; i += kPackedTile) {
        const std::int64_t t = i / (rows_ * kPackedTile), at = i % (rows_ * kPackedTile);
        std::int32_t *sum = high[t][group] + at;
        Ints::load(sum).join(Ints::load(low[t][group] + at)).store(sum);
      }
    }
  }

  // The exact sums of some groups with a half of the activations.
  void multiply(int round, const std::int8_t *half, Sums &sums) const {
    const int first = round * kRoundGroups;
    const std::int8_t *x = half + first * kTileGroup;
    const std::uint8_t *quants = quants_ + first * kGroupBytes;
    if constexpr (T == 2) {
      Tiles::load<4>(x, kPackedUnit);
      Tiles::load<5>(x + kTileGroup, kPackedUnit);
      tile_product<0, 4, 6>(quants, kStride);
      tile_product<1, 5, 7>(quants + kGroupBytes, kStride);
      tile_product<2, 4, 6>(quants + 64, kStride);
      tile_product<3, 5, 7>(quants + 64 + kGroupBytes, kStride);
      Tiles::store<0>(sums[0][first], kRowBytes);
      Tiles::store<1>(sums[0][first + 1], kRowBytes);
      Tiles::store<2>(sums[1][first], kRowBytes);
      Tiles::store<3>(sums[1][first + 1], kRowBytes);
    } else {
      Tiles::load<4>(x, kPackedUnit);
      tile_product<0, 4, 6>(quants, kStride);
      Tiles::load<5>(x + kTileGroup, kPackedUnit);
      tile_product<1, 5, 7>(quants + kGroupBytes, kStride);
      Tiles::load<4>(x + 2 * kTileGroup, kPackedUnit);
      tile_product<2, 4, 6>(quants + 2 * kGroupBytes, kStride);
      Tiles::load<5>(x + 3 * kTileGroup, kPackedUnit);
      tile_product<3, 5, 7>(quants + 3 * kGroupBytes, kStride);
      Tiles::store<0>(sums[0][first], kRowBytes);
      Tiles::store<1>(sums[0][first + 1], kRowBytes);
      Tiles::store<2>(sums[0][first + 2], kRowBytes);
      Tiles::store<3>(sums[0][first + 3], kRowBytes);
    }
  }

  // The sums in floats.
  template <bool Bias> void add(const Sums &sums, float *out) const {
    for (int t = 0; t < T; ++t) {
      Floats scale[kGroups], bias[kGroups];
#pragma GCC unroll 8
      for (int group = 0; group < kGroups; ++group) {
        scale[group] = Floats::load(scale_ + (group * T + t) * kPackedTile);
        if constexpr (Bias)
          bias[group] = Floats::load(biases_ + (group * T + t) * kPackedTile);
      }
      for (std::int64_t m = 0; m < rows_; ++m) {
        float *at = out + (m * T + t) * kPackedTile;
        Floats total = Floats::load(at);
#pragma GCC unroll 8
        for (int group = 0; group < kGroups; ++group) {
          const Floats sum = Ints::load(sums[t][group] + m * kPackedTile).floats();
          total = Floats::fma(sum * Floats::all(x_scale_[group * rows_ + m]), scale[group], total);
          if constexpr (Bias)
            total = Floats::fma(bias[group], Floats::all(x_sums_[group * rows_ + m]), total);
        }
        total.store(at);
      }
    }
  }

private:
  static constexpr std::int64_t kStride = T * 64; // of the quants, between vectors of a tile
  static constexpr std::int64_t kGroupBytes = kTileGroup / 4 * kStride;
  static constexpr std::int64_t kRowBytes = kPackedTile * 4; // of sums
  const std::uint8_t *quants_;
  const float *scale_, *biases_;
  const std::int8_t *high_, *low_;
  const std::uint8_t *wide_;
  const float *x_scale_, *x_sums_;
  std::int64_t rows_;
};

template <bool Bias, int T> void multiply_steps(const WideTiles &tiles, const Panel &x, float *out) {
  using Step = TileStep<T>;
  alignas(64) typename Step::Sums high, low;
  for (std::int64_t i = 0; i < tiles.units; ++i) {
    const Step step(tiles, x, i);
    step.sums(high, low);
    step.template add<Bias>(high, out);
  }
}

template <bool Bias> void multiply_tiles(const WideTiles &tiles, const Panel &x, float *out) {
  return tiles.tiles == 2 ? multiply_steps<Bias, 2>(tiles, x, out) : multiply_steps<Bias, 1>(tiles, x, out);
}

// The product of many rows as the other kernels know it.
struct ManyRows {
  static constexpr int kPanelRows = kTileRows, kWideTiles = 2;
  static constexpr bool kRowPanels = true, kWords = false;
  static void multiply(const WideTiles &tiles, const Panel &x, float *out) {
    return tiles.bias ? multiply_tiles<true>(tiles, x, out) : multiply_tiles<false>(tiles, x, out);
  }
  static void begin(int rows) {
    const TileConfig config(rows);
    Tiles::configure(&config);
  }
  static void end() { Tiles::release(); }
};

} // namespace
} // namespace abyssal::cpu
