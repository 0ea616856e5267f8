// Queues the ops of the contract.
#pragma once

#include "backends/host/op_checks.h"
#include "backends/reference/reference_backend.h"
#include "deferred_stream.h"
#include "visit_handles.h"

#include <algorithm>
#include <type_traits>
#include <vector>

namespace abyssal::deferred {

struct DeferredOp {
  abk_op number;
  const char *name;
  bool takes_batch;
};

// The scratch memory that an op asks for. The reference ops need none; a device's ops do, so this backend demands some,
// growing with all that may matter, and fills it with garbage before each op.
inline std::uint64_t scratch_need(std::int64_t rows, std::int64_t context) {
  return rows == 0 ? 0 : static_cast<std::uint64_t>(256 + 64 * rows + 8 * context);
}

inline std::int64_t longest_context(const HostBatch &batch) {
  std::int64_t longest = 0;
  for (std::int32_t i = 0; i < batch.sequences; ++i)
    longest = std::max(longest, batch.total_tokens(i));
  return longest;
}

// What `supports` says. Ops that take no scratch are said to need some too.
inline std::uint64_t scratch_of(const DeferredOp &op, const abk_op_desc &desc) {
  const bool attention = op.number == ABK_OP_MLA_ATTEND || op.number == ABK_OP_GQA_ATTEND;
  return scratch_need(desc.rows, attention ? desc.context : 0);
}

// What a call needs of it; batch may be nullptr.
template <typename Args> std::uint64_t scratch_of(const HostBatch *batch, const Args &args) {
  constexpr bool kAttention = std::is_same_v<Args, abk_mla_attend_args> || std::is_same_v<Args, abk_gqa_attend_args>;
  if constexpr (requires { args.rows; })
    return scratch_need(std::max(args.rows, 0), 0);
  else
    return scratch_need(batch->tokens, kAttention ? longest_context(*batch) : 0);
}

// Checks, when work is queued, that a handle is one of a living object on the stream's device.
struct HandleCheck {
  const char *op;
  const DeferredDevice &device;
  template <typename Found, typename Table, typename Handle>
  void check(const char *name, const Table &table, const Handle *handle) const {
    const std::shared_ptr<Found> found = table.find(handle);
    if (found == nullptr || &found->device != &device)
      fail(ABY_ERROR_INVALID_ARGUMENT, op, ": ", name, ": ",
           found == nullptr ? "not a living handle" : "a handle of another device");
  }
  void operator()(const char *name, const abk_span &span) const {
    if (span.buffer != nullptr)
      check<DeferredBuffer>(name, buffers(), span.buffer);
  }
  void operator()(const char *name, const abk_weight *handle) const {
    if (handle != nullptr)
      check<DeferredWeight>(name, weights(), handle);
  }
};

// Copies an op's arguments, and the host arrays they point to, and queues it.
template <typename Args>
void queue_op(DeferredStream &stream, const abk_batch *batch, const DeferredOp &of, const Args &given) {
  const char *op = of.name;
  Args args = given;
  visit_handles(args, HandleCheck{op, stream.device()});
  std::vector<std::int32_t> host;
  const auto copy_host = [&](const std::int32_t *from, std::int32_t count) {
    if (from != nullptr && count > 0)
      host.assign(from, from + count);
  };
  if constexpr (std::is_same_v<Args, abk_embed_args>)
    copy_host(args.ids, HostBatch::from(batches().find(batch)->inner)->tokens);
  if constexpr (std::is_same_v<Args, abk_logits_args>)
    copy_host(args.row_ids, args.rows);
  stream.queue(op, [=, number = of.number](Resolver &resolver) mutable {
    abk_batch *inner_batch = batch != nullptr ? resolver.batch(batch) : nullptr;
    visit_handles(args, resolver);
    if constexpr (std::is_same_v<Args, abk_embed_args>)
      args.ids = args.ids != nullptr ? host.data() : nullptr;
    if constexpr (std::is_same_v<Args, abk_logits_args>)
      args.row_ids = args.row_ids != nullptr ? host.data() : nullptr;
    if constexpr (requires { args.scratch; }) {
      const std::uint64_t need = scratch_of(HostBatch::from(inner_batch), args);
      if (need > 0)
        std::memset(check_span(args.scratch, need, 1, concat(op, ": scratch").c_str()), 0xa5, need);
    }
    check_inner(reference_backend()->run(resolver.device().inner_stream, inner_batch, number, &args));
  });
}

} // namespace abyssal::deferred
