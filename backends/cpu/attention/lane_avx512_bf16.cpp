// The kernels of attention in bfloat16, whose rows are multiplied where they lie in a bfloat16 cache.
#include "backends/cpu/attention/lane_kernels.h"
#include "backends/cpu/kernels/exp2_avx512.h"
#include "base/dtype.h"
#include "device/backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <immintrin.h>

namespace abyssal::cpu {

namespace {

__m512bh pairs(std::uint32_t two) { return reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(two))); }

__m512 max_of(__m512 a, __m512 b) { return _mm512_max_ps(a, b); }

// Rounds to bfloat16, to nearest, ties to even; the bits stay in the upper half of each lane.
__m512i rounded(__m512 x) {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  return _mm512_and_si512(up, _mm512_set1_epi32(static_cast<int>(0xffff0000u)));
}

// Scores of N rows.
template <int N>
void score_rows(const std::uint16_t *keys, std::int64_t stride, std::int64_t d, const std::uint32_t *query,
                __m512 *scores) {
  __m512 sum[N];
#pragma GCC unroll 16
  for (std::int64_t t = 0; t < N; ++t)
    sum[t] = _mm512_setzero_ps();
  for (std::int64_t i = 0; i < d / 2; ++i) {
    const auto q = reinterpret_cast<__m512bh>(_mm512_loadu_si512(query + i * kLanes));
#pragma GCC unroll 16
    for (std::int64_t t = 0; t < N; ++t) {
      std::uint32_t two;
      std::memcpy(&two, keys + t * stride + 2 * i, sizeof two);
      sum[t] = _mm512_dpbf16_ps(sum[t], q, pairs(two));
    }
  }
#pragma GCC unroll 16
  for (std::int64_t t = 0; t < N; ++t)
    scores[t] = sum[t];
}

void score_block(const LaneBlock &block, const std::uint32_t *query, __m512 *scores) {
  const auto score = [&](auto &&rows, std::int64_t at) {
    rows(block.keys + at * block.stride, block.stride, block.d_qk, query, scores + at);
  };
  const std::int64_t count = block.count;
  std::int64_t t = 0;
  for (; t + 16 <= count; t += 16)
    score(score_rows<16>, t);
  if (t > 0 && t < count) // the last sixteen: some scores are made twice
    return score(score_rows<16>, count - 16);
  for (; t + 8 <= count; t += 8)
    score(score_rows<8>, t);
  for (; t + 4 <= count; t += 4)
    score(score_rows<4>, t);
  for (; t < count; ++t)
    score(score_rows<1>, t);
}

void fetch(const LaneAhead &next, std::int64_t first, std::int64_t last) {
  if (next.rows == nullptr)
    return;
  for (std::int64_t row = first; row < last; ++row) {
    const std::byte *at = next.rows + row * next.stride;
    for (std::int64_t byte = 0; byte < next.bytes; byte += 64)
      _mm_prefetch(reinterpret_cast<const char *>(at + byte), _MM_HINT_T1);
  }
}

// Sixteen columns of two rows, interleaved: lane j holds (a[j], b[j]).
__m512bh interleaved(const std::uint16_t *a, const std::uint16_t *b) {
  const __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(a)));
  const __m512i high = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(b)));
  return reinterpret_cast<__m512bh>(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}

// mixed = mixed * keep + weights values for 16 * Wide columns from d on, of the first Lanes lanes. weights: bf16 pairs
// [32][16 lanes][2]. Few lanes take several times sixteen columns, so that no sum waits for the one before.
template <int Lanes, int Wide>
void add_columns(const LaneBlock &block, std::int64_t d, const std::uint32_t *weights, const float *keep, bool first,
                 float *mixed) {
  __m512 sum[Lanes][Wide];
#pragma GCC unroll 16
  for (std::int64_t h = 0; h < Lanes; ++h) {
#pragma GCC unroll 4
    for (std::int64_t c = 0; c < Wide; ++c)
      sum[h][c] = first ? _mm512_setzero_ps()
                        : _mm512_mul_ps(_mm512_loadu_ps(mixed + h * block.d_v + d + 16 * c), _mm512_set1_ps(keep[h]));
  }
  const std::uint16_t *at = block.values + d;
  for (std::int64_t t = 0; t < block.count; t += 2, at += 2 * block.stride) {
    const std::uint16_t *below = t + 1 < block.count ? at + block.stride : at;
    const std::uint32_t *w = weights + t / 2 * kLanes;
    __m512bh v[Wide];
#pragma GCC unroll 4
    for (std::int64_t c = 0; c < Wide; ++c)
      v[c] = interleaved(at + 16 * c, below + 16 * c);
#pragma GCC unroll 16
    for (std::int64_t h = 0; h < Lanes; ++h) {
#pragma GCC unroll 4
      for (std::int64_t c = 0; c < Wide; ++c)
        sum[h][c] = _mm512_dpbf16_ps(sum[h][c], v[c], pairs(w[h]));
    }
  }
#pragma GCC unroll 16
  for (std::int64_t h = 0; h < Lanes; ++h) {
#pragma GCC unroll 4
    for (std::int64_t c = 0; c < Wide; ++c)
      _mm512_storeu_ps(mixed + h * block.d_v + d + 16 * c, sum[h][c]);
  }
}

