// What every host backend knows of a weight, and the checks of its description.
#pragma once

#include "base/dtype.h"
#include "base/status.h"
#include "device/backend.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace abyssal {

// Base of a host backend's prepared weight; its address is the abk_weight handle.
struct HostWeight {
  abk_weight_use use = ABK_USE_MATRIX;
  std::int64_t n = 0;
  std::int64_t k = 0;
  std::int64_t count = 0;
  aby_dtype compute = ABY_DTYPE_F32;
  std::int32_t heads = 0, qk_nope = 0, v_dim = 0; // ABK_USE_MLA_KV_B

  HostWeight() = default;
  explicit HostWeight(const abk_weight_desc &desc)
      : use(desc.use), n(desc.n), k(desc.k), count(desc.count), compute(desc.compute), heads(desc.heads),
        qk_nope(desc.qk_nope), v_dim(desc.v_dim) {}

  static const HostWeight *from(const abk_weight *handle) noexcept {
    return reinterpret_cast<const HostWeight *>(handle);
  }
  static HostWeight *from(abk_weight *handle) noexcept { return reinterpret_cast<HostWeight *>(handle); }
  abk_weight *handle() noexcept { return reinterpret_cast<abk_weight *>(this); }
};

inline const char *weight_use_name(abk_weight_use use) noexcept {
  switch (use) {
  case ABK_USE_MATRIX:
    return "matrix";
  case ABK_USE_VECTOR:
    return "vector";
  case ABK_USE_EMBEDDING:
    return "embedding";
  case ABK_USE_MLA_KV_B:
    return "mla kv_b";
  case ABK_USE_ROUTER:
    return "router";
  default:
    return "unknown use";
  }
}

// Bytes of one matrix, without scales that lie apart from it.
inline std::uint64_t matrix_bytes(const abk_weight_desc &desc) noexcept {
  return static_cast<std::uint64_t>(desc.n) * row_bytes(desc.dtype, desc.k);
}

// Whether data can be read where it is: it outlives the weight and is aligned, which a file's tensor need not be. Where
// the data will be may be unknown yet (NULL): then it counts as aligned.
inline bool reads_in_place(const abk_weight_desc &desc, const void *data, aby_dtype dtype) noexcept {
  return desc.borrowed != 0 && reinterpret_cast<std::uintptr_t>(data) % dtype_alignment(dtype) == 0;
}

// Elements of one matrix's block scales.
inline std::int64_t scale_elements(const abk_weight_desc &desc) noexcept {
  return ((desc.n + desc.block_n - 1) / desc.block_n) * ((desc.k + desc.block_k - 1) / desc.block_k);
}

// Everything but the pointers: sizes, dtypes, blocks, what the use demands. Throws INVALID_ARGUMENT or UNSUPPORTED.
inline void check_weight_desc(const abk_weight_desc &desc) {
  const char *use = weight_use_name(desc.use);
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  if (desc.use < ABK_USE_MATRIX || desc.use > ABK_USE_ROUTER)
    fail(ABY_ERROR_INVALID_ARGUMENT, "weight: use ", desc.use, " is unknown");
  if (desc.n < 1 || desc.k < 1 || desc.count < 1 || desc.n > kMost || desc.k > kMost || desc.count > 1 << 20 ||
      desc.n * desc.k > (std::int64_t{1} << 56) / desc.count)
    fail(ABY_ERROR_INVALID_ARGUMENT, "weight (", use, "): ", desc.count, " of [", desc.n, ", ", desc.k, "]");
  const bool f8 = desc.dtype == ABY_DTYPE_F8_E4M3;
  if (!is_weight_dtype(desc.dtype))
    fail(ABY_ERROR_UNSUPPORTED, "weight (", use, "): dtype ", dtype_name(desc.dtype));
  const bool blocks = is_block_format(desc.dtype);
  if (blocks && desc.use != ABK_USE_VECTOR && desc.k % dtype_block(desc.dtype).elements != 0)
    fail(ABY_ERROR_INVALID_ARGUMENT, "weight (", use, "): rows of ", desc.k, " in ", dtype_name(desc.dtype),
         ", whose blocks hold ", dtype_block(desc.dtype).elements);
  if (f8 && (desc.block_n < 1 || desc.block_k < 1 || desc.block_n > kMost || desc.block_k > kMost))
    fail(ABY_ERROR_INVALID_ARGUMENT, "weight (", use, "): scale blocks of ", desc.block_n, "x", desc.block_k);
  if (f8 && desc.scale_dtype != ABY_DTYPE_F32 && desc.scale_dtype != ABY_DTYPE_BF16 &&
      desc.scale_dtype != ABY_DTYPE_F8_E8M0)
    fail(ABY_ERROR_UNSUPPORTED, "weight (", use, "): scales of dtype ", dtype_name(desc.scale_dtype));
  if (desc.use == ABK_USE_VECTOR && (desc.k != 1 || desc.count != 1 || f8 || blocks))
    fail(ABY_ERROR_INVALID_ARGUMENT, "weight (vector): ", desc.count, " of [", desc.n, ", ", desc.k, "] ",
         dtype_name(desc.dtype));
  if (desc.use != ABK_USE_MATRIX && desc.count != 1)
    fail(ABY_ERROR_INVALID_ARGUMENT, "weight (", use, "): count ", desc.count);
  if (desc.use != ABK_USE_VECTOR && desc.compute != ABY_DTYPE_F32 && desc.compute != ABY_DTYPE_BF16 &&
      desc.compute != ABY_DTYPE_I8 && desc.compute != ABY_DTYPE_I16)
    fail(ABY_ERROR_INVALID_ARGUMENT, "weight (", use, "): compute type ", dtype_name(desc.compute));
  if (desc.use == ABK_USE_MLA_KV_B && (desc.heads < 1 || desc.qk_nope < 1 || desc.v_dim < 1 ||
                                       desc.n != std::int64_t{desc.heads} * (std::int64_t{desc.qk_nope} + desc.v_dim)))
    fail(ABY_ERROR_INVALID_ARGUMENT, "weight (mla kv_b): ", desc.n, " rows for ", desc.heads, " heads of ",
         desc.qk_nope, " + ", desc.v_dim);
}

