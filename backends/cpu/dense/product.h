// x W^T for a block of W's rows: the one product that linear layers, MLPs and experts are made of.
#pragma once

#include "backends/common/host_buffer.h"
#include "backends/cpu/device/cpu_device.h"
#include "backends/cpu/device/cpu_weight.h"

namespace abyssal::cpu {

// Up to this many rows W is streamed once per four rows by the gemv kernels; above, oneDNN multiplies tiles.
constexpr std::int64_t kMostGemvRows = 8;

// Rows of activations as the product wants them: float, or bf16 bits for oneDNN's bf16 products.
struct Operand {
  const float *f32 = nullptr;
  const std::uint16_t *bf16 = nullptr; // one of the two
  std::int64_t rows = 0, k = 0, ld = 0;

  Operand from_row(std::int64_t row, std::int64_t count) const noexcept {
    return {f32 != nullptr ? f32 + row * ld : nullptr, bf16 != nullptr ? bf16 + row * ld : nullptr, count, k, ld};
  }
};

// Whether products of `rows` rows with this weight take bf16 operands.
bool takes_bf16(const CpuDevice &device, const HostWeight &weight, std::int64_t rows) noexcept;

// Bytes of memory that make_operand may need.
inline std::uint64_t operand_bytes(std::int64_t rows, std::int64_t k) noexcept {
  return static_cast<std::uint64_t>(rows * k) * sizeof(float) + 64;
}

// The rows in the form that products of them with `weight` take: in place where they have it already, else converted
// into memory. With compute BF16 the values are rounded to bf16 in either form.
Operand make_operand(CpuDevice &device, const HostRows &x, const HostWeight &weight, void *memory);

// Converts one row into place r of an operand being built in memory (see gather in the experts).
void convert_row(const Kernels &kernels, const HostRows &x, std::int64_t from, bool rounded, bool bf16, void *memory,
                 std::int64_t to);

// Rows of W in one task, so that a widened block stays in the second-level cache.
std::int64_t block_rows(const HostWeight &weight, std::int64_t x_rows) noexcept;

// out[r][i] = x[r] . W[row0 + i], i < count. out: float [x.rows, ldo]
void product(CpuDevice &device, Worker &worker, const MatrixView &w, std::int64_t row0, std::int64_t count,
             const Operand &x, float *out, std::int64_t ldo);

// The whole product into rows of either type, in parallel; bias may be null.
void linear(CpuDevice &device, const HostRows &x, const CpuWeight &w, const float *bias, const HostRows &out);
void linear(CpuDevice &device, const Operand &x, const CpuWeight &w, const float *bias, const HostRows &out);

} // namespace abyssal::cpu