template <int Lanes, int Wide>
void add_values(const LaneBlock &block, const std::uint32_t *weights, const float *keep, bool first, float *mixed) {
  std::int64_t fetched = 0;
  const auto fetch_until = [&](std::int64_t d) {
    const std::int64_t rows = ABK_BLOCK_TOKENS * d / block.d_v;
    fetch(block.next_keys, fetched, rows);
    fetch(block.next_values, fetched, rows);
    fetched = rows;
  };
  std::int64_t d = 0;
  for (; d + 16 * Wide <= block.d_v; d += 16 * Wide) {
    fetch_until(d + 16 * Wide);
    add_columns<Lanes, Wide>(block, d, weights, keep, first, mixed);
  }
  for (; d < block.d_v; d += 16) {
    fetch_until(d + 16);
    add_columns<Lanes, 1>(block, d, weights, keep, first, mixed);
  }
}

void add(const LaneBlock &block, const std::uint32_t *query, std::int64_t lanes, bool first, const LaneState &state) {
  const __m512 never = _mm512_set1_ps(-INFINITY);
  const std::int64_t count = block.count;
  __m512 scores[ABK_BLOCK_TOKENS];
  score_block(block, query, scores);
  if (block.seen != nullptr) {
    const __m512i seen = _mm512_loadu_si512(block.seen);
    for (std::int64_t t = 0; t < count; ++t)
      scores[t] = _mm512_mask_mov_ps(
          never, _mm512_cmpgt_epi32_mask(seen, _mm512_set1_epi32(static_cast<std::int32_t>(t))), scores[t]);
  }
  __m512 top = first ? never : _mm512_loadu_ps(state.top);
  const __m512 old_top = top;
  for (std::int64_t t = 0; t < count; ++t)
    top = max_of(top, scores[t]);

  // A lane that has seen no row has no top, and each difference to it is not a number: exp2_of gives 0.
  __m512 total = _mm512_setzero_ps();
  alignas(64) std::uint32_t weights[ABK_BLOCK_TOKENS / 2 * kLanes];
  for (std::int64_t t = 0; t < count; t += 2) {
    const __m512i even = rounded(exp2_of(_mm512_sub_ps(scores[t], top)));
    const __m512i odd = t + 1 < count ? rounded(exp2_of(_mm512_sub_ps(scores[t + 1], top))) : _mm512_setzero_si512();
    total = _mm512_add_ps(total, _mm512_castsi512_ps(even));
    total = _mm512_add_ps(total, _mm512_castsi512_ps(odd));
    _mm512_store_si512(weights + t / 2 * kLanes, _mm512_or_si512(_mm512_srli_epi32(even, 16), odd));
  }
  alignas(64) float keep[kLanes] = {};
  if (!first) {
    const __m512 factor = exp2_of(_mm512_sub_ps(old_top, top));
    _mm512_store_ps(keep, factor);
    total = _mm512_fmadd_ps(_mm512_loadu_ps(state.total), factor, total);
  }
  _mm512_storeu_ps(state.top, top);
  _mm512_storeu_ps(state.total, total);
  if (lanes <= 4)
    add_values<4, 4>(block, weights, keep, first, state.mixed);
  else if (lanes <= 8)
    add_values<8, 2>(block, weights, keep, first, state.mixed);
  else
    add_values<16, 1>(block, weights, keep, first, state.mixed);
}

