#include "backends/cpu/dense/product.h"

#include "backends/cpu/dense/bf16_tiles.h"

#include <algorithm>

namespace abyssal::cpu {

namespace {

// Whether products of bf16 rows with a matrix are made of our own tiles. They widen fp8 without rounding it, keep a
// row's bits whatever rows are beside it, and are as fast as oneDNN without AMX.
bool takes_tiles(const MatrixView &w) {
  return has_tiles() && (w.dtype == ABY_DTYPE_BF16 || (w.dtype == ABY_DTYPE_F8_E4M3 && tiles_take_f8(w)));
}

// A block of W's rows in the operand's type: in place, or widened into the worker's scratch.
// fp8 and f16 weights of a bf16 product are rounded to bf16 with their scale: as exact as its activations are.
struct Block {
  const void *data;
  std::int64_t ld;
};

Block weight_block(CpuDevice &device, Worker &worker, const MatrixView &w, std::int64_t row0, std::int64_t count,
                   bool bf16) {
  const aby_dtype wanted = bf16 ? ABY_DTYPE_BF16 : ABY_DTYPE_F32;
  if (w.dtype == wanted)
    return {static_cast<const std::byte *>(w.data) + static_cast<std::size_t>(row0 * w.k) * dtype_size(wanted), w.k};
  if (!bf16) {
    float *wide = worker.weights.take<float>(count * w.k);
    for (std::int64_t i = 0; i < count; ++i)
      device.kernels().widen_row(w, row0 + i, wide + i * w.k);
    return {wide, w.k};
  }
  float *wide = worker.weights.take<float>((count + 2) * w.k); // bf16 rows, and one float row at the end
  auto *narrow = reinterpret_cast<std::uint16_t *>(wide);
  float *row = wide + (count + 1) * w.k;
  for (std::int64_t i = 0; i < count; ++i) {
    device.kernels().widen_row(w, row0 + i, row);
    device.kernels().f32_to_bf16(row, narrow + i * w.k, w.k);
  }
  return {narrow, w.k};
}

// Multiplies at most kTileRows rows. A tile whose rows are not a multiple of kTileStep is copied and padded.
void multiply_tile(Worker &worker, const Block &block, std::int64_t count, const Operand &x, float *out,
                   std::int64_t ldo) {
  const bool bf16 = x.bf16 != nullptr;
  const std::int64_t padded = (x.rows + kTileStep - 1) / kTileStep * kTileStep;
  MatmulShape shape{padded, count, x.k, x.ld, block.ld, ldo, bf16 ? ABY_DTYPE_BF16 : ABY_DTYPE_F32};
  const void *rows = bf16 ? static_cast<const void *>(x.bf16) : x.f32;
  if (padded == x.rows) {
    worker.matmul.run(shape, rows, block.data, out);
    return;
  }
  const std::size_t size = bf16 ? sizeof(std::uint16_t) : sizeof(float);
  auto *copy = worker.tile.take<std::byte>(padded * x.k * static_cast<std::int64_t>(size) + 64 +
                                           padded * count * static_cast<std::int64_t>(sizeof(float)));
  const std::size_t row_bytes = static_cast<std::size_t>(x.k) * size;
  for (std::int64_t r = 0; r < padded; ++r) {
    std::byte *to = copy + static_cast<std::size_t>(r) * row_bytes;
    if (r < x.rows)
      std::memcpy(to, static_cast<const std::byte *>(rows) + static_cast<std::size_t>(r * x.ld) * size, row_bytes);
    else
      std::memset(to, 0, row_bytes);
  }
  const std::size_t copy_bytes = (static_cast<std::size_t>(padded) * row_bytes + 63) / 64 * 64;
  auto *result = reinterpret_cast<float *>(copy + copy_bytes);
  shape.ldx = x.k;
  shape.ldo = count;
  worker.matmul.run(shape, copy, block.data, result);
  for (std::int64_t r = 0; r < x.rows; ++r)
    std::copy_n(result + r * count, count, out + r * ldo);
}

} // namespace

bool takes_bf16(const CpuDevice &device, const HostWeight &weight, std::int64_t rows) noexcept {
  return weight.compute == ABY_DTYPE_BF16 && device.has_bf16() && rows > kMostGemvRows;
}

bool share_operand(const CpuWeight &a, const CpuWeight &b) noexcept {
  if (!a.packed() || !b.packed())
    return a.packed() == b.packed() && a.compute == b.compute;
  const PackedMatrix &x = a.packed_matrix(), &y = b.packed_matrix();
  return layout_of(x.kind).group == layout_of(y.kind).group && layout_of(x.kind).bias() == layout_of(y.kind).bias() &&
         nibble_quants(x.kind) == nibble_quants(y.kind) && x.zero == y.zero && a.compute == b.compute;
}

std::int64_t operand_bytes(const CpuDevice &device, std::int64_t rows, const CpuWeight &weight) noexcept {
  if (weight.packed())
    return QuantRows::bytes(device.packed_kernels(), rows, weight.packed_matrix());
  return rows * weight.k * static_cast<std::int64_t>(sizeof(float)) + 64;
}

std::int64_t block_rows(const CpuWeight &weight, std::int64_t x_rows) noexcept {
  if (weight.packed())
    return 64;
  if (x_rows <= kMostGemvRows)
    return 64;
  if (weight.compute == ABY_DTYPE_BF16 && takes_tiles(weight.matrix()))
    return weight.n >= 1024 ? kSumStride : kSumStride / 2; // narrow matrices still make some tasks

  constexpr std::int64_t kBlockElements = 128 * 1024; // half a megabyte of floats
  return std::clamp<std::int64_t>(kBlockElements / weight.k / 16 * 16, 16, 256);
}

void convert_row(const Kernels &kernels, const HostRows &x, std::int64_t from, bool rounded, bool bf16, void *memory,
                 std::int64_t to) {
  const std::byte *row = x.row(from);
  if (bf16) {
    auto *out = static_cast<std::uint16_t *>(memory) + to * x.cols;
    if (x.dtype == ABY_DTYPE_BF16)
      std::memcpy(out, row, static_cast<std::size_t>(x.cols) * sizeof(std::uint16_t));
    else
      kernels.f32_to_bf16(reinterpret_cast<const float *>(row), out, x.cols);
    return;
  }
  auto *out = static_cast<float *>(memory) + to * x.cols;
  if (x.dtype == ABY_DTYPE_BF16) {
    kernels.bf16_to_f32(reinterpret_cast<const std::uint16_t *>(row), out, x.cols);
  } else if (!rounded) {
    std::memcpy(out, row, static_cast<std::size_t>(x.cols) * sizeof(float));
  } else {
    constexpr std::int64_t kPart = 1024;
    std::uint16_t narrow[kPart];
    for (std::int64_t i = 0; i < x.cols; i += kPart) {
      const std::int64_t count = std::min(kPart, x.cols - i);
      kernels.f32_to_bf16(reinterpret_cast<const float *>(row) + i, narrow, count);
      kernels.bf16_to_f32(narrow, out + i, count);
    }
  }
}

const float *float_row(CpuDevice &device, Worker &worker, const HostRows &x, std::int64_t row) {
  if (x.dtype != ABY_DTYPE_BF16)
    return reinterpret_cast<const float *>(x.row(row));
  auto *wide = worker.sums.take<float>(x.cols);
  device.kernels().bf16_to_f32(reinterpret_cast<const std::uint16_t *>(x.row(row)), wide, x.cols);
  return wide;
}

void round_row(CpuDevice &device, Worker &worker, const HostRows &x, std::int64_t from, WideGroups wide,
               const RoundedRow &to) {
  device.packed_kernels().lanes->round(float_row(device, worker, x, from), x.cols, 0, to);
  choose_wide_groups(to, wide);
}

namespace {

// Rows are quantised a panel to a task, so that no two tasks write to one.
Operand make_quantised(CpuDevice &device, const HostRows &x, const CpuWeight &weight, void *memory) {
  Operand operand;
  operand.rows = x.rows;
  operand.k = x.cols;
  operand.quant = QuantRows(device.packed_kernels(), x.rows, weight.packed_matrix(), static_cast<std::byte *>(memory));
  device.run(operand.quant.panels(), [&](std::int64_t panel, Worker &worker) {
    quantise_panel(device, worker, x, weight, operand.quant, panel, [](std::int64_t r) { return r; });
  });
  return operand;
}

} // namespace

Operand make_operand(CpuDevice &device, const HostRows &x, const CpuWeight &weight, void *memory) {
  if (weight.packed())
    return make_quantised(device, x, weight, memory);
  const bool rounded = weight.compute == ABY_DTYPE_BF16;
  const bool bf16 = takes_bf16(device, weight, x.rows);
  Operand operand;
  operand.rows = x.rows;
  operand.k = x.cols;
  if (bf16 && x.dtype == ABY_DTYPE_BF16) {
    operand.bf16 = reinterpret_cast<const std::uint16_t *>(x.data);
    operand.ld = x.stride;
  } else if (!bf16 && !rounded && x.dtype == ABY_DTYPE_F32) {
    operand.f32 = reinterpret_cast<const float *>(x.data);
    operand.ld = x.stride;
  } else {
    constexpr std::int64_t kRowsPerTask = 16;
    device.run((x.rows + kRowsPerTask - 1) / kRowsPerTask, [&](std::int64_t task, Worker &) {
      for (std::int64_t r = task * kRowsPerTask; r < std::min(x.rows, (task + 1) * kRowsPerTask); ++r)
        convert_row(device.kernels(), x, r, rounded, bf16, memory, r);
    });
    operand.ld = x.cols;
    if (bf16)
      operand.bf16 = static_cast<const std::uint16_t *>(memory);
    else
      operand.f32 = static_cast<const float *>(memory);
  }
  return operand;
}

const std::byte *packed_rows(const CpuWeight &w, std::int64_t matrix, std::int64_t row) noexcept {
  return w.packed() ? w.packed_matrix(matrix).tile(row / kPackedTile) : nullptr;
}

void product(CpuDevice &device, Worker &worker, const CpuWeight &w, std::int64_t matrix, std::int64_t row0,
             std::int64_t count, const Operand &x, float *out, std::int64_t ldo, const std::byte *then) {
  if (!w.packed()) {
    product(device, worker, w.matrix(matrix), row0, count, x, out, ldo);
    return;
  }
  packed_product(w.packed_matrix(matrix), row0, count, x.quant, worker.tile.take<float>(tile_scratch(x.quant)), out,
                 ldo, then);
}

void product(CpuDevice &device, Worker &worker, const MatrixView &w, std::int64_t row0, std::int64_t count,
             const Operand &x, float *out, std::int64_t ldo) {
  if (x.f32 != nullptr && x.rows <= kMostGemvRows) {
    for (std::int64_t r = 0; r < x.rows; r += kGemvRows) {
      const auto m = static_cast<int>(std::min<std::int64_t>(kGemvRows, x.rows - r));
      device.kernels().gemv(w, row0, count, x.f32 + r * x.ld, x.ld, m, out + r * ldo, ldo);
    }
    return;
  }
  if (x.bf16 != nullptr && takes_tiles(w)) {
    tile_product(w, row0, count, x.bf16, x.ld, x.rows, worker.tile.take<float>(tile_floats(x.rows)), out, ldo);
    return;
  }
  const Block block = weight_block(device, worker, w, row0, count, x.bf16 != nullptr);
  for (std::int64_t r = 0; r < x.rows; r += kTileRows)
    multiply_tile(worker, block, count, x.from_row(r, std::min(kTileRows, x.rows - r)), out + r * ldo, ldo);
}

namespace {

// A linear layer's blocks of output, each a task.
class LinearTasks {
public:
  LinearTasks(CpuDevice &device, const Operand &x, const CpuWeight &w, const float *bias, const HostRows &out)
      : device_(device), x_(x), w_(w), bias_(bias), out_(out),
        // A router's rows are cut so that the gemv kernels take them all: they sum each in the same order.
        cut_(w.use == ABK_USE_ROUTER && x.f32 != nullptr),
        x_step_(cut_ ? kMostGemvRows : std::max<std::int64_t>(x.rows, 1)),
        step_(block_rows(w, std::min(x_step_, x.rows))), blocks_((w.n + step_ - 1) / step_) {}

