// The product of many rows in the lanes of vector registers; included after an instruction set's lanes.
#include "backends/cpu/packed/packed_kernels.h"

#include <utility>

namespace abyssal::cpu {
namespace {

template <int Group, bool Bias, bool Small, int T, int M>
void multiply_rows(const WideTiles &tiles, const Panel &x, float *out) {
  constexpr int kGroups = static_cast<int>(kPackedUnit) / Group;
  const std::uint8_t *quants = tiles.quants;
  const float *scales = tiles.scale, *biases = tiles.biases;
  const std::int8_t *data = x.data + tiles.unit0 * kPackedUnit * M;
  const std::int32_t *init = x.init + tiles.unit0 * kGroups * M;
  const float *sums = Bias ? x.sums + tiles.unit0 * kGroups * M : nullptr;
  const float *x_scale = x.scale + tiles.unit0 * M;
  for (std::int64_t u = 0; u < tiles.units; ++u, x_scale += M) {
    Floats block[M][T];
#pragma GCC unroll 6
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
      for (int t = 0; t < T; ++t)
        block[m][t] = Floats::zero();
    for (int group = 0; group < kGroups; ++group, init += M) {
      Ints sum[M][T];
#pragma GCC unroll 6
      for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
        for (int t = 0; t < T; ++t)
          sum[m][t] = Ints::start<Small>(init[m]);
#pragma GCC unroll 8
      for (int v = 0; v < Group / 4; ++v, quants += 64 * T) {
        Quants w[T];
#pragma GCC unroll 2
        for (int t = 0; t < T; ++t)
          w[t] = Quants::load(quants + t * 64);
#pragma GCC unroll 6
        for (int m = 0; m < M; ++m) {
          const Four four(data + (v * M + m) * 4);
#pragma GCC unroll 2
          for (int t = 0; t < T; ++t)
            sum[m][t].template dot<Small>(w[t], four);
        }
      }
      data += Group * M;
#pragma GCC unroll 2
      for (int t = 0; t < T; ++t) {
        const Floats scale = Floats::load(scales + t * kPackedTile);
#pragma GCC unroll 6
        for (int m = 0; m < M; ++m)
          block[m][t] = Floats::fma(sum[m][t].floats(), scale, block[m][t]);
      }
      scales += T * kPackedTile;
      if constexpr (Bias) {
#pragma GCC unroll 2
        for (int t = 0; t < T; ++t) {
          const Floats bias = Floats::load(biases + t * kPackedTile);
#pragma GCC unroll 6
          for (int m = 0; m < M; ++m)
            block[m][t] = Floats::fma(bias, Floats::all(sums[m]), block[m][t]);
        }
        biases += T * kPackedTile;
        sums += M;
      }
    }
#pragma GCC unroll 6
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
      for (int t = 0; t < T; ++t) {
        float *at = out + (m * T + t) * kPackedTile;
        Floats::fma(block[m][t], Floats::all(x_scale[m]), Floats::load(at)).store(at);
      }
  }
}

using Multiply = void (*)(const WideTiles &, const Panel &, float *);

// multiply_rows for 1 to kLaneTiles tiles of 1 to kLaneRows rows.
template <int Group, bool Bias, bool Small, int T, int... M>
void multiply_any(const WideTiles &tiles, const Panel &x, float *out, std::integer_sequence<int, M...> rows) {
  if constexpr (T > 1)
    if (tiles.tiles < T)
      return multiply_any<Group, Bias, Small, T - 1>(tiles, x, out, rows);
  static constexpr Multiply kRows[] = {multiply_rows<Group, Bias, Small, T, M + 1>...};
  kRows[x.rows - 1](tiles, x, out);
}

template <int Group, bool Bias, bool Small> void multiply_group(const WideTiles &tiles, const Panel &x, float *out) {
  multiply_any<Group, Bias, Small, kLaneTiles>(tiles, x, out, std::make_integer_sequence<int, kLaneRows>());
}

void multiply_lanes(const WideTiles &tiles, const Panel &x, float *out) {
  if (tiles.group == 32 && !tiles.bias)
    return tiles.small ? multiply_group<32, false, true>(tiles, x, out)
                       : multiply_group<32, false, false>(tiles, x, out);
  if (tiles.group == 32)
    return multiply_group<32, true, true>(tiles, x, out); // the layouts with a bias have small quants
  if (tiles.bias)
    return multiply_group<16, true, true>(tiles, x, out);
  return tiles.small ? multiply_group<16, false, true>(tiles, x, out) : multiply_group<16, false, false>(tiles, x, out);
}

// The product of many rows as the other kernels know it.
struct ManyRows {
  static constexpr int kPanelRows = kLaneRows, kWideTiles = kLaneTiles;
  static constexpr bool kRowPanels = false, kSignedQuants = false;
  static constexpr auto multiply = multiply_lanes;
  static constexpr void (*begin)(int) = nullptr;
  static constexpr void (*end)() = nullptr;
};

} // namespace
} // namespace abyssal::cpu
