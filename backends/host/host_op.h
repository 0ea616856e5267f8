// The ops of a host backend: a table in the order of their numbers, and the functions of the contract over it.
#pragma once

#include "backends/host/host_batch.h"
#include "base/status.h"
#include "device/backend.h"

#include <cstdint>
#include <span>

namespace abyssal {

struct HostOp {
  const char *name;
  bool takes_batch;
  void (*run)(abk_stream *stream, const abk_batch *batch, const void *args);
  std::uint64_t (*scratch_bytes)(const abk_op_desc &desc); // nullptr: it needs none
};

inline const HostOp &find_op(std::span<const HostOp> ops, abk_op op, const char *backend) {
  if (op < 0 || static_cast<std::size_t>(op) >= ops.size())
    fail(ABY_ERROR_UNSUPPORTED, "the ", backend, " backend has no op ", op);
  return ops[static_cast<std::size_t>(op)];
}

inline void run_op(const HostOp &op, abk_stream *stream, const abk_batch *batch, const void *args) {
  if (stream == nullptr || args == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, op.name, ": ", stream == nullptr ? "stream" : "args", " is NULL");
  if (op.takes_batch && batch == nullptr)
    fail(ABY_ERROR_INVALID_ARGUMENT, op.name, ": batch is NULL");
  op.run(stream, batch, args);
}

inline std::uint64_t scratch_of(const HostOp &op, const abk_op_desc &desc) {
  return op.scratch_bytes != nullptr ? op.scratch_bytes(desc) : 0;
}

} // namespace abyssal
