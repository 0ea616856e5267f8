#include "backends/cpu/dense/bf16_tiles.h"

#include "backends/cpu/device/isa.h"

#include <algorithm>

namespace abyssal::cpu {

namespace {

constexpr std::int64_t kStrips = kSumStride / kStripRows;
constexpr std::int64_t kPartColumns = 32; // of Ahead
// The next chunk of W is fetched beside the last panels of this one: earlier, rows of x would push it out again.
constexpr std::int64_t kFetchingPanels = 8;
// Rows of x for which a chunk of W is packed once: their sums take 145 KiB of the second-level cache.
constexpr std::int64_t kMostRows = 24 * kMostPanelRows;

// Rows of x cut into panels of one even size; the last one may have less, and one row of zeros.
struct Panels {
  explicit Panels(std::int64_t rows)
      : count((rows + kMostPanelRows - 1) / kMostPanelRows), size(even((rows + count - 1) / count)) {
    count = (rows + size - 1) / size;
  }
  static std::int64_t even(std::int64_t rows) { return (rows + 1) / 2 * 2; }
  std::int64_t count, size;
};

// What a block works in: strips, a panel, the scales of the strips' rows, and sums. In floats.
constexpr std::int64_t kStripFloats = kStrips * kStripPairs;
constexpr std::int64_t kPanelFloats = kMostPanelRows * kPanelStride / 2;

struct TileMemory {
  explicit TileMemory(float *memory)
      : strips(reinterpret_cast<std::uint32_t *>(memory)),
        panel(reinterpret_cast<std::uint16_t *>(memory + kStripFloats)), scale(memory + kStripFloats + kPanelFloats),
        sums(scale + kSumStride) {}
  std::uint32_t *strips; // [kStrips, kStripPairs]
  std::uint16_t *panel;  // [kMostPanelRows, kPanelStride]
  float *scale;          // [kSumStride]
  float *sums;           // [rows + 1, kSumStride]: one for the zeros of the last panel
};

// A block of rows of W, as many as kStrips strips, and at most kMostRows rows of x.
class TileBlock {
public:
  TileBlock(const MatrixView &w, std::int64_t row0, std::int64_t count, const TileMemory &memory)
      : w_(w), row0_(row0), count_(count), f8_(w.dtype == ABY_DTYPE_F8_E4M3),
        element_bytes_(f8_ ? 1 : static_cast<std::int64_t>(sizeof(std::uint16_t))),
        chunk_(f8_ ? kF8ChunkColumns : kChunkColumns), memory_(memory) {}

  void run(const std::uint16_t *x, std::int64_t ldx, std::int64_t rows, float *out, std::int64_t ldo) {
    std::fill_n(memory_.sums, (rows + 1) * kSumStride, 0.0f);
    const Panels panels(rows);
    const std::int64_t strips = (count_ + kStripRows - 1) / kStripRows;
    const std::int64_t quiet = std::max<std::int64_t>(0, panels.count - kFetchingPanels);
    for (std::int64_t k = 0; k < w_.k; k += chunk_) {
      const std::int64_t columns = std::min(chunk_, w_.k - k);
      pack(k, columns);
      for (std::int64_t p = 0; p < panels.count; ++p) {
        const std::int64_t first = p * panels.size, in_panel = std::min(panels.size, rows - first);
        copy_panel(x + first * ldx + k, ldx, in_panel, columns, memory_.panel);
        for (std::int64_t strip = 0; strip < strips; ++strip) {
          const Ahead next_x = p + 1 < panels.count ? x_part(x + k, ldx, first + in_panel, panels.size, rows, strip)
                                                    : x_part(x + k + chunk_, ldx, 0, panels.size, rows, strip);
          const Ahead next_w =
              p >= quiet ? w_part(k + chunk_, (p - quiet) * strips + strip, (panels.count - quiet) * strips) : Ahead();
          multiply_strip(memory_.strips + strip * kStripPairs, memory_.panel, Panels::even(in_panel), (columns + 1) / 2,
                         memory_.scale + strip * kStripRows, memory_.sums + first * kSumStride + strip * kStripRows,
                         next_w, next_x);
        }
      }
    }
    for (std::int64_t r = 0; r < rows; ++r)
      std::copy_n(memory_.sums + r * kSumStride, count_, out + r * ldo);
  }

private:
  const std::byte *at(std::int64_t row, std::int64_t k) const {
    return static_cast<const std::byte *>(w_.data) + ((row0_ + row) * w_.k + k) * element_bytes_;
  }

  void pack(std::int64_t k, std::int64_t columns) {
    for (std::int64_t row = 0; row < count_; row += kStripRows) {
      const std::int64_t rows = std::min(kStripRows, count_ - row);
      std::uint32_t *to = memory_.strips + row / kStripRows * kStripPairs;
      if (f8_)
        pack_strip_f8(reinterpret_cast<const std::uint8_t *>(at(row, k)), w_.k, rows, columns, to);
      else
        pack_strip_bf16(reinterpret_cast<const std::uint16_t *>(at(row, k)), w_.k, rows, columns, to);
    }
    for (std::int64_t row = 0; row < kSumStride; ++row)
      memory_.scale[row] =
          !f8_ || row >= count_ ? 1.0f : w_.scales[(row0_ + row) / w_.block_n * w_.scale_cols + k / w_.block_k];
  }

  // The next chunk of W in `parts` parts, one for each call that multiplies.
  Ahead w_part(std::int64_t k, std::int64_t part, std::int64_t parts) const {
    if (k >= w_.k)
      return {};
    const std::int64_t first = part * count_ / parts, end = (part + 1) * count_ / parts;
    return {at(first, k), end - first, w_.k * element_bytes_, kPartColumns * element_bytes_};
  }

  // A strip's share of the next panel, whose first row is `first`. What lies past the columns costs a fetch at most.
  static Ahead x_part(const std::uint16_t *x, std::int64_t ldx, std::int64_t first, std::int64_t size,
                      std::int64_t rows, std::int64_t strip) {
    constexpr auto kBytes = static_cast<std::int64_t>(sizeof *x);
    const std::int64_t count = std::min(size, rows - first), begin = strip * count / kStrips,
                       end = (strip + 1) * count / kStrips;
    return {reinterpret_cast<const std::byte *>(x + (first + begin) * ldx), end - begin, ldx * kBytes,
            kPartColumns * kBytes};
  }

  const MatrixView &w_;
  std::int64_t row0_, count_;
  bool f8_;
  std::int64_t element_bytes_, chunk_;
  TileMemory memory_;
};

} // namespace

bool has_tiles() noexcept {
  static const bool here = detect_isa() >= Isa::kAvx512Bf16 && !__builtin_cpu_supports("amx-bf16");
  return here;
}

std::int64_t tile_floats(std::int64_t rows) noexcept {
  return kStripFloats + kPanelFloats + kSumStride + (std::min(rows, kMostRows) + 1) * kSumStride;
}

void tile_product(const MatrixView &w, std::int64_t row0, std::int64_t count, const std::uint16_t *x, std::int64_t ldx,
                  std::int64_t rows, float *memory, float *out, std::int64_t ldo) {
  const TileMemory carved(memory);
  for (std::int64_t i = 0; i < count; i += kSumStride) {
    TileBlock block(w, row0 + i, std::min(kSumStride, count - i), carved);
    for (std::int64_t r = 0; r < rows; r += kMostRows)
      block.run(x + r * ldx, ldx, std::min(kMostRows, rows - r), out + r * ldo + i, ldo);
  }
}

} // namespace abyssal::cpu
