// What loops in registers of 256 bits share. Included only by their files, each with its own instructions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <immintrin.h>
#include <utility>

namespace abyssal::cpu {

namespace {

// The compiler takes it for another value from here on: it would multiply once for all rounds.
inline void renew(__m256i &value) { asm volatile("" : "+x"(value)); }

struct Sum {
  __m256i value;
};

inline std::uint32_t lanes_of(const Sum &sum) {
  alignas(32) std::uint32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i *>(lanes), sum.value);
  std::uint32_t total = 0;
  for (const std::uint32_t lane : lanes)
    total += lane;
  return total;
}

// Each sum is a variable of its own: those of an array would be kept in memory.
template <typename Step, typename... Sums> std::int32_t run_rounds(std::int64_t rounds, Step step, Sums... sums) {
  for (std::int64_t round = 0; round < rounds; ++round)
    ((sums.value = step(sums.value)), ...);
  return static_cast<std::int32_t>((lanes_of(sums) + ...));
}

// A round is one step of each of kSums sums, which do not wait for each other.
template <typename Step, std::size_t... kIndices>
std::int32_t run_rounds_of(std::int64_t rounds, Step step, std::index_sequence<kIndices...>) {
  return run_rounds(rounds, step, (static_cast<void>(kIndices), Sum{_mm256_setzero_si256()})...);
}
template <int kSums, typename Step> std::int32_t run_rounds(std::int64_t rounds, Step step) {
  return run_rounds_of(rounds, step, std::make_index_sequence<kSums>());
}

} // namespace

} // namespace abyssal::cpu
