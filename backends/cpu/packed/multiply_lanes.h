// The product of many rows in the lanes of vector registers; included after an instruction set's lanes.
#include "backends/cpu/packed/packed_kernels.h"

#include <utility>

namespace abyssal::cpu {
namespace {

// The exact sums of M rows and T tiles over one group, in the registers of the loops over groups.
template <int T, int M> struct GroupSums {
  Ints at[M][T];
};

// One half of the activations. x: [Group / 4][M][4]; init: [M]
template <int Group, int T, int M>
[[gnu::always_inline]] inline GroupSums<T, M> byte_sums(const std::uint8_t *quants, const std::int8_t *x,
                                                        const std::int32_t *init) {
  ByteSums sum[M][T];
#pragma GCC unroll 6
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int t = 0; t < T; ++t)
      sum[m][t] = ByteSums::start(init[m]);
#pragma GCC unroll 8
  for (int v = 0; v < Group / 4; ++v) {
    Quants w[T];
#pragma GCC unroll 2
    for (int t = 0; t < T; ++t)
      w[t] = Quants::load(quants + (v * T + t) * 64);
#pragma GCC unroll 6
    for (int m = 0; m < M; ++m) {
      const Spread four(x + (v * M + m) * 4);
#pragma GCC unroll 2
      for (int t = 0; t < T; ++t)
        sum[m][t].dot(w[t], four);
    }
  }
  GroupSums<T, M> result;
#pragma GCC unroll 6
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int t = 0; t < T; ++t)
      result.at[m][t] = sum[m][t].ints();
  return result;
}

// Both halves, for groups where a row has 16 bits; few do.
template <int Group, int T, int M>
[[gnu::noinline]] void joined_sums(const std::uint8_t *quants, const std::int8_t *high, const std::int8_t *low,
                                   const std::int32_t *init_high, const std::int32_t *init_low,
                                   GroupSums<T, M> &result) {
  result = byte_sums<Group, T, M>(quants, high, init_high);
  const GroupSums<T, M> below = byte_sums<Group, T, M>(quants, low, init_low);
  for (int m = 0; m < M; ++m)
    for (int t = 0; t < T; ++t)
      result.at[m][t] = result.at[m][t].join(below.at[m][t]);
}

// Weights and activations of 16 bits. quants: [Group / 4][T][2][32]; x: [Group / 4][2][M][2]
template <typename W, int Group, int T, int M>
[[gnu::always_inline]] inline GroupSums<T, M> word_sums(const std::uint8_t *quants, const std::int16_t *x) {
  GroupSums<T, M> sum;
#pragma GCC unroll 6
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int t = 0; t < T; ++t)
      sum.at[m][t] = Ints::none();
#pragma GCC unroll 16
  for (int pair = 0; pair < Group / 2; ++pair) {
    W w[T];
#pragma GCC unroll 2
    for (int t = 0; t < T; ++t)
      w[t] = W::load(quants + ((pair / 2 * T + t) * 2 + pair % 2) * 64);
#pragma GCC unroll 6
    for (int m = 0; m < M; ++m) {
      const Spread two(x + (pair * M + m) * 2);
#pragma GCC unroll 2
      for (int t = 0; t < T; ++t)
        sum.at[m][t].dot(w[t], two);
    }
  }
  return sum;
}

