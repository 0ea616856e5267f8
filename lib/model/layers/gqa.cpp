#include "model/layers/gqa.h"

#include "model/pass.h"
#include "model/weight_visitor.h"

namespace abyssal {

namespace {

struct GqaWeights {
  WeightPtr q, k, v, o;
  WeightPtr q_bias, k_bias, v_bias, o_bias; // null without
};

struct GqaMemory {
  GqaMemory(const GqaSpec &spec, Arena &arena, std::int64_t rows, aby_dtype activations)
      : q(arena.rows(rows, std::int64_t{spec.heads} * spec.head_dim, activations)),
        k(arena.rows(rows, std::int64_t{spec.kv_heads} * spec.head_dim, activations)),
        v(arena.rows(rows, std::int64_t{spec.kv_heads} * spec.head_dim, activations)),
        attended(arena.rows(rows, std::int64_t{spec.heads} * spec.head_dim, activations)) {}

  abk_rows q, k, v, attended;
};

class Gqa final : public Attention {
public:
  Gqa(const GqaSpec &spec, GqaWeights weights) : spec_(spec), w_(std::move(weights)) {}

  void run(const Pass &pass, const LayerCache &cache) const override {
    Arena arena = pass.arena();
    const GqaMemory memory(spec_, arena, pass.rows, pass.workspace.activations());
    linear(pass, Part::kProjections, pass.normed(), w_.q, w_.q_bias, memory.q);
    linear(pass, Part::kProjections, pass.normed(), w_.k, w_.k_bias, memory.k);
    linear(pass, Part::kProjections, pass.normed(), w_.v, w_.v_bias, memory.v);
    abk_gqa_attend_args args{};
    args.heads = spec_.heads;
    args.kv_heads = spec_.kv_heads;
    args.head_dim = spec_.head_dim;
    args.q = memory.q;
    args.k = memory.k;
    args.v = memory.v;
    args.k_cache = cache[0];
    args.v_cache = cache[1];
    args.cache_dtype = pass.model.cache_dtype;
    args.scale = pass.model.rope->score_scale();
    args.out = memory.attended;
    args.scratch = pass.scratch();
    pass.run(ABK_OP_GQA_ATTEND, Part::kAttention, args, [&] { return work(pass); });
    linear(pass, Part::kProjections, memory.attended, w_.o, w_.o_bias, pass.delta());
  }

private:
  Work work(const Pass &pass) const {
    const auto u64 = [](std::int64_t value) { return static_cast<std::uint64_t>(value); };
    Work work;
    for (const PassSequence &sequence : pass.sequences) {
      const std::uint64_t keys = u64(sequence.context) + sequence.tokens.size();
      work.flops += 4 * u64(spec_.heads) * u64(spec_.head_dim) * attended_pairs(sequence);
      work.bytes += 2 * keys * u64(spec_.kv_heads) * u64(spec_.head_dim) * dtype_size(pass.model.cache_dtype);
    }
    return work;
  }

  GqaSpec spec_;
  GqaWeights w_;
};

} // namespace

std::vector<CacheSpec> GqaSpec::caches() const {
  const CacheSpec rows{.kind = ABK_CACHE_HEADS, .heads = kv_heads, .width = head_dim};
  return {rows, rows};
}

std::uint64_t GqaSpec::arena_bytes(const PassShape &shape) const {
  Arena arena;
  static_cast<void>(GqaMemory(*this, arena, shape.rows, shape.activations));
  return arena.used();
}

std::vector<abk_op_desc> GqaSpec::ops(const PassShape &shape) const {
  abk_op_desc desc{};
  desc.rows = shape.rows;
  desc.context = shape.context;
  desc.hidden = shape.hidden;
  desc.heads = heads;
  desc.kv_heads = kv_heads;
  desc.head_dim = head_dim;
  std::vector<abk_op_desc> ops;
  for (const abk_op op : {ABK_OP_LINEAR, ABK_OP_GQA_ATTEND}) {
    desc.op = op;
    ops.push_back(desc);
  }
  return ops;
}

std::unique_ptr<const Attention> GqaSpec::load(const WeightScope &scope, std::int32_t hidden) const {
  GqaWeights w;
  const std::int64_t q_rows = std::int64_t{heads} * head_dim;
  const std::int64_t kv_rows = std::int64_t{kv_heads} * head_dim;
  w.q = scope.matrix("q_proj", q_rows, hidden);
  w.k = scope.matrix("k_proj", kv_rows, hidden);
  w.v = scope.matrix("v_proj", kv_rows, hidden);
  if (qkv_bias) {
    w.q_bias = scope.bias("q_proj", q_rows);
    w.k_bias = scope.bias("k_proj", kv_rows);
    w.v_bias = scope.bias("v_proj", kv_rows);
  }
  w.o = scope.matrix("o_proj", hidden, q_rows);
  if (o_bias)
    w.o_bias = scope.bias("o_proj", hidden);
  return std::make_unique<const Gqa>(*this, std::move(w));
}

} // namespace abyssal
