#include "base/block_quantise.h"

#include "base/dtype.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace abyssal {

namespace {

// Four floats at a time, which every x86-64 processor has registers for: sums have one order, whatever the compiler
// does.
using Lanes = float __attribute__((vector_size(16)));
using Bits = std::int32_t __attribute__((vector_size(16)));
constexpr std::int64_t kLanes = 4, kVectors = kQuantBlock / kLanes;

Lanes all(float value) noexcept { return Lanes{value, value, value, value}; }
Lanes least_of(Lanes a, Lanes b) noexcept { return a < b ? a : b; }
Lanes most_of(Lanes a, Lanes b) noexcept { return a < b ? b : a; }
float sum_of(Lanes lanes) noexcept { return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]); }

struct Block {
  explicit Block(const float *from) noexcept { std::memcpy(x, from, sizeof x); }
  Lanes x[kVectors];
};

bool all_finite(const Block &block) noexcept {
  Lanes probe{};
  for (const Lanes x : block.x)
    probe += x * 0.0f;
  return sum_of(probe) == 0;
}

// The value of the largest magnitude; the positive one of two.
float largest_of(const Block &block) noexcept {
  Lanes least = block.x[0], most = block.x[0];
  for (const Lanes x : block.x) {
    least = least_of(x, least);
    most = most_of(x, most);
  }
  const float low = std::min(std::min(least[0], least[1]), std::min(least[2], least[3]));
  const float high = std::max(std::max(most[0], most[1]), std::max(most[2], most[3]));
  return -low > high ? low : high;
}

// Rounded to float16, ties to even: to 2^-10 of the power of two below, and no finer than 2^-24. What is added leaves
// no bits for the rest. Values that float16 has no room for stay: they are infinite once they are stored.
Lanes to_f16(Lanes value) noexcept {
  const Lanes power = reinterpret_cast<Lanes>(reinterpret_cast<Bits>(value) & 0x7f800000);
  const Lanes coarse = most_of(power * 0x1.8p13f, all(0.75f));
  return value + coarse - coarse;
}

// 1 / scale, or 0 for blocks so small that their scale or its inverse is none.
Lanes inverse_of(Lanes scale) noexcept {
  const Lanes inverse = 1.0f / scale;
  return most_of(inverse, -inverse) <= std::numeric_limits<float>::max() ? inverse : Lanes{};
}

// A format's quants, and the steps that a block's largest magnitude is tried as. The first lose nothing of values which
// lie on the format's own steps. The others trade what is cut off for what is rounded, and round every value another
// way: the best of a few is nearer than any one of them.
struct Steps {
  float least, most;
  Lanes largest[2];
};
constexpr Steps kEightBits = {-127, 127, {{127.0f, 127.6f, 126.4f, 125.8f}, {125.2f, 124.6f, 124.0f, 123.4f}}};
// There is one step more below zero than above: the scale's sign takes the largest magnitude there.
constexpr Steps kFourBits = {-8, 7, {{-8.0f, -8.9f, -8.6f, -8.3f}, {-7.7f, -7.4f, -7.1f, -6.8f}}};

// Added to magnitudes below 2^22 it leaves no bits for a fraction, and the integer in the lowest ones.
constexpr float kNoFraction = 0x1.8p23f;

// The nearest quants, ties to even, with kNoFraction added.
Lanes raised_quants(Lanes x, Lanes inverse, const Steps &steps) noexcept {
  return least_of(all(steps.most), most_of(all(steps.least), x * inverse)) + kNoFraction;
}
Lanes quants_of(Lanes x, Lanes inverse, const Steps &steps) noexcept {
  return raised_quants(x, inverse, steps) - kNoFraction;
}

// Four scales, and what is lost with each: the sum of squares.
struct Trial {
  explicit Trial(Lanes wanted) noexcept : scale(to_f16(wanted)), inverse(inverse_of(scale)) {}
  void add(Lanes x, const Steps &steps) noexcept {
    const Lanes off = x - quants_of(x, inverse, steps) * scale;
    loss += off * off;
  }
  Lanes scale, inverse, loss{};
};