template <int Group, bool Bias, PanelForm Form, int T, int M>
void multiply_rows(const WideTiles &tiles, const Panel &x, float *out) {
  constexpr int kGroups = static_cast<int>(kPackedUnit) / Group;
  constexpr bool kWords = Form == PanelForm::kWords;
  constexpr std::int64_t kQuantBytes = std::int64_t{Group} * 16 * T * (kWords ? 2 : 1); // of a group
  const std::uint8_t *quants = tiles.quants;
  const float *scales = tiles.scale, *biases = tiles.biases;
  const std::int64_t first = tiles.unit0 * kGroups;
  Floats total[M][T];
#pragma GCC unroll 6
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int t = 0; t < T; ++t)
      total[m][t] = Floats::load(out + (m * T + t) * kPackedTile);
  for (std::int64_t g = first; g < first + tiles.units * kGroups; ++g, quants += kQuantBytes) {
    const std::int64_t scale_group = g * Group / kScaleGroup;
    GroupSums<T, M> sum;
    if constexpr (kWords)
      sum = word_sums<Words, Group, T, M>(quants, x.words + g * Group * M);
    else if (x.wide[scale_group] != 0)
      joined_sums<Group, T, M>(quants, x.high + g * Group * M, x.low + g * Group * M, x.init_high + g * M,
                               x.init_low + g * M, sum);
    else
      sum = byte_sums<Group, T, M>(quants, x.high + g * Group * M, x.init_high + g * M);
    const float *x_scale = x.scale + scale_group * M;
#pragma GCC unroll 2
    for (int t = 0; t < T; ++t) {
      const Floats scale = Floats::load(scales + t * kPackedTile);
#pragma GCC unroll 6
      for (int m = 0; m < M; ++m)
        total[m][t] = Floats::fma(sum.at[m][t].floats() * Floats::all(x_scale[m]), scale, total[m][t]);
    }
    scales += T * kPackedTile;
    if constexpr (Bias) {
      const float *sums = x.sums + g * M;
#pragma GCC unroll 2
      for (int t = 0; t < T; ++t) {
        const Floats bias = Floats::load(biases + t * kPackedTile);
#pragma GCC unroll 6
        for (int m = 0; m < M; ++m)
          total[m][t] = Floats::fma(bias, Floats::all(sums[m]), total[m][t]);
      }
      biases += T * kPackedTile;
    }
  }
#pragma GCC unroll 6
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int t = 0; t < T; ++t)
      total[m][t].store(out + (m * T + t) * kPackedTile);
}

using Multiply = void (*)(const WideTiles &, const Panel &, float *);

// multiply_rows for 1 to kLaneTiles tiles of 1 to kLaneRows rows.
template <int Group, bool Bias, PanelForm Form, int T, int... M>
void multiply_any(const WideTiles &tiles, const Panel &x, float *out, std::integer_sequence<int, M...> rows) {
  if constexpr (T > 1)
    if (tiles.tiles < T)
      return multiply_any<Group, Bias, Form, T - 1>(tiles, x, out, rows);
  static constexpr Multiply kRows[] = {multiply_rows<Group, Bias, Form, T, M + 1>...};
  kRows[x.rows - 1](tiles, x, out);
}

template <PanelForm Form> void multiply_form(const WideTiles &tiles, const Panel &x, float *out) {
  constexpr std::make_integer_sequence<int, kLaneRows> kRows;
  if (tiles.group == 32)
    return tiles.bias ? multiply_any<32, true, Form, kLaneTiles>(tiles, x, out, kRows)
                      : multiply_any<32, false, Form, kLaneTiles>(tiles, x, out, kRows);
  return tiles.bias ? multiply_any<16, true, Form, kLaneTiles>(tiles, x, out, kRows)
                    : multiply_any<16, false, Form, kLaneTiles>(tiles, x, out, kRows);
}

void multiply_lanes(const WideTiles &tiles, const Panel &x, float *out) {
  if constexpr (kLaneWords)
    if (x.form == PanelForm::kWords)
      return multiply_form<PanelForm::kWords>(tiles, x, out);
  multiply_form<PanelForm::kBytes>(tiles, x, out);
}

// The product of many rows as the other kernels know it.
struct ManyRows {
  static constexpr int kPanelRows = kLaneRows, kWideTiles = kLaneTiles;
  static constexpr bool kRowPanels = false, kWords = kLaneWords;
  static constexpr auto multiply = multiply_lanes;
  static constexpr void (*begin)(int) = nullptr;
  static constexpr void (*end)() = nullptr;
};

} // namespace
} // namespace abyssal::cpu
