// x W^T for a block of W's rows: the one product that linear layers, MLPs and experts are made of.
#pragma once

#include "backends/cpu/device/cpu_device.h"
#include "backends/cpu/device/cpu_weight.h"
#include "backends/cpu/packed/quant_rows.h"
#include "backends/host/host_buffer.h"

namespace abyssal::cpu {

// Up to this many rows W is streamed once per four rows by the gemv kernels; above, tiles are multiplied.
constexpr std::int64_t kMostGemvRows = 8;

// Rows of activations as the product wants them: float, bf16 bits for bf16 hardware, or quantised for packed
// weights.
struct Operand {
  const float *f32 = nullptr;
  const std::uint16_t *bf16 = nullptr; // one of the two, or neither
  QuantRows quant;                     // then this
  std::int64_t rows = 0, k = 0, ld = 0;

  Operand from_row(std::int64_t row, std::int64_t count) const noexcept {
    return {f32 != nullptr ? f32 + row * ld : nullptr, bf16 != nullptr ? bf16 + row * ld : nullptr, {}, count, k, ld};
  }
};

// Whether products of `rows` rows with this weight take bf16 operands.
bool takes_bf16(const CpuDevice &device, const HostWeight &weight, std::int64_t rows) noexcept;

// Bytes of memory that make_operand may need.
std::int64_t operand_bytes(const CpuDevice &device, std::int64_t rows, const CpuWeight &weight) noexcept;

// The rows in the form that products of them with `weight` take: in place where they have it already, else converted
// into memory. With compute BF16 the values are rounded to bf16 in either form.
Operand make_operand(CpuDevice &device, const HostRows &x, const CpuWeight &weight, void *memory);

// Whether rows in the form for one weight serve another one too.
bool share_operand(const CpuWeight &a, const CpuWeight &b) noexcept;

// A row as floats: in place, or widened into the worker's `sums`.
const float *float_row(CpuDevice &device, Worker &worker, const HostRows &x, std::int64_t row);

// Converts one row into place r of an operand being built in memory (see gather in the experts).
void convert_row(const Kernels &kernels, const HostRows &x, std::int64_t from, bool rounded, bool bf16, void *memory,
                 std::int64_t to);

// Quantises a panel of rows for packed weights. source(r): the row of x that row r of `quant` is.
template <typename Source>
void quantise_panel(CpuDevice &device, Worker &worker, const HostRows &x, const CpuWeight &w, const QuantRows &quant,
                    std::int64_t panel, Source &&source) {
  quant.quantise(panel, w.wide_groups(), x.cols, worker.tile.take<std::byte>(quant.rounded_bytes()),
                 [&](std::int64_t r) { return float_row(device, worker, x, source(r)); });
}

// Quantises one row, for any packed weights whose activations keep 16 bits in the same groups.
void round_row(CpuDevice &device, Worker &worker, const HostRows &x, std::int64_t from, WideGroups wide,
               const RoundedRow &to);

// Rows of W in one task, so that a widened block stays in the second-level cache.
std::int64_t block_rows(const CpuWeight &weight, std::int64_t x_rows) noexcept;

// Where rows of a packed weight begin, to be fetched ahead of their product; null for other weights.
const std::byte *packed_rows(const CpuWeight &w, std::int64_t matrix, std::int64_t row) noexcept;

// out[r][i] = x[r] . W[row0 + i], i < count, W one of a weight's matrices; row0 as block_rows cuts. out: float
// [x.rows, ldo]. then: the packed_rows that this worker probably multiplies next.
void product(CpuDevice &device, Worker &worker, const CpuWeight &w, std::int64_t matrix, std::int64_t row0,
             std::int64_t count, const Operand &x, float *out, std::int64_t ldo, const std::byte *then = nullptr);

// The same for a row-major matrix and any row0.
void product(CpuDevice &device, Worker &worker, const MatrixView &w, std::int64_t row0, std::int64_t count,
             const Operand &x, float *out, std::int64_t ldo);

// The whole product into rows of either type, in parallel; bias may be null.
void linear(CpuDevice &device, const HostRows &x, const CpuWeight &w, const float *bias, const HostRows &out);
void linear(CpuDevice &device, const Operand &x, const CpuWeight &w, const float *bias, const HostRows &out);

// Two layers of the same rows in one parallel region, their operand made once where they can share it.
struct LinearLayer {
  const CpuWeight &w;
  const float *bias; // may be null
  HostRows out;
};
void linear_both(CpuDevice &device, const HostRows &x, const LinearLayer &first, const LinearLayer &second);

} // namespace abyssal::cpu