struct Fit {
  float scale, loss;
};

// The best of the scales that steps has.
Fit best_of(const Block &block, float largest, const Steps &steps) noexcept {
  Trial first(largest / steps.largest[0]), second(largest / steps.largest[1]);
  for (const Lanes four : block.x) {
    for (std::int64_t i = 0; i < kLanes; ++i) {
      const Lanes x = all(four[i]);
      first.add(x, steps);
      second.add(x, steps);
    }
  }
  Fit best{first.scale[0], first.loss[0]};
  for (const Trial *trial : {&first, &second}) {
    for (std::int64_t i = 0; i < kLanes; ++i)
      best = trial->loss[i] < best.loss ? Fit{trial->scale[i], trial->loss[i]} : best;
  }
  return best;
}

// The scale that loses least with the quants of another one, where it is better still.
float fitted_scale(const Block &block, const Fit &fit, const Steps &steps) noexcept {
  const Lanes inverse = inverse_of(all(fit.scale));
  Lanes along{}, square{};
  for (const Lanes x : block.x) {
    const Lanes q = quants_of(x, inverse, steps);
    along += x * q;
    square += q * q;
  }
  Trial fitted(all(sum_of(along) / sum_of(square)));
  for (const Lanes x : block.x)
    fitted.add(x, steps);
  return sum_of(fitted.loss) < fit.loss ? fitted.scale[0] : fit.scale; // zeros have no fit, and a NaN for it
}

void put_scale(float scale, std::uint8_t *to) noexcept {
  const std::uint16_t bits = float_to_f16(scale);
  to[0] = static_cast<std::uint8_t>(bits & 0xff);
  to[1] = static_cast<std::uint8_t>(bits >> 8);
}

// The quants as bytes of signed numbers.
void put_quants(const Block &block, float scale, const Steps &steps, std::uint8_t *to) noexcept {
  const Lanes inverse = inverse_of(all(scale));
  Lanes raised[kVectors];
  for (std::int64_t v = 0; v < kVectors; ++v)
    raised[v] = raised_quants(block.x[v], inverse, steps);
  std::uint32_t bits[kQuantBlock];
  std::memcpy(bits, raised, sizeof bits);
  for (std::int64_t i = 0; i < kQuantBlock; ++i)
    to[i] = static_cast<std::uint8_t>(bits[i] & 0xff);
}

void q8_0(const Block &block, std::uint8_t *to) noexcept {
  const float scale = best_of(block, std::fabs(largest_of(block)), kEightBits).scale;
  put_scale(scale, to);
  put_quants(block, scale, kEightBits, to + 2);
}

void q4_0(const Block &block, std::uint8_t *to) noexcept {
  const float scale = fitted_scale(block, best_of(block, largest_of(block), kFourBits), kFourBits);
  put_scale(scale, to);
  std::uint8_t quants[kQuantBlock];
  put_quants(block, scale, kFourBits, quants);
  for (std::int64_t i = 0; i < kQuantBlock / 2; ++i)
    to[2 + i] = static_cast<std::uint8_t>(((quants[i] + 8) & 0xf) | (quants[i + kQuantBlock / 2] + 8) << 4);
}

} // namespace

void quantise_blocks(aby_dtype format, const float *x, std::int64_t count, void *blocks) noexcept {
  const auto block_bytes = static_cast<std::size_t>(dtype_block(format).bytes);
  auto *to = static_cast<std::uint8_t *>(blocks);
  for (std::int64_t i = 0; i < count; i += kQuantBlock, to += block_bytes) {
    const Block block(x + i);
    if (!all_finite(block)) {
      std::memset(to, 0, block_bytes);
      put_scale(std::numeric_limits<float>::quiet_NaN(), to);
    } else if (format == ABY_DTYPE_Q8_0) {
      q8_0(block, to);
    } else {
      q4_0(block, to);
    }
  }
}

} // namespace abyssal
