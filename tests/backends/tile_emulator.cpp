#include "tile_emulator.h"

#include "base/status.h"

#include <cstring>
#include <stdexcept>

namespace abyssal::test::emulated {

namespace {

constexpr int kTiles = 8, kRows = 16, kRowBytes = 64;

struct Tile {
  int rows = 0, row_bytes = 0;
  std::int8_t bytes[kRows][kRowBytes] = {};

  bool used() const { return rows > 0; }
  std::int32_t sum(int row, int column) const {
    std::int32_t value;
    std::memcpy(&value, bytes[row] + column * 4, sizeof value);
    return value;
  }
  void set_sum(int row, int column, std::int32_t value) { std::memcpy(bytes[row] + column * 4, &value, sizeof value); }
};

struct State {
  bool configured = false;
  Tile tiles[kTiles];
};
thread_local State state;

template <typename... Parts> void must(bool holds, const Parts &...parts) {
  if (!holds)
    throw std::logic_error(concat("tiles: ", parts...));
}

Tile &used_tile(int index) {
  must(state.configured, "used before they are configured");
  must(index >= 0 && index < kTiles && state.tiles[index].used(), "tile ", index, " is not configured");
  return state.tiles[index];
}

} // namespace

// 64 bytes: palette, first row, 14 zeros, 16 row lengths of 16 bits, 16 numbers of rows.
void configure(const void *config) {
  std::uint8_t head[16], rows[16];
  std::uint16_t row_bytes[16];
  const auto *at = static_cast<const std::uint8_t *>(config);
  std::memcpy(head, at, sizeof head);
  std::memcpy(row_bytes, at + 16, sizeof row_bytes);
  std::memcpy(rows, at + 48, sizeof rows);
  must(head[0] == 1, "palette is ", int{head[0]}, "; expected 1");
  for (int i = 1; i < 16; ++i)
    must(head[i] == 0, "byte ", i, " of the configuration is not zero");
  state = {};
  for (int i = 0; i < 16; ++i) {
    must(rows[i] <= kRows && row_bytes[i] <= kRowBytes, "tile ", i, " is too large");
    must((rows[i] == 0) == (row_bytes[i] == 0), "tile ", i, " has rows or bytes only");
    must(i < kTiles || rows[i] == 0, "there is no tile ", i);
    if (i < kTiles) {
      state.tiles[i].rows = rows[i];
      state.tiles[i].row_bytes = row_bytes[i];
    }
  }
  state.configured = true;
}

void release() { state = {}; }

bool configured() { return state.configured; }

void zero(int tile) { std::memset(used_tile(tile).bytes, 0, sizeof(Tile::bytes)); }

void load(int tile, const void *from, std::int64_t stride) {
  Tile &to = used_tile(tile);
  zero(tile);
  for (int row = 0; row < to.rows; ++row)
    std::memcpy(to.bytes[row], static_cast<const char *>(from) + row * stride, static_cast<std::size_t>(to.row_bytes));
}

void store(int tile, void *to, std::int64_t stride) {
  const Tile &from = used_tile(tile);
  for (int row = 0; row < from.rows; ++row)
    std::memcpy(static_cast<char *>(to) + row * stride, from.bytes[row], static_cast<std::size_t>(from.row_bytes));
}

void dot(int sum, int a, int b) {
  Tile &to = used_tile(sum);
  const Tile &left = used_tile(a), &right = used_tile(b);
  must(sum != a && sum != b && a != b, "one tile twice in a product");
  must(to.rows == left.rows, "sums have ", to.rows, " rows, their left side ", left.rows);
  must(to.row_bytes == right.row_bytes && to.row_bytes % 4 == 0, "sums have ", to.row_bytes,
       " bytes a row, their right side ", right.row_bytes);
  must(left.row_bytes == 4 * right.rows, "rows of ", left.row_bytes, " bytes times ", right.rows, " rows");
  for (int m = 0; m < to.rows; ++m) {
    for (int n = 0; n < to.row_bytes / 4; ++n) {
      std::int32_t value = to.sum(m, n);
      for (int k = 0; k < left.row_bytes; ++k)
        value += left.bytes[m][k] * right.bytes[k / 4][n * 4 + k % 4];
      to.set_sum(m, n, value);
    }
  }
}

} // namespace abyssal::test::emulated
