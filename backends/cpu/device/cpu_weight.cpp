#include "backends/cpu/device/cpu_weight.h"

#include "backends/cpu/device/cpu_device.h"
#include "backends/cpu/packed/pack.h"

#include <algorithm>

namespace abyssal::cpu {

namespace {

std::vector<float> widened(const void *values, aby_dtype dtype, std::int64_t count) {
  std::vector<float> floats(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < floats.size(); ++i)
    floats[i] = load_as_float(values, dtype, i);
  return floats;
}

// A vector's elements may lie at any address: they are copied byte by byte first.
std::vector<float> widened_vector(const abk_weight_desc &desc) {
  std::vector<std::byte> copy(matrix_bytes(desc));
  std::copy_n(take_matrix(desc, 0), copy.size(), copy.data());
  return widened(copy.data(), desc.dtype, desc.n);
}

// kv_b is widened again and again for the queries: where rounding is allowed it is kept in bfloat16.
bool kept_as_bf16(const abk_weight_desc &desc) {
  return desc.use == ABK_USE_MLA_KV_B && desc.compute != ABY_DTYPE_F32 &&
         (desc.dtype == ABY_DTYPE_F32 || is_block_format(desc.dtype));
}

// How a weight is packed; nothing where it is not.
std::optional<PackedMatrix> form_of(const abk_weight_desc &desc) {
  if (desc.use != ABK_USE_MATRIX || (desc.compute != ABY_DTYPE_I8 && desc.compute != ABY_DTYPE_I16))
    return std::nullopt;
  auto form = packed_form(desc.dtype);
  if (form) {
    form->n = desc.n;
    form->k = desc.k;
  }
  return form;
}

} // namespace

abk_weight_size CpuWeight::size_of(const abk_weight_desc &desc) {
  check_weight_desc(desc);
  if (desc.use == ABK_USE_VECTOR)
    return {static_cast<std::uint64_t>(desc.n) * sizeof(float), 0, nullptr, 0};
  if (const auto form = form_of(desc)) {
    const auto bytes = static_cast<std::uint64_t>(packed_bytes(form->kind, form->n, form->k) * desc.count);
    return {bytes, desc.image != nullptr ? bytes : 0, layout_name(form->kind), bytes};
  }
  if (kept_as_bf16(desc)) {
    const std::uint64_t bytes =
        static_cast<std::uint64_t>(desc.n) * static_cast<std::uint64_t>(desc.k) * sizeof(std::uint16_t);
    return {bytes, desc.image != nullptr ? bytes : 0, "bf16", bytes};
  }
  if (desc.image != nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, "weight (", weight_use_name(desc.use), "): has no image");
  abk_weight_size size{};
  for (std::int64_t i = 0; i < desc.count; ++i) {
    size.bytes += matrix_bytes(desc);
    if (reads_in_place(desc, desc.data != nullptr ? desc.data[i] : nullptr, desc.dtype))
      size.borrowed_bytes += matrix_bytes(desc);
    if (desc.dtype == ABY_DTYPE_F8_E4M3)
      size.bytes += static_cast<std::uint64_t>(scale_elements(desc)) * sizeof(float);
  }
  return size;
}

CpuWeight::CpuWeight(CpuDevice &device, const abk_weight_desc &desc) : HostWeight(desc) {
  check_weight_desc(desc);
  check_weight_data(desc);
  if (desc.image != nullptr)
    size_of(desc); // that it may have one
  if (desc.use == ABK_USE_VECTOR) {
    vector_ = widened_vector(desc);
    return;
  }
  if (const auto form = form_of(desc)) {
    pack(device, desc, *form);
    return;
  }
  if (kept_as_bf16(desc)) {
    keep_as_bf16(device, desc);
    return;
  }
  for (std::int64_t i = 0; i < desc.count; ++i) {
    const std::byte *from = take_matrix(desc, i);
    MatrixView view{from, desc.dtype, desc.n, desc.k};
    if (!reads_in_place(desc, from, desc.dtype)) {
      copies_.emplace_back(from, from + matrix_bytes(desc));
      view.data = copies_.back().data();
    }
    if (desc.dtype == ABY_DTYPE_F8_E4M3) {
      // The scales are read once; where the file breaks their alignment they are copied for that.
      std::vector<std::byte> bytes(static_cast<std::size_t>(scale_elements(desc)) * dtype_size(desc.scale_dtype));
      std::copy_n(static_cast<const std::byte *>(desc.scales[i]), bytes.size(), bytes.data());
      scales_.push_back(widened(bytes.data(), desc.scale_dtype, scale_elements(desc)));
      view.scales = scales_.back().data();
      view.block_n = desc.block_n;
      view.block_k = desc.block_k;
      view.scale_cols = (desc.k + desc.block_k - 1) / desc.block_k;
    }
    matrices_.push_back(view);
  }
}

void CpuWeight::keep_as_bf16(CpuDevice &device, const abk_weight_desc &desc) {
  if (desc.image != nullptr) {
    image_ = desc.image;
    matrices_.push_back({desc.image, ABY_DTYPE_BF16, desc.n, desc.k});
    return;
  }
  // Stored floats may lie at any address.
  std::vector<std::byte> aligned;
  const std::byte *data = take_matrix(desc, 0);
  if (!is_block_format(desc.dtype) && reinterpret_cast<std::uintptr_t>(data) % sizeof(float) != 0) {
    aligned.assign(data, data + matrix_bytes(desc));
    data = aligned.data();
  }
  const MatrixView stored{data, desc.dtype, desc.n, desc.k};
  copies_.emplace_back(static_cast<std::size_t>(desc.n * desc.k) * sizeof(std::uint16_t));
  auto *to = reinterpret_cast<std::uint16_t *>(copies_.back().data());
  device.run(desc.n, [&](std::int64_t row, Worker &worker) {
    float *wide = worker.sums.take<float>(desc.k);
    device.kernels().widen_row(stored, row, wide);
    device.kernels().f32_to_bf16(wide, to + row * desc.k, desc.k);
  });
  image_ = to;
  matrices_.push_back({to, ABY_DTYPE_BF16, desc.n, desc.k});
}

void CpuWeight::pack(CpuDevice &device, const abk_weight_desc &desc, const PackedMatrix &form) {
  const std::int64_t bytes = packed_bytes(form.kind, form.n, form.k), tiles = form.tiles();
  if (desc.image != nullptr) {
    image_ = desc.image;
    for (std::int64_t i = 0; i < desc.count; ++i) {
      packed_.push_back(form);
      packed_.back().data = static_cast<const std::byte *>(desc.image) + i * bytes;
    }
    return;
  }
  packed_memory_ = HostMapping(static_cast<std::uint64_t>(bytes * desc.count));
  packed_memory_.use_large_pages();
  image_ = packed_memory_.data();
  for (std::int64_t i = 0; i < desc.count; ++i) {
    packed_.push_back(form);
    std::byte *to = packed_memory_.data() + i * bytes;
    packed_.back().data = to;
    const std::byte *from = take_matrix(desc, i);
    device.run(tiles, [&](std::int64_t tile, Worker &worker) {
      pack_tile(desc.dtype, from, form, tile, worker.pack, to + tile * (bytes / tiles));
    });
  }
}

} // namespace abyssal::cpu
