#include "backends/cpu/packed/quant_rows.h"

#include <algorithm>
#include <cstring>

namespace abyssal::cpu {

namespace {

constexpr std::int64_t kAlign = 64;

std::int64_t aligned(std::int64_t bytes) noexcept { return (bytes + kAlign - 1) / kAlign * kAlign; }

} // namespace

QuantRows::PanelBytes::PanelBytes(std::int64_t rows, std::int64_t units, const PackedLayout &layout,
                                  PanelForm form) noexcept
    : half(aligned(rows * units * kPackedUnit)), wide(aligned(units * kUnitScales)),
      scale(aligned(rows * units * kUnitScales * 4)),
      init(form == PanelForm::kBytes ? aligned(rows * units * layout.groups() * 4) : 0),
      sums(layout.bias() ? aligned(rows * units * layout.groups() * 4) : 0) {}

std::int64_t QuantRows::bytes(const PackedKernelSets &sets, std::int64_t rows, const PackedMatrix &form) noexcept {
  const PackedLayout layout = layout_of(form.kind);
  const PackedKernels &kernels = sets.of(layout, rows);
  const Split split(rows, kernels.panel_rows);
  return split.panels * PanelBytes(split.most_rows(), form.units(), layout, kernels.form(form.kind)).all();
}

QuantRows::QuantRows(const PackedKernelSets &sets, std::int64_t rows, const PackedMatrix &form,
                     std::byte *memory) noexcept
    : kernels_(&sets.of(layout_of(form.kind), rows)), rows_(rows), units_(form.units()),
      split_(rows, kernels_->panel_rows), form_(kernels_->form(form.kind)), group_(layout_of(form.kind).group),
      zero_(form.zero), memory_(memory) {
  bytes_ = PanelBytes(split_.least, units_, layout_of(form.kind), form_);
  larger_bytes_ = PanelBytes(split_.least + 1, units_, layout_of(form.kind), form_);
  stride_ = split_.larger > 0 ? larger_bytes_.all() : bytes_.all();
}

Panel QuantRows::panel(std::int64_t index) const noexcept {
  const bool larger = index < split_.larger;
  const PanelBytes &bytes = larger ? larger_bytes_ : bytes_;
  std::byte *at = memory_ + index * stride_;
  const auto take = [&](std::int64_t count) {
    std::byte *part = at;
    at += count;
    return part;
  };
  Panel panel;
  panel.rows = static_cast<int>(split_.least + (larger ? 1 : 0));
  panel.units = units_;
  panel.group = group_;
  panel.zero = zero_;
  panel.form = form_;
  if (form_ == PanelForm::kWords) {
    panel.words = reinterpret_cast<std::int16_t *>(take(2 * bytes.half));
  } else {
    panel.high = reinterpret_cast<std::int8_t *>(take(bytes.half));
    panel.low = reinterpret_cast<std::int8_t *>(take(bytes.half));
  }
  panel.wide = reinterpret_cast<std::uint8_t *>(take(bytes.wide));
  panel.scale = reinterpret_cast<float *>(take(bytes.scale));
  panel.init_high = reinterpret_cast<std::int32_t *>(take(bytes.init));
  panel.init_low = reinterpret_cast<std::int32_t *>(take(bytes.init));
  if (bytes.sums > 0)
    panel.sums = reinterpret_cast<float *>(take(bytes.sums));
  return panel;
}

std::int64_t tile_scratch(const QuantRows &x) noexcept {
  const std::int64_t quant_bytes = x.kernels().words ? 2 : 1;
  const std::int64_t wide_floats =
      kWideUnits * (kPackedTile * kPackedUnit * quant_bytes / 4 + 2 * kPackedTile * kPackedUnit / 16);
  return x.kernels().wide_tiles * (x.rows() * kPackedTile + wide_floats);
}

namespace {

// Copies Columns floats: a size that is known takes a few instructions, where another one takes a call.
template <std::int64_t Columns> void put_row(const float *from, float *to) noexcept {
  std::memcpy(to, from, static_cast<std::size_t>(Columns) * sizeof *to);
}

// Rows of a result [rows, stride] to their place.
void put_rows(const float *from, std::int64_t stride, std::int64_t columns, std::int64_t rows, float *out,
              std::int64_t ldo) noexcept {
  for (std::int64_t r = 0; r < rows; ++r, from += stride, out += ldo) {
    if (columns == 2 * kPackedTile)
      put_row<2 * kPackedTile>(from, out);
    else if (columns == kPackedTile)
      put_row<kPackedTile>(from, out);
    else
      std::copy_n(from, columns, out);
  }
}

// Fetches what is widened next while the panels are multiplied: tiles are read once, and the hardware sees only short
// bursts of reading.
class Ahead {
public:
  Ahead(const PackedMatrix &w, std::int64_t tile, const WideTiles &now, std::int64_t panels) noexcept
      : tiles_(now.tiles), tile_bytes_(w.units() * layout_of(w.kind).unit_bytes()) {
    const std::int64_t unit_bytes = layout_of(w.kind).unit_bytes(), next = now.unit0 + now.units;
    const bool more = next < w.units();
    if (!more && tile + tiles_ + tiles_ > w.tiles())
      return;
    at_ = w.tile(more ? tile : tile + tiles_) + (more ? next * unit_bytes : 0);
    lines_ = std::min(kWideUnits, more ? w.units() - next : w.units()) * unit_bytes / kLine;
    share_ = (lines_ + panels - 1) / panels;
  }
  // The share of one panel. Always inline: GCC 12 leaves out a call that does nothing but fetch.
  [[gnu::always_inline]] void fetch(std::int64_t panel) const noexcept {
    for (std::int64_t line = panel * share_; line < std::min(lines_, (panel + 1) * share_); ++line)
      for (int t = 0; t < tiles_; ++t)
        __builtin_prefetch(at_ + t * tile_bytes_ + line * kLine, 0, 3);
  }

private:
  static constexpr std::int64_t kLine = 64;
  const std::byte *at_ = nullptr;
  int tiles_;
  std::int64_t tile_bytes_, lines_ = 0, share_ = 0;
};

// A thread's calls of multiply.
class Multiplying {
public:
  Multiplying(const PackedKernels &kernels, std::int64_t rows) : kernels_(kernels) {
    if (kernels.begin != nullptr)
      kernels.begin(static_cast<int>(rows));
  }
  ~Multiplying() {
    if (kernels_.end != nullptr)
      kernels_.end();
  }
  Multiplying(const Multiplying &) = delete;
  Multiplying &operator=(const Multiplying &) = delete;

private:
  const PackedKernels &kernels_;
};

} // namespace

void packed_product(const PackedMatrix &w, std::int64_t row0, std::int64_t count, const QuantRows &x, float *scratch,
                    float *out, std::int64_t ldo, const std::byte *then) {
  const PackedKernels &kernels = x.kernels();
  const PackedLayout layout = layout_of(w.kind);
  const std::int64_t panels = x.panels(), rows = x.rows();
  float *total = scratch; // [rows, width]
  if (rows <= kernels.direct_rows && panels == 1) {
    for (std::int64_t i = 0; i < count; i += kPackedTile) {
      const std::int64_t tile = (row0 + i) / kPackedTile;
      kernels.direct(w, tile, x.panel(0), i + kPackedTile < count ? w.tile(tile + 1) : then, total);
      put_rows(total, kPackedTile, std::min(kPackedTile, count - i), rows, out + i, ldo);
    }
    return;
  }
  const Multiplying multiplying(kernels, x.first_row(1));
  WideTiles wide;
  wide.group = layout.group;
  wide.bias = layout.bias();
  const std::int64_t scales = kernels.wide_tiles * kWideUnits * layout.groups() * kPackedTile;
  wide.scale = total + kernels.wide_tiles * rows * kPackedTile;
  wide.biases = wide.scale + scales;
  wide.quants = reinterpret_cast<std::uint8_t *>(wide.biases + scales);
  for (std::int64_t i = 0; i < count; i += wide.tiles * kPackedTile) {
    wide.tiles =
        static_cast<int>(std::min<std::int64_t>(kernels.wide_tiles, (count - i + kPackedTile - 1) / kPackedTile));
    const std::int64_t width = wide.tiles * kPackedTile;
    std::fill_n(total, rows * width, 0.0f);
    for (wide.unit0 = 0; wide.unit0 < w.units(); wide.unit0 += kWideUnits) {
      wide.units = std::min(kWideUnits, w.units() - wide.unit0);
      kernels.widen(w, (row0 + i) / kPackedTile, wide);
      const Ahead ahead(w, (row0 + i) / kPackedTile, wide, panels);
      const bool last = wide.unit0 + wide.units == w.units();
      for (std::int64_t p = 0; p < panels; ++p) {
        ahead.fetch(p);
        const std::int64_t first = x.first_row(p);
        float *sums = total + first * width;
        kernels.multiply(wide, x.panel(p), sums);
        if (last)
          put_rows(sums, width, std::min(width, count - i), x.first_row(p + 1) - first, out + first * ldo + i, ldo);
      }
    }
  }
}

} // namespace abyssal::cpu