  std::int64_t count() const { return blocks_ * ((x_.rows + x_step_ - 1) / x_step_); }

  // after: what a worker goes on with when these tasks are done; null if nobody knows.
  void run(std::int64_t task, Worker &worker, const std::byte *after) const {
    const std::int64_t row0 = task % blocks_ * step_, first = task / blocks_ * x_step_;
    const std::int64_t count = std::min(step_, w_.n - row0), rows = std::min(x_step_, x_.rows - first);
    const bool direct = out_.dtype == ABY_DTYPE_F32;
    float *to = direct ? reinterpret_cast<float *>(out_.data) + first * out_.stride + row0
                       : worker.sums.take<float>(rows * count);
    const std::int64_t ldo = direct ? out_.stride : count;
    const std::int64_t next = row0 + static_cast<std::int64_t>(device_.threads()) * step_;
    product(device_, worker, w_, 0, row0, count, cut_ ? x_.from_row(first, rows) : x_, to, ldo,
            next < w_.n ? packed_rows(w_, 0, next) : after);
    for (std::int64_t r = 0; r < rows; ++r) {
      if (bias_ != nullptr)
        device_.kernels().add(to + r * ldo, bias_ + row0, count);
      if (!direct)
        device_.kernels().f32_to_bf16(to + r * ldo, reinterpret_cast<std::uint16_t *>(out_.row(first + r)) + row0,
                                      count);
    }
  }

private:
  CpuDevice &device_;
  const Operand &x_;
  const CpuWeight &w_;
  const float *bias_;
  const HostRows &out_;
  bool cut_;
  std::int64_t x_step_, step_, blocks_; // rows of x and of W in a task
};

} // namespace

void linear(CpuDevice &device, const Operand &x, const CpuWeight &w, const float *bias, const HostRows &out) {
  const LinearTasks tasks(device, x, w, bias, out);
  device.run(tasks.count(), [&](std::int64_t task, Worker &worker) { tasks.run(task, worker, nullptr); });
}

void linear(CpuDevice &device, const HostRows &x, const CpuWeight &w, const float *bias, const HostRows &out) {
  if (x.rows == 0)
    return;
  void *memory = device.op_scratch().take<std::byte>(operand_bytes(device, x.rows, w));
  linear(device, make_operand(device, x, w, memory), w, bias, out);
}

void linear_both(CpuDevice &device, const HostRows &x, const LinearLayer &first, const LinearLayer &second) {
  if (x.rows == 0)
    return;
  const bool share = share_operand(first.w, second.w);
  const std::int64_t bytes = operand_bytes(device, x.rows, first.w);
  auto *memory = device.op_scratch().take<std::byte>(bytes + (share ? 0 : operand_bytes(device, x.rows, second.w)));
  const Operand x_first = make_operand(device, x, first.w, memory);
  const Operand x_second = share ? x_first : make_operand(device, x, second.w, memory + bytes);
  const LinearTasks tasks(device, x_first, first.w, first.bias, first.out),
      others(device, x_second, second.w, second.bias, second.out);
  device.run(tasks.count() + others.count(), [&](std::int64_t task, Worker &worker) {
    if (task < tasks.count())
      tasks.run(task, worker, packed_rows(second.w, 0, 0));
    else
      others.run(task - tasks.count(), worker, nullptr);
  });
}

} // namespace abyssal::cpu