// One head of `count` rows cached as int8, contiguous, and the plain values at the rows' ends, to bfloat16
// [count, layout.head + layout.plain]. layout.head: a multiple of 16
void widen_i8(const CachedRow &layout, const std::byte *rows, std::int64_t count, std::int64_t head,
              std::uint16_t *out) {
  const std::size_t row_bytes = layout.bytes();
  const std::byte *scales_at = rows + static_cast<std::size_t>(head * layout.groups_of_head()) * sizeof(float);
  const std::byte *quants_at = rows + layout.quants_at() + head * layout.head;
  for (std::int64_t r = 0; r < count; ++r) {
    const auto *scales = reinterpret_cast<const float *>(scales_at);
    const auto wide = [&](std::int64_t d, __m512 scale) {
      const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i *>(quants_at + d));
      return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(sixteen)), scale);
    };
    std::int64_t d = 0;
    for (; d + 32 <= layout.head; d += 32) {
      const __m512 scale = _mm512_set1_ps(scales[d / kCacheGroup]);
      const __m512bh narrow = _mm512_cvtne2ps_pbh(wide(d + 16, scale), wide(d, scale));
      _mm512_storeu_si512(out + d, reinterpret_cast<__m512i>(narrow));
    }
    if (d < layout.head) {
      const __m256bh narrow = _mm512_cvtneps_pbh(wide(d, _mm512_set1_ps(scales[d / kCacheGroup])));
      _mm256_storeu_si256(reinterpret_cast<__m256i *>(out + d), reinterpret_cast<__m256i>(narrow));
    }
    std::memcpy(out + layout.head, rows + layout.plain_at(), static_cast<std::size_t>(layout.plain) * sizeof *out);
    rows += row_bytes;
    scales_at += row_bytes;
    quants_at += row_bytes;
    out += layout.head + layout.plain;
  }
}

void merge(const LaneState &state, const LaneState &part, std::int64_t lanes, std::int64_t d_v) {
  const __m512 a = _mm512_loadu_ps(state.top), b = _mm512_loadu_ps(part.top), top = max_of(a, b);
  alignas(64) float keep[kLanes], take[kLanes];
  _mm512_store_ps(keep, exp2_of(_mm512_sub_ps(a, top)));
  _mm512_store_ps(take, exp2_of(_mm512_sub_ps(b, top)));
  _mm512_storeu_ps(state.top, top);
  _mm512_storeu_ps(state.total, _mm512_fmadd_ps(_mm512_loadu_ps(state.total), _mm512_load_ps(keep),
                                                _mm512_mul_ps(_mm512_loadu_ps(part.total), _mm512_load_ps(take))));
  for (std::int64_t h = 0; h < lanes; ++h) {
    for (std::int64_t d = h * d_v; d < (h + 1) * d_v; d += 16)
      _mm512_storeu_ps(state.mixed + d,
                       _mm512_fmadd_ps(_mm512_loadu_ps(state.mixed + d), _mm512_set1_ps(keep[h]),
                                       _mm512_mul_ps(_mm512_loadu_ps(part.mixed + d), _mm512_set1_ps(take[h]))));
  }
}

std::int64_t row_bytes(const LaneBlock &block) {
  return ABK_BLOCK_TOKENS * (block.d_qk + block.d_v) * static_cast<std::int64_t>(sizeof(std::uint16_t));
}

void latent_rows(LaneBlock &block, const CachedRow &layout, const std::byte *rows, std::byte *memory) {
  if (layout.dtype == ABY_DTYPE_BF16) {
    block.keys = reinterpret_cast<const std::uint16_t *>(rows);
  } else {
    auto *wide = reinterpret_cast<std::uint16_t *>(memory);
    widen_i8(layout, rows, block.count, 0, wide);
    block.keys = wide;
  }
  block.values = block.keys;
  block.stride = block.d_qk;
}

void head_rows(LaneBlock &block, const CachedRow &layout, const std::byte *keys, const std::byte *values,
               std::int64_t head, std::byte *memory) {
  if (layout.dtype == ABY_DTYPE_BF16) {
    block.keys = reinterpret_cast<const std::uint16_t *>(keys) + head * block.d_qk;
    block.values = reinterpret_cast<const std::uint16_t *>(values) + head * block.d_v;
    block.stride = layout.width;
    return;
  }
  auto *wide = reinterpret_cast<std::uint16_t *>(memory);
  widen_i8(layout, keys, block.count, head, wide);
  widen_i8(layout, values, block.count, head, wide + ABK_BLOCK_TOKENS * block.d_qk);
  block.keys = wide;
  block.values = wide + ABK_BLOCK_TOKENS * block.d_qk;
  block.stride = block.d_qk;
}

void put_query(const float *values, std::int64_t d_qk, std::int64_t, std::int64_t lane, std::uint32_t *query) {
  constexpr std::int64_t kPiece = 256;
  std::uint16_t narrow[kPiece];
  for (std::int64_t at = 0; at < d_qk; at += kPiece) {
    const std::int64_t count = std::min(kPiece, d_qk - at);
    for (std::int64_t i = 0; i < count; ++i)
      narrow[i] = float_to_bf16(values[at + i]);
    for (std::int64_t i = 0; i < count; i += 2)
      std::memcpy(query + (at + i) / 2 * kLanes + lane, narrow + i, sizeof *query);
  }
}

constexpr LaneKernels kLaneKernels = {row_bytes, latent_rows, head_rows, put_query, add, merge, nullptr, nullptr};

} // namespace

const LaneKernels &avx512_bf16_lane_kernels() { return kLaneKernels; }

} // namespace abyssal::cpu
