// The kernels of attention in integers of 16 bits, written once over the lanes of an instruction set; each one's file
// includes its lanes and then this.
//
// Products of two integers of 16 bits are summed exactly in 32 bits, 64 of them at a time, and become floats then: a
// processor without products in bfloat16 makes twice as many such products as in float32. A block of cached rows is
// rounded once for all the queries of a task, every row with a scale of its own (c_kv and k_pe apart), and so are
// queries. The weights of a block take the scales of its values, and are rounded in turn, every lane with a scale of
// its own. Integers of 12 bits and a sign are finer than the 8 bits of bfloat16 but for values below a sixteenth of
// their row's largest one.
#include "backends/cpu/attention/lane_i16_rows.h"
#include "backends/cpu/attention/lane_kernels.h"
#include "device/backend.h"

namespace abyssal::cpu {
namespace {

constexpr std::int64_t kExactPairs = 32;                      // of products that are summed before they become floats
constexpr std::int64_t kTile = ABK_BLOCK_TOKENS / 2 * kLanes; // words of sixteen columns of a block's values

std::int64_t row_stride(const LaneBlock &block) {
  return whole_lanes(block.split) + whole_lanes(block.d_qk - block.split);
}

// What a block is made ready in. All rows of kScoreRows are there, and a row after an odd number of values.
struct RowMemory {
  RowMemory(const LaneBlock &block, std::byte *memory) : at(memory) {
    keys = take<std::int16_t>(ABK_BLOCK_TOKENS * row_stride(block));
    values = take<std::int16_t>(ABK_BLOCK_TOKENS * block.d_v);
    value_rows = take<std::int16_t>(ABK_BLOCK_TOKENS * block.d_v);
    key_scales = take<float>(2 * ABK_BLOCK_TOKENS);
    value_scales = take<float>(ABK_BLOCK_TOKENS);
    wide = take<float>(std::max(block.d_qk, block.d_v));
  }
  template <typename Element> Element *take(std::int64_t count) {
    auto *const taken = reinterpret_cast<Element *>(at);
    at += (count * static_cast<std::int64_t>(sizeof(Element)) + 63) / 64 * 64;
    return taken;
  }
  std::byte *at;
  std::int16_t *keys;       // [64, row_stride]
  std::int16_t *values;     // [d_v / 16][32][16][2]
  std::int16_t *value_rows; // [64, d_v], where they are not a part of the keys
  float *key_scales, *value_scales;
  float *wide; // a row
};

std::int64_t row_bytes(const LaneBlock &block) {
  return reinterpret_cast<std::intptr_t>(RowMemory(block, nullptr).at); // counted from null
}

void clear_rows(std::int64_t count, std::int64_t stride, std::int16_t *rows) {
  const std::int64_t all = (count + kScoreRows - 1) / kScoreRows * kScoreRows;
  std::fill_n(rows + count * stride, (all - count) * stride, std::int16_t{0});
}

void set_block(LaneBlock &block, const RowMemory &to) {
  block.keys = reinterpret_cast<const std::uint16_t *>(to.keys);
  block.values = reinterpret_cast<const std::uint16_t *>(to.values);
  block.stride = row_stride(block);
  block.key_scales = to.key_scales;
  block.value_scales = to.value_scales;
}

void latent_rows(LaneBlock &block, const CachedRow &layout, const std::byte *rows, std::byte *memory) {
  const RowMemory to(block, memory);
  set_block(block, to);
  const std::int64_t lora = block.split, rope = block.d_qk - lora;
  std::int16_t *out = to.keys;
  for (std::int64_t t = 0; t < block.count; ++t, rows += layout.bytes(), out += block.stride) {
    if (layout.dtype == ABY_DTYPE_BF16) {
      to.key_scales[t] = round_bf16(reinterpret_cast<const std::uint16_t *>(rows), lora, out);
    } else {
      widen_quants(reinterpret_cast<const float *>(rows),
                   reinterpret_cast<const std::int8_t *>(rows + layout.quants_at()), lora, to.wide);
      to.key_scales[t] = round_floats(to.wide, lora, out);
    }
    const std::byte *plain =
        layout.dtype == ABY_DTYPE_BF16 ? rows + lora * std::int64_t{sizeof(std::uint16_t)} : rows + layout.plain_at();
    to.key_scales[ABK_BLOCK_TOKENS + t] =
        round_bf16(reinterpret_cast<const std::uint16_t *>(plain), rope, out + whole_lanes(lora));
  }
  block.value_scales = to.key_scales;
  clear_rows(block.count, block.stride, to.keys);
  pair_rows(to.keys, block.stride, block.count, block.d_v, to.values);
}

// One head of cached rows.
void round_head(const CachedRow &layout, const std::byte *rows, std::int64_t count, std::int64_t head, std::int64_t d,
                float *wide, std::int16_t *out, float *scales) {
  for (std::int64_t t = 0; t < count; ++t, rows += layout.bytes(), out += d) {
    if (layout.dtype == ABY_DTYPE_BF16) {
      scales[t] = round_bf16(reinterpret_cast<const std::uint16_t *>(rows) + head * d, d, out);
      continue;
    }
    widen_quants(reinterpret_cast<const float *>(rows) + head * layout.groups_of_head(),
                 reinterpret_cast<const std::int8_t *>(rows + layout.quants_at()) + head * d, d, wide);
    scales[t] = round_floats(wide, d, out);
  }
}

void head_rows(LaneBlock &block, const CachedRow &layout, const std::byte *keys, const std::byte *values,
               std::int64_t head, std::byte *memory) {
  const RowMemory to(block, memory);
  set_block(block, to);
  round_head(layout, keys, block.count, head, block.d_qk, to.wide, to.keys, to.key_scales);
  clear_rows(block.count, block.stride, to.keys);
  round_head(layout, values, block.count, head, block.d_v, to.wide, to.value_rows, to.value_scales);
  if (block.count % 2 != 0)
    std::fill_n(to.value_rows + block.count * block.d_v, block.d_v, std::int16_t{0});
  pair_rows(to.value_rows, block.d_v, block.count, block.d_v, to.values);
}

void made_rows(LaneBlock &made, const LaneBlock &latent, const float *keys, const float *values, std::byte *memory) {
  const RowMemory to(made, memory);
  set_block(made, to);
  const std::int64_t rope = whole_lanes(made.d_qk - made.split);
  const auto *k_pe = reinterpret_cast<const std::int16_t *>(latent.keys) + latent.split;
  for (std::int64_t t = 0; t < made.count; ++t) {
    std::int16_t *out = to.keys + t * made.stride;
    to.key_scales[t] = round_floats(keys + t * made.split, made.split, out);
    std::copy_n(k_pe + t * latent.stride, rope, out + made.split);
    to.key_scales[ABK_BLOCK_TOKENS + t] = latent.key_scales[ABK_BLOCK_TOKENS + t];
  }
  clear_rows(made.count, made.stride, to.keys);
  for (std::int64_t t = 0; t < made.count; ++t)
    to.value_scales[t] = round_floats(values + t * made.d_v, made.d_v, to.value_rows + t * made.d_v);
  if (made.count % 2 != 0)
    std::fill_n(to.value_rows + made.count * made.d_v, made.d_v, std::int16_t{0});
  pair_rows(to.value_rows, made.d_v, made.count, made.d_v, to.values);
}

void put_query(const float *values, std::int64_t d_qk, std::int64_t split, std::int64_t lane, std::uint32_t *query) {
  auto *scales = reinterpret_cast<float *>(query + d_qk / 2 * kLanes);
  const auto put = [&](std::int64_t first, std::int64_t count, float *scale) {
    constexpr std::int64_t kPiece = 256;
    std::int16_t integers[kPiece];
    const float most = largest(values + first, count), factor = factor_of(most);
    *scale = scale_of(most);
    for (std::int64_t at = first; at < first + count; at += kPiece) {
      const std::int64_t here = std::min(kPiece, first + count - at);
      for_sixteens(values + at, here,
                   [&](const float *from, std::int64_t i) { Sixteen::load(from).store_rounded(factor, integers + i); });
      for (std::int64_t i = 0; i < here; i += 2)
        std::memcpy(query + (at + i) / 2 * kLanes + lane, integers + i, sizeof *query);
    }
  };
  put(0, split, scales + lane);
  put(split, d_qk - split, scales + kLanes + lane);
}

// 2^x for x <= 0; 0 below -126, and of what is not a number. A polynomial on [-1/2, 1/2], relative error about 2e-7.
Floats exp2_of(Floats x) {
  const Floats n = Floats::round(x), r = x - n;
  Floats p = Floats::all(1.54035304e-4f);
  for (const float c : {1.33335581e-3f, 9.61812911e-3f, 5.55041087e-2f, 2.40226507e-1f, 6.93147181e-1f, 1.0f})
    p = Floats::fma(p, r, Floats::all(c));
  return Floats::where_at_least(x, Floats::all(-126.0f), Floats::times_power(p, n));
}

// Scores of kScoreRows rows. scores: [kScoreRows] of kLanes, every `step`. By itself, so that no constants of a caller
// take the registers that its sums need: inlined, GCC kept half of them in memory, at half the speed.
[[gnu::noinline]] void score_rows(const LaneBlock &block, const std::uint32_t *query, std::int64_t row, float *scores,
                                  std::int64_t step) {
  const std::uint16_t *keys = block.keys + row * block.stride;
  const auto *query_scales = reinterpret_cast<const float *>(query + block.d_qk / 2 * kLanes);
  const std::int64_t ends[] = {0, block.split / 2, block.d_qk / 2};
  for (int part = 0; part < 2 && ends[part] < ends[part + 1]; ++part) {
    Floats sum[kScoreRows];
#pragma GCC unroll 16
    for (std::int64_t t = 0; t < kScoreRows; ++t)
      sum[t] = Floats::zero();
    for (std::int64_t first = ends[part]; first < ends[part + 1]; first += kExactPairs) {
      const std::int64_t last = std::min(first + kExactPairs, ends[part + 1]);
      Sums exact[kScoreRows];
#pragma GCC unroll 16
      for (std::int64_t t = 0; t < kScoreRows; ++t)
        exact[t] = Sums::zero();
      for (std::int64_t i = first; i < last; ++i) {
        const Pairs q = Pairs::load(query + i * kLanes);
#pragma GCC unroll 16
        for (std::int64_t t = 0; t < kScoreRows; ++t)
          exact[t].add_products(q, Pair(keys + t * block.stride + 2 * i));
      }
#pragma GCC unroll 16
      for (std::int64_t t = 0; t < kScoreRows; ++t)
        sum[t] = sum[t] + exact[t].floats();
    }
    const float *row_scales = block.key_scales + part * ABK_BLOCK_TOKENS + row;
    const Floats lane_scales = Floats::load(query_scales + part * kLanes);
    for (std::int64_t t = 0; t < kScoreRows; ++t) {
      const Floats before = part == 0 ? Floats::zero() : Floats::load(scores + t * step);
      Floats::fma(sum[t] * Floats::all(row_scales[t]), lane_scales, before).store(scores + t * step);
    }
  }
}

void products(const LaneBlock &block, const std::uint32_t *query, float *out, std::int64_t step) {
  for (std::int64_t t = 0; t < block.count; t += kScoreRows)
    score_rows(block, query, t, out + t * step, step);
}

// Rows that follow each other whole are read in order when they are made ready, which the processor sees by itself:
// asking for them too cost 6 % on Zen 3.
void fetch(const LaneAhead &next, std::int64_t first, std::int64_t last) {
  if (next.rows == nullptr || next.bytes == next.stride)
    return;
  for (std::int64_t row = first; row < last; ++row) {
    const std::byte *at = next.rows + row * next.stride;
    for (std::int64_t byte = 0; byte < next.bytes; byte += 64)
      _mm_prefetch(reinterpret_cast<const char *>(at + byte), _MM_HINT_T1);
  }
}

// A block's weights as integers, and what they and the state so far are multiplied with.
struct Weights {
  alignas(64) std::uint32_t pairs[kTile]; // [32][16 lanes][2]
  alignas(64) float scale[kLanes], keep[kLanes];
};

// mixed = mixed * keep + weights values, of kValueLanes lanes from `lane` on and Tiles sixteens of columns.
template <std::int64_t Tiles>
[[gnu::noinline]] void add_columns(const LaneBlock &block, std::int64_t d, std::int64_t lane, const Weights &weights,
                                   bool first, float *mixed) {
  Sums sum[kValueLanes][Tiles];
#pragma GCC unroll 16
  for (std::int64_t h = 0; h < kValueLanes; ++h) {
#pragma GCC unroll 4
    for (std::int64_t c = 0; c < Tiles; ++c)
      sum[h][c] = Sums::zero();
  }
  const std::uint32_t *values = reinterpret_cast<const std::uint32_t *>(block.values) + d / 16 * kTile;
  const std::uint32_t *w = weights.pairs + lane;
  for (std::int64_t t = 0; t < block.count; t += 2, values += kLanes, w += kLanes) {
    Pairs v[Tiles];
#pragma GCC unroll 4
    for (std::int64_t c = 0; c < Tiles; ++c)
      v[c] = Pairs::load(values + c * kTile);
#pragma GCC unroll 16
    for (std::int64_t h = 0; h < kValueLanes; ++h) {
      const Pair weight(w + h);
#pragma GCC unroll 4
      for (std::int64_t c = 0; c < Tiles; ++c)
        sum[h][c].add_products(v[c], weight);
    }
  }
#pragma GCC unroll 16
  for (std::int64_t h = 0; h < kValueLanes; ++h) {
    const Floats scale = Floats::all(weights.scale[lane + h]), keep = Floats::all(weights.keep[lane + h]);
#pragma GCC unroll 4
    for (std::int64_t c = 0; c < Tiles; ++c) {
      float *at = mixed + (lane + h) * block.d_v + d + 16 * c;
      const Floats before = first ? Floats::zero() : Floats::load(at) * keep;
      Floats::fma(sum[h][c].floats(), scale, before).store(at);
    }
  }
}

void add_values(const LaneBlock &block, std::int64_t lanes, const Weights &weights, bool first, float *mixed) {
  std::int64_t fetched = 0;
  for (std::int64_t d = 0; d < block.d_v;) {
    const bool several = d + 16 * kValueTiles <= block.d_v;
    const std::int64_t columns = several ? 16 * kValueTiles : 16;
    const std::int64_t rows = ABK_BLOCK_TOKENS * (d + columns) / block.d_v;
    fetch(block.next_keys, fetched, rows);
    fetch(block.next_values, fetched, rows);
    fetched = rows;
    for (std::int64_t lane = 0; lane < lanes; lane += kValueLanes) {
      if (several)
        add_columns<kValueTiles>(block, d, lane, weights, first, mixed);
      else
        add_columns<1>(block, d, lane, weights, first, mixed);
    }
    d += columns;
  }
}

// Makes weights of scores, and takes them into top and total. scores: [64][16 lanes]
void weigh(const LaneBlock &block, float *scores, bool first, const LaneState &state, Weights &weights) {
  const Floats never = Floats::all(-INFINITY);
  const std::int64_t count = block.count;
  const auto masked = [&](std::int64_t t, Floats x, Floats other) {
    return block.seen == nullptr ? x : Seen::load(block.seen).select(t, x, other);
  };
  const Floats old_top = first ? never : Floats::load(state.top);
  Floats top = old_top;
  for (std::int64_t t = 0; t < count; ++t) {
    const Floats score = masked(t, Floats::load(scores + t * kLanes), never);
    score.store(scores + t * kLanes);
    top = Floats::max(score, top);
  }
  // A lane that has seen no row has no top, and each difference to it is not a number: exp2_of gives 0. `sum` is not a
  // number where a value is not.
  Floats total = Floats::zero(), most = Floats::zero(), sum = Floats::zero();
  for (std::int64_t t = 0; t < count; ++t) {
    const Floats weight = exp2_of(Floats::load(scores + t * kLanes) - top);
    total = total + weight;
    const Floats scaled = masked(t, weight * Floats::all(block.value_scales[t]), Floats::zero());
    most = Floats::max(scaled, most);
    sum = sum + scaled;
    scaled.store(scores + t * kLanes);
  }
  if (count % 2 != 0)
    Floats::zero().store(scores + count * kLanes);
  const Floats least = Floats::all(kLeastValue);
  const Floats factor = Floats::where_at_least(most, least, Floats::all(kMostInteger) / Floats::max(most, least));
  for (std::int64_t t = 0; t < count; t += 2)
    Pairs::rounded(Floats::load(scores + t * kLanes) * factor, Floats::load(scores + (t + 1) * kLanes) * factor)
        .store(weights.pairs + t / 2 * kLanes);
  Floats::fma(sum, Floats::zero(), most * Floats::all(1 / kMostInteger)).store(weights.scale);
  if (!first) {
    const Floats keep = exp2_of(old_top - top);
    keep.store(weights.keep);
    total = Floats::fma(Floats::load(state.total), keep, total);
  }
  top.store(state.top);
  total.store(state.total);
}

void add(const LaneBlock &block, const std::uint32_t *query, std::int64_t lanes, bool first, const LaneState &state) {
  alignas(64) float scores[ABK_BLOCK_TOKENS * kLanes];
  products(block, query, scores, kLanes);
  Weights weights;
  weigh(block, scores, first, state, weights);
  add_values(block, lanes, weights, first, state.mixed);
}

void merge(const LaneState &state, const LaneState &part, std::int64_t lanes, std::int64_t d_v) {
  const Floats a = Floats::load(state.top), b = Floats::load(part.top), top = Floats::max(a, b);
  alignas(64) float keep[kLanes], take[kLanes];
  exp2_of(a - top).store(keep);
  exp2_of(b - top).store(take);
  top.store(state.top);
  Floats::fma(Floats::load(state.total), Floats::load(keep), Floats::load(part.total) * Floats::load(take))
      .store(state.total);
  for (std::int64_t h = 0; h < lanes; ++h) {
    for (std::int64_t d = h * d_v; d < (h + 1) * d_v; d += 16)
      Floats::fma(Floats::load(state.mixed + d), Floats::all(keep[h]),
                  Floats::load(part.mixed + d) * Floats::all(take[h]))
          .store(state.mixed + d);
  }
}

constexpr LaneKernels kLaneKernels = {row_bytes, latent_rows, head_rows, put_query, add, merge, products, made_rows};

} // namespace
} // namespace abyssal::cpu
