#include "api/boundary.h"
#include "api/handles.h"
#include "ops/host_ops.h"

#include <abyssal/ops.h>

using namespace abyssal;
using namespace abyssal::api;

struct aby_mla {
  DevicePtr device;
  aby_mla_desc desc;
  WeightPtr kv_b;
};

namespace {

aby_mla_desc default_mla_desc() noexcept {
  aby_mla_desc desc{};
  desc.compute = ABY_DTYPE_F32;
  return desc;
}

aby_mla_attend_args default_attend_args() noexcept {
  aby_mla_attend_args args{};
  args.cache_dtype = ABY_DTYPE_F32;
  return args;
}

void check(bool good, const char *name, std::int64_t value, const char *expected) {
  if (!good)
    fail(ABY_ERROR_INVALID_ARGUMENT, "mla: ", name, " is ", value, "; expected ", expected);
}

void check_desc(const aby_mla_desc &desc) {
  check(desc.heads >= 1, "heads", desc.heads, "1 or more");
  check(desc.kv_lora_rank >= 1, "kv_lora_rank", desc.kv_lora_rank, "1 or more");
  check(desc.qk_nope_head_dim >= 1, "qk_nope_head_dim", desc.qk_nope_head_dim, "1 or more");
  check(desc.qk_rope_head_dim >= 2 && desc.qk_rope_head_dim % 2 == 0, "qk_rope_head_dim", desc.qk_rope_head_dim,
        "an even number of 2 or more");
  check(desc.v_head_dim >= 1, "v_head_dim", desc.v_head_dim, "1 or more");
  check(is_weight_dtype(desc.dtype) && desc.dtype != ABY_DTYPE_F8_E4M3, "dtype", desc.dtype,
        "f32, f16, bf16 or a block format");
  check(desc.compute == ABY_DTYPE_F32 || desc.compute == ABY_DTYPE_BF16, "compute", desc.compute, "f32 or bf16");
  require(static_cast<const char *>(desc.kv_b), "kv_b");
}

// Most cached tokens of one sequence, the new ones included; checks the ragged batch on the way.
std::int32_t check_batch(const aby_mla_attend_args &args) {
  check(args.table_stride >= 0, "table_stride", args.table_stride, "0 or more");
  check(args.blocks >= 0, "blocks", args.blocks, "0 or more");
  check(args.cache_dtype == ABY_DTYPE_F32 || args.cache_dtype == ABY_DTYPE_BF16, "cache_dtype", args.cache_dtype,
        "f32 or bf16");
  require(args.row_begin, "row_begin");
  require(args.context, "context");
  require(args.block_table, "block_table");
  require(static_cast<const char *>(args.cache), "cache");
  require(args.q, "q");
  require(args.out, "out");
  check(args.row_begin[0] == 0, "row_begin[0]", args.row_begin[0], "0");
  std::int64_t longest = 0;
  for (std::int32_t i = 0; i < args.sequences; ++i) {
    check(args.row_begin[i + 1] >= args.row_begin[i], "row_begin", args.row_begin[i + 1], "ascending values");
    check(args.context[i] >= 0, "context", args.context[i], "0 or more");
    const std::int64_t length = std::int64_t{args.context[i]} + args.row_begin[i + 1] - args.row_begin[i];
    const std::int64_t used = (length + ABK_BLOCK_TOKENS - 1) / ABK_BLOCK_TOKENS;
    check(used <= args.table_stride, "table_stride", args.table_stride, "the blocks of the longest sequence");
    for (std::int64_t j = 0; j < used; ++j) {
      const std::int32_t block = args.block_table[std::int64_t{i} * args.table_stride + j];
      check(block >= 0 && block < args.blocks, "block_table", block, "0 to blocks - 1");
    }
    longest = std::max(longest, length);
  }
  check(longest <= INT32_MAX, "context", longest, "at most 2^31 - 1 tokens");
  return static_cast<std::int32_t>(longest);
}

abk_op_desc scratch_desc(const aby_mla_desc &desc, std::int32_t rows, std::int32_t context,
                         std::uint32_t absorb_below) noexcept {
  abk_op_desc scratch{};
  scratch.op = ABK_OP_MLA_ATTEND;
  scratch.rows = rows;
  scratch.context = context;
  scratch.heads = desc.heads;
  scratch.kv_lora = desc.kv_lora_rank;
  scratch.qk_nope = desc.qk_nope_head_dim;
  scratch.rope_dim = desc.qk_rope_head_dim;
  scratch.v_dim = desc.v_head_dim;
  scratch.absorb_below = absorb_below;
  return scratch;
}

} // namespace

