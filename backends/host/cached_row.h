// A token's row in the cache of attention: how it is stored, and its conversion from and to float32. Nothing else knows
// the layout, but for kernels that read it a vector at a time.
//
// F32 and BF16 rows are their values. An I8 row has three parts, and is padded to a multiple of 4 bytes:
//   scales  float [groups()]         of the quants, group by group
//   plain   bfloat16 [plain]         the last values of the row
//   quants  int8 [width - plain]     the others: value = quant * scale
// A group is up to 64 values of one head: of heads of 128, two groups each. Against one scale for 128 values that costs
// 2 % more bytes and takes a tenth off the error of normal values, a quarter where the sizes of channels differ much.
//
// What quantises a row is one function in plain code, so that a row has the same bits on every host backend.
#pragma once

#include <abyssal/abyssal.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace abyssal {

constexpr std::int64_t kCacheGroup = 64;

struct CachedRow {
  aby_dtype dtype = ABY_DTYPE_F32; // F32, BF16 or I8
  std::int64_t width = 0;          // values; 0: there is no such row
  std::int64_t plain = 0;          // I8: values at the end of the row that stay bfloat16
  std::int64_t head = 0;           // I8: groups begin anew with each of so many values

  std::int64_t quants() const noexcept { return width - plain; }
  std::int64_t groups_of_head() const noexcept { return (head + kCacheGroup - 1) / kCacheGroup; }
  std::int64_t groups() const noexcept { return head > 0 ? quants() / head * groups_of_head() : 0; }
  std::size_t plain_at() const noexcept { return static_cast<std::size_t>(groups()) * sizeof(float); }
  std::size_t quants_at() const noexcept {
    return plain_at() + static_cast<std::size_t>(plain) * sizeof(std::uint16_t);
  }
  std::size_t bytes() const noexcept;

  // What a row's address is a multiple of.
  std::size_t alignment() const noexcept { return dtype == ABY_DTYPE_BF16 ? sizeof(std::uint16_t) : sizeof(float); }

  // Calls body(group, begin, end) for the parts of groups in [first, last), columns of quants.
  template <typename Body> void for_groups(std::int64_t first, std::int64_t last, Body &&body) const {
    for (std::int64_t begin = first; begin < last;) {
      const std::int64_t in_head = begin % head, group = begin / head * groups_of_head() + in_head / kCacheGroup;
      const std::int64_t left = std::min(kCacheGroup - in_head % kCacheGroup, head - in_head);
      const std::int64_t end = std::min(last, begin + left);
      body(group, begin, end);
      begin = end;
    }
  }
};

// MLA: [c_kv | k_pe]. k_pe is small and what positions are told apart by: it stays bfloat16.
inline CachedRow latent_row(aby_dtype dtype, std::int64_t kv_lora, std::int64_t rope) noexcept {
  return dtype == ABY_DTYPE_I8 ? CachedRow{dtype, kv_lora + rope, rope, kv_lora} : CachedRow{dtype, kv_lora + rope};
}

// Grouped-query attention: the keys, or the values, of all heads.
inline CachedRow heads_row(aby_dtype dtype, std::int64_t kv_heads, std::int64_t head_dim) noexcept {
  return dtype == ABY_DTYPE_I8 ? CachedRow{dtype, kv_heads * head_dim, 0, head_dim}
                               : CachedRow{dtype, kv_heads * head_dim};
}

// All values of a row. Quants are rounded to nearest, ties to even; a group of values below 1e-30 becomes zeros, and
// one with a value that is not finite reads back as not a number.
void store_cached(const CachedRow &row, const float *from, void *to) noexcept;
void load_cached(const CachedRow &row, const void *from, float *to) noexcept;

} // namespace abyssal