// The pointers, for weight_create; check_weight_desc has passed.
inline void check_weight_data(const abk_weight_desc &desc) {
  const bool f8 = desc.dtype == ABY_DTYPE_F8_E4M3;
  if (desc.image != nullptr) {
    if (desc.data != nullptr || desc.next != nullptr || reinterpret_cast<std::uintptr_t>(desc.image) % 64 != 0)
      fail(ABY_ERROR_INVALID_ARGUMENT, "weight (", weight_use_name(desc.use), "): an image ",
           desc.data != nullptr || desc.next != nullptr ? "and data" : "that is not aligned to 64 bytes");
    return;
  }
  if (desc.next != nullptr) {
    if (desc.data != nullptr || desc.borrowed != 0 || f8)
      fail(ABY_ERROR_INVALID_ARGUMENT, "weight (", weight_use_name(desc.use), "): next with ",
           desc.data != nullptr ? "data"
           : f8                 ? "f8_e4m3"
                                : "borrowed");
    return;
  }
  if (desc.data == nullptr || (f8 && desc.scales == nullptr))
    fail(ABY_ERROR_INVALID_ARGUMENT, "weight (", weight_use_name(desc.use),
         "): ", desc.data == nullptr ? "data" : "scales", " is NULL");
  for (std::int64_t i = 0; i < desc.count; ++i) {
    if (desc.data[i] == nullptr || (f8 && desc.scales[i] == nullptr))
      fail(ABY_ERROR_INVALID_ARGUMENT, "weight (", weight_use_name(desc.use),
           "): ", desc.data[i] == nullptr ? "data" : "scales", " of matrix ", i, " is NULL");
  }
}

// Matrix i of a weight that is being created; asked for once each, in order. check_weight_data has passed.
inline const std::byte *take_matrix(const abk_weight_desc &desc, std::int64_t i) {
  const void *data = desc.next != nullptr ? desc.next(desc.next_context, i) : desc.data[i];
  if (data == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, "weight (", weight_use_name(desc.use), "): matrix ", i, " could not be made");
  return static_cast<const std::byte *>(data);
}

// A weight argument that is a stack of `count` matrices [n, k]; n or k of -1: any. An embedding and a router serve as
// matrices.
inline const HostWeight &check_matrix(const abk_weight *handle, std::int64_t n, std::int64_t k, std::int64_t count,
                                      const char *what) {
  const HostWeight *weight = HostWeight::from(handle);
  if (weight == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": weight is NULL");
  if (weight->use == ABK_USE_VECTOR || weight->use == ABK_USE_MLA_KV_B)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": weight was prepared as ", weight_use_name(weight->use));
  if ((n >= 0 && weight->n != n) || (k >= 0 && weight->k != k) || weight->count != count)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": weight is ", weight->count, " of [", weight->n, ", ", weight->k,
         "], expected ", count, " of [", n >= 0 ? std::to_string(n) : "any", ", ", k >= 0 ? std::to_string(k) : "any",
         "]");
  return *weight;
}

// A vector argument of n values; NULL gives NULL when it is optional.
inline const HostWeight *check_vector(const abk_weight *handle, std::int64_t n, bool optional, const char *what) {
  const HostWeight *weight = HostWeight::from(handle);
  if (weight == nullptr && !optional)
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": weight is NULL");
  if (weight != nullptr && (weight->use != ABK_USE_VECTOR || weight->n != n))
    fail(ABY_ERROR_INVALID_ARGUMENT, what, ": weight is a ", weight_use_name(weight->use), " of ", weight->n,
         ", expected a vector of ", n);
  return weight;
}

} // namespace abyssal