extern "C" {

aby_status aby_mla_desc_init(aby_mla_desc *out, size_t struct_size) {
  return init_struct(out, struct_size, default_mla_desc(), "aby_mla_desc");
}

aby_status aby_mla_create(aby_mla **out, aby_device *device, const aby_mla_desc *raw_desc) {
  return guard([&] {
    require(out, "out");
    require(device, "device");
    require(raw_desc, "desc");
    auto handle = std::make_unique<aby_mla>();
    handle->device = device->device;
    handle->desc = read_struct(raw_desc, default_mla_desc(), "aby_mla_desc");
    const aby_mla_desc &given = handle->desc;
    check_desc(given);
    abk_weight_desc desc{};
    desc.use = ABK_USE_MLA_KV_B;
    desc.dtype = given.dtype;
    desc.n = std::int64_t{given.heads} * (std::int64_t{given.qk_nope_head_dim} + given.v_head_dim);
    desc.k = given.kv_lora_rank;
    desc.count = 1;
    desc.data = &given.kv_b;
    desc.compute = given.compute;
    desc.heads = given.heads;
    desc.qk_nope = given.qk_nope_head_dim;
    desc.v_dim = given.v_head_dim;
    handle->kv_b = std::make_shared<const Weight>(handle->device, desc);
    handle->desc.kv_b = nullptr; // the caller's, and not needed any more
    *out = handle.release();
  });
}

void aby_mla_destroy(aby_mla *mla) { delete mla; }

aby_status aby_mla_attend_args_init(aby_mla_attend_args *out, size_t struct_size) {
  return init_struct(out, struct_size, default_attend_args(), "aby_mla_attend_args");
}

aby_status aby_mla_attend(const aby_mla *mla, const aby_mla_attend_args *raw_args) {
  return guard([&] {
    require(mla, "mla");
    require(raw_args, "args");
    const auto given = read_struct(raw_args, default_attend_args(), "aby_mla_attend_args");
    check(given.sequences >= 0, "sequences", given.sequences, "0 or more");
    if (given.sequences == 0)
      return;
    const std::int32_t longest = check_batch(given);
    const std::int32_t rows = given.row_begin[given.sequences];
    if (rows == 0)
      return;
    const aby_mla_desc &desc = mla->desc;
    const std::int64_t q_cols = std::int64_t{desc.heads} * (desc.qk_nope_head_dim + desc.qk_rope_head_dim);
    const std::int64_t out_cols = std::int64_t{desc.heads} * desc.v_head_dim;
    const auto bytes = [](std::int64_t count, std::size_t size) { return static_cast<std::uint64_t>(count) * size; };

    HostOp op(mla->device);
    // Attention needs no token ids and no rope table: the batch carries zeros in their place.
    const std::vector<std::int32_t> ids(static_cast<std::size_t>(rows), 0);
    abk_batch_desc batch_desc{};
    batch_desc.tokens = rows;
    batch_desc.sequences = given.sequences;
    batch_desc.token_ids = ids.data();
    batch_desc.row_begin = given.row_begin;
    batch_desc.context = given.context;
    batch_desc.block_table = given.block_table;
    batch_desc.table_stride = given.table_stride;

    abk_mla_attend_args args{};
    args.heads = desc.heads;
    args.qk_nope = desc.qk_nope_head_dim;
    args.rope_dim = desc.qk_rope_head_dim;
    args.kv_lora = desc.kv_lora_rank;
    args.v_dim = desc.v_head_dim;
    args.kv_b = raw(mla->kv_b);
    args.cache_dtype = given.cache_dtype;
    args.scale = given.scale;
    args.absorb_below = given.absorb_below != 0 ? given.absorb_below : 128;
    args.q = dense_rows(op.upload(given.q, bytes(rows * q_cols, sizeof(float))), q_cols);
    const std::int64_t cached =
        std::int64_t{given.blocks} * ABK_BLOCK_TOKENS * (desc.kv_lora_rank + desc.qk_rope_head_dim);
    const std::size_t element = dtype_size(given.cache_dtype);
    args.cache = op.share(given.cache, bytes(cached, element), element);
    args.out = dense_rows(op.upload(nullptr, bytes(rows * out_cols, sizeof(float))), out_cols);
    args.scratch = op.scratch(scratch_desc(desc, rows, longest, args.absorb_below));
    {
      const Batch batch(mla->device, batch_desc);
      const DrainOnExit drain(*mla->device);
      op.run(ABK_OP_MLA_ATTEND, batch.get(), args);
      op.download(given.out, args.out.span, bytes(rows * out_cols, sizeof(float)));
      op.finish();
    }
  });
}

} // extern "C"
