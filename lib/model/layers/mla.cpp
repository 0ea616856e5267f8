#include "model/layers/mla.h"

#include "model/pass.h"
#include "model/weight_visitor.h"

namespace abyssal {

namespace {

// The inner norms of MLA use this epsilon whatever rms_norm_eps says, in every published checkpoint's own code.
constexpr float kMlaNormEpsilon = 1e-6f;

struct MlaWeights {
  WeightPtr q_a, q_a_norm; // null without q_lora_rank
  WeightPtr q_b;           // q_b_proj, or q_proj without q_lora_rank
  WeightPtr kv_a, kv_a_norm, kv_b;
  WeightPtr k_b, v_b; // kv_b in halves, a head to a matrix, where the checkpoint stores them so
  WeightPtr q_a_bias, kv_a_bias;
  WeightPtr o, o_bias;
};

struct MlaMemory {
  MlaMemory(const MlaSpec &spec, Arena &arena, std::int64_t rows, aby_dtype activations)
      : q(arena.rows(rows, std::int64_t{spec.heads} * (spec.qk_nope_head_dim + spec.qk_rope_head_dim), activations)),
        attended(arena.rows(rows, std::int64_t{spec.heads} * spec.v_head_dim, activations)) {}

  abk_rows q, attended;
};

class Mla final : public Attention {
public:
  Mla(const MlaSpec &spec, MlaWeights weights) : spec_(spec), w_(std::move(weights)) {}

  void run(const Pass &pass, const LayerCache &cache) const override {
    Arena arena = pass.arena();
    const MlaMemory memory(spec_, arena, pass.rows, pass.workspace.activations());
    project(pass, cache.front(), memory.q);
    attend(pass, cache.front(), memory);
    linear(pass, Part::kProjections, memory.attended, w_.o, w_.o_bias, pass.delta());
  }

private:
  void project(const Pass &pass, abk_span cache, abk_rows q) const {
    abk_mla_project_args args{};
    args.heads = spec_.heads;
    args.qk_nope = spec_.qk_nope_head_dim;
    args.rope_dim = spec_.qk_rope_head_dim;
    args.kv_lora = spec_.kv_lora_rank;
    args.x = pass.normed();
    args.q_a = raw(w_.q_a);
    args.q_a_norm = raw(w_.q_a_norm);
    args.q_b = raw(w_.q_b);
    args.kv_a = raw(w_.kv_a);
    args.kv_a_norm = raw(w_.kv_a_norm);
    args.q_a_bias = raw(w_.q_a_bias);
    args.kv_a_bias = raw(w_.kv_a_bias);
    args.norm_epsilon = kMlaNormEpsilon;
    args.q = q;
    args.cache = cache;
    args.cache_dtype = pass.model.cache_dtype;
    args.scratch = pass.scratch();
    pass.run(ABK_OP_MLA_PROJECT, Part::kProjections, args,
             [&] { return products(pass.rows, {w_.q_a, w_.q_b, w_.kv_a}); });
  }

  void attend(const Pass &pass, abk_span cache, const MlaMemory &memory) const {
    abk_mla_attend_args args{};
    args.heads = spec_.heads;
    args.qk_nope = spec_.qk_nope_head_dim;
    args.rope_dim = spec_.qk_rope_head_dim;
    args.kv_lora = spec_.kv_lora_rank;
    args.v_dim = spec_.v_head_dim;
    args.q = memory.q;
    args.kv_b = raw(w_.kv_b);
    args.k_b = raw(w_.k_b);
    args.v_b = raw(w_.v_b);
    args.cache = cache;
    args.cache_dtype = pass.model.cache_dtype;
    args.scale = pass.model.rope->score_scale();
    args.absorb_below = pass.model.absorb_below;
    args.out = memory.attended;
    args.scratch = pass.scratch();
    pass.run(ABK_OP_MLA_ATTEND, Part::kAttention, args, [&] { return work(pass); });
  }

  Work work(const Pass &pass) const {
    const auto u64 = [](std::int64_t value) { return static_cast<std::uint64_t>(value); };
    const std::uint64_t heads = u64(spec_.heads), lora = u64(spec_.kv_lora_rank), rope = u64(spec_.qk_rope_head_dim);
    const std::uint64_t nope = u64(spec_.qk_nope_head_dim), v = u64(spec_.v_head_dim);
    Work work;
    bool absorbs = false, expands = false;
    for (const PassSequence &sequence : pass.sequences) {
      const std::uint64_t fresh = sequence.tokens.size(), keys = fresh + u64(sequence.context);
      const bool absorbed = fresh < pass.model.absorb_below;
      work.flops += 2 * heads * attended_pairs(sequence) * (absorbed ? 2 * lora + rope : nope + rope + v);
      work.flops += 2 * heads * lora * (nope + v) * (absorbed ? fresh : keys);
      work.bytes += keys * (lora + rope) * dtype_size(pass.model.cache_dtype);
      (absorbed ? absorbs : expands) = true;
    }
    const std::uint64_t halves = w_.k_b ? w_.k_b->size().bytes + w_.v_b->size().bytes : 0;
    if (absorbs && halves > 0)
      work.bytes += halves;
    if (expands || (absorbs && halves == 0))
      work.bytes += w_.kv_b->size().bytes;
    return work;
  }

