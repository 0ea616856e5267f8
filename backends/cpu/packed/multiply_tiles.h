// The product of many rows in matrix tiles; included after the lanes and their `Tiles`.
//
// One tile product takes 16 rows of activations and 16 rows of weights over one group. The weights are its right side
// as they lie widened: four consecutive k of 16 rows are a row of that tile. Its 16 x 16 exact sums go through memory
// to the lanes, which add them up in floats as every kernel does. A group of 32 is 8192 products in about 16 cycles,
// and as many cycles of float work, so the sums of one step become floats while the tiles of the next are multiplied.
#include "backends/cpu/packed/packed_kernels.h"

namespace abyssal::cpu {
namespace {

constexpr int kTileRows = 16; // of activations

// Tiles 0 to 3 are sums, 4 and 5 activations, 6 and 7 weights.
struct alignas(64) TileConfig {
  TileConfig(int group, int x_rows) {
    for (int tile = 0; tile < 8; ++tile) {
      rows[tile] = static_cast<std::uint8_t>(tile < 6 ? x_rows : group / 4);
      row_bytes[tile] = static_cast<std::uint16_t>(tile == 4 || tile == 5 ? group : 64);
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

// A step is a unit of `Wide` of the T tiles of weights: as many as keep its sums, and those of the step before, in the
// first-level cache. All that it needs is copied here: tile instructions make the compiler forget what it read.
template <int Group, int T, int Wide> class TileStep {
public:
  static constexpr int kGroups = static_cast<int>(kPackedUnit) / Group;
  static constexpr int kPerUnit = T / Wide;
  static constexpr int kRoundGroups = 4 / Wide; // four sums at a time
  static constexpr int kRounds = kGroups / kRoundGroups;
  using Sums = std::int32_t[Wide][kGroups][kTileRows * kPackedTile];

  TileStep(const WideTiles &tiles, const Panel &x, std::int64_t index) : rows_(x.rows) {
    const std::int64_t wide_unit = index / kPerUnit, unit = tiles.unit0 + wide_unit, tile = index % kPerUnit * Wide;
    quants_ = tiles.quants + wide_unit * kUnitVectors * kStride + tile * 64;
    scale_ = tiles.scale + (wide_unit * kGroups * T + tile) * kPackedTile;
    biases_ = tiles.biases + (wide_unit * kGroups * T + tile) * kPackedTile;
    data_ = x.data + unit * rows_ * kPackedUnit;
    x_scale_ = x.scale + unit * rows_;
    x_sums_ = x.sums + (x.sums != nullptr ? unit * kGroups * rows_ : 0);
    place_ = tile * kPackedTile;
  }

  // The exact sums of some groups.
  void multiply(int round, Sums &sums) const {
    const int first = round * kRoundGroups;
    const std::int8_t *x = data_ + first * Group;
    const std::uint8_t *quants = quants_ + first * kGroupBytes;
    if constexpr (Wide == 2) {
      Tiles::load<4>(x, kPackedUnit);
      Tiles::load<5>(x + Group, kPackedUnit);
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
      Tiles::load<5>(x + Group, kPackedUnit);
      tile_product<1, 5, 7>(quants + kGroupBytes, kStride);
      Tiles::load<4>(x + 2 * Group, kPackedUnit);
      tile_product<2, 4, 6>(quants + 2 * kGroupBytes, kStride);
      Tiles::load<5>(x + 3 * Group, kPackedUnit);
      tile_product<3, 5, 7>(quants + 3 * kGroupBytes, kStride);
      Tiles::store<0>(sums[0][first], kRowBytes);
      Tiles::store<1>(sums[0][first + 1], kRowBytes);
      Tiles::store<2>(sums[0][first + 2], kRowBytes);
      Tiles::store<3>(sums[0][first + 3], kRowBytes);
    }
  }

  // The sums of rows [begin, end) in floats.
  template <bool Bias> void add(const Sums &sums, std::int64_t begin, std::int64_t end, float *out) const {
    for (int t = 0; t < Wide; ++t) {
      Floats scale[kGroups], bias[kGroups];
#pragma GCC unroll 8
      for (int group = 0; group < kGroups; ++group) {
        scale[group] = Floats::load(scale_ + (group * T + t) * kPackedTile);
        if constexpr (Bias)
          bias[group] = Floats::load(biases_ + (group * T + t) * kPackedTile);
      }
      const float *x_sums = x_sums_;
      for (std::int64_t m = begin; m < end; ++m) {
        Floats block = Floats::zero();
#pragma GCC unroll 8
        for (int group = 0; group < kGroups; ++group) {
          block = Floats::fma(Ints::load(sums[t][group] + m * kPackedTile).floats(), scale[group], block);
          if constexpr (Bias)
            block = Floats::fma(bias[group], Floats::all(x_sums[group * rows_ + m]), block);
        }
        float *at = out + place_ + (m * T + t) * kPackedTile;
        Floats::fma(block, Floats::all(x_scale_[m]), Floats::load(at)).store(at);
      }
    }
  }

private:
  static constexpr std::int64_t kStride = T * 64; // of the quants, between vectors of a tile
  static constexpr std::int64_t kGroupBytes = Group / 4 * kStride;
  static constexpr std::int64_t kRowBytes = kPackedTile * 4; // of sums
  const std::uint8_t *quants_;
  const float *scale_, *biases_;
  const std::int8_t *data_;
  const float *x_scale_, *x_sums_;
  std::int64_t place_, rows_;
};

template <int Group, bool Bias, int T, int Wide>
void multiply_steps(const WideTiles &tiles, const Panel &x, float *out) {
  using Step = TileStep<Group, T, Wide>;
  alignas(64) typename Step::Sums sums[2];
  const std::int64_t steps = tiles.units * Step::kPerUnit, rows = x.rows;
  for (std::int64_t i = 0; i <= steps; ++i) {
    const Step now(tiles, x, i), before(tiles, x, i > 0 ? i - 1 : 0);
    for (std::int64_t round = 0; round < Step::kRounds; ++round) {
      if (i < steps)
        now.multiply(static_cast<int>(round), sums[i % 2]);
      if (i > 0) // a share of the rows between two rounds of tiles, so that both kinds of work are at hand
        before.template add<Bias>(sums[(i + 1) % 2], round * rows / Step::kRounds, (round + 1) * rows / Step::kRounds,
                                  out);
    }
  }
}

template <bool Bias> void multiply_groups(const WideTiles &tiles, const Panel &x, float *out) {
  if (tiles.group == 16)
    return tiles.tiles == 2 ? multiply_steps<16, Bias, 2, 1>(tiles, x, out)
                            : multiply_steps<16, Bias, 1, 1>(tiles, x, out);
  return tiles.tiles == 2 ? multiply_steps<32, Bias, 2, 2>(tiles, x, out)
                          : multiply_steps<32, Bias, 1, 1>(tiles, x, out);
}

// The product of many rows as the other kernels know it.
struct ManyRows {
  static constexpr int kPanelRows = kTileRows, kWideTiles = 2;
  static constexpr bool kRowPanels = true, kSignedQuants = true;
  static void multiply(const WideTiles &tiles, const Panel &x, float *out) {
    return tiles.bias ? multiply_groups<true>(tiles, x, out) : multiply_groups<false>(tiles, x, out);
  }
  static void begin(int group, int rows) {
    const TileConfig config(group, rows);
    Tiles::configure(&config);
  }
  static void end() { Tiles::release(); }
};

} // namespace
} // namespace abyssal::cpu