  MlaSpec spec_;
  MlaWeights w_;
};

// A half of kv_b_proj, head by head: what kv_b_proj holds too, so that it counts as nothing of its own.
WeightPtr load_half(const MlaSpec &spec, const WeightScope &scope, const char *name, std::int64_t n, std::int64_t k) {
  WeightSpec half{.use = ABK_USE_MATRIX,
                  .names = {},
                  .n = n,
                  .k = k,
                  .repeated = true,
                  .whole = scope.prefix() + "kv_b_proj.weight"};
  for (std::int32_t head = 0; head < spec.heads; ++head)
    half.names.push_back(scope.prefix() + name + "." + std::to_string(head) + ".weight");
  return scope.take(half);
}

// Whether kv_b_proj is wanted in halves too, and there.
bool has_halves(const WeightScope &scope) {
  return scope.visitor().takes_halves() && scope.has("k_b_proj.0.weight") && scope.has("v_b_proj.0.weight");
}

} // namespace

std::vector<CacheSpec> MlaSpec::caches() const {
  return {{.kind = ABK_CACHE_LATENT, .heads = 1, .width = kv_lora_rank, .rope_dim = qk_rope_head_dim}};
}

std::uint64_t MlaSpec::arena_bytes(const PassShape &shape) const {
  Arena arena;
  static_cast<void>(MlaMemory(*this, arena, shape.rows, shape.activations));
  return arena.used();
}

std::vector<abk_op_desc> MlaSpec::ops(const PassShape &shape) const {
  abk_op_desc desc{};
  desc.rows = shape.rows;
  desc.context = shape.context;
  desc.hidden = shape.hidden;
  desc.heads = heads;
  desc.q_lora = q_lora_rank;
  desc.kv_lora = kv_lora_rank;
  desc.qk_nope = qk_nope_head_dim;
  desc.rope_dim = qk_rope_head_dim;
  desc.v_dim = v_head_dim;
  desc.absorb_below = shape.absorb_below;
  std::vector<abk_op_desc> ops;
  for (const abk_op op : {ABK_OP_MLA_PROJECT, ABK_OP_MLA_ATTEND, ABK_OP_LINEAR}) {
    desc.op = op;
    ops.push_back(desc);
  }
  return ops;
}

std::unique_ptr<const Attention> MlaSpec::load(const WeightScope &scope, std::int32_t hidden) const {
  MlaWeights w;
  const std::int64_t q_rows = std::int64_t{heads} * (qk_nope_head_dim + qk_rope_head_dim);
  const std::int64_t latent = std::int64_t{kv_lora_rank} + qk_rope_head_dim;
  if (q_lora_rank > 0) {
    w.q_a = scope.matrix("q_a_proj", q_lora_rank, hidden);
    w.q_a_norm = scope.norm("q_a_layernorm", q_lora_rank);
    w.q_b = scope.matrix("q_b_proj", q_rows, q_lora_rank);
    if (bias)
      w.q_a_bias = scope.bias("q_a_proj", q_lora_rank);
  } else {
    w.q_b = scope.matrix("q_proj", q_rows, hidden);
  }
  w.kv_a = scope.matrix("kv_a_proj_with_mqa", latent, hidden);
  w.kv_a_norm = scope.norm("kv_a_layernorm", kv_lora_rank);
  if (bias)
    w.kv_a_bias = scope.bias("kv_a_proj_with_mqa", latent);
  w.kv_b = scope.take({.use = ABK_USE_MLA_KV_B,
                       .names = {scope.prefix() + "kv_b_proj.weight"},
                       .n = std::int64_t{heads} * (qk_nope_head_dim + v_head_dim),
                       .k = kv_lora_rank,
                       .heads = heads,
                       .qk_nope = qk_nope_head_dim,
                       .v_dim = v_head_dim});
  if (has_halves(scope)) {
    w.k_b = load_half(*this, scope, "k_b_proj", kv_lora_rank, qk_nope_head_dim);
    w.v_b = load_half(*this, scope, "v_b_proj", v_head_dim, kv_lora_rank);
  }
  w.o = scope.matrix("o_proj", hidden, std::int64_t{heads} * v_head_dim);
  if (bias)
    w.o_bias = scope.bias("o_proj", hidden);
  return std::make_unique<const Mla>(*this, std::move(w));
}

} // namespace abyssal
