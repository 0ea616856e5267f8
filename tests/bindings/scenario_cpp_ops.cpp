// ops.h on the arrays of the scenario.
#include "scenario_cpp.h"

namespace {

std::optional<abyssal::experts> prepared_experts;
std::optional<abyssal::mla> prepared_mla;

// A matrix for each expert.
std::vector<const void *> matrices(const Floats &all, std::int32_t experts) {
  std::vector<const void *> pointers;
  for (std::size_t i = 0; i < static_cast<std::size_t>(experts); ++i)
    pointers.push_back(all.data() + i * (all.size() / static_cast<std::size_t>(experts)));
  return pointers;
}

std::int64_t size_of(const Integers &all) { return static_cast<std::int64_t>(all.size()); }

} // namespace

void route(const step &s) {
  const Floats logits = floats(s, "logits"), bias = floats(s, "bias");
  aby_moe_route_args args = abyssal::default_moe_route_args();
  args.experts = number<std::int32_t>(s, "experts");
  args.tokens = static_cast<std::int32_t>(logits.size()) / args.experts;
  args.top_k = number<std::int32_t>(s, "top_k");
  args.n_group = number<std::int32_t>(s, "n_group", 1);
  args.topk_group = number<std::int32_t>(s, "topk_group", 1);
  args.scoring = place({"softmax", "sigmoid"}, text(s, "scoring"));
  args.topk_method = place({"greedy", "group_limited_greedy", "noaux_tc"}, text(s, "topk_method"));
  args.norm_topk_prob = number<std::int32_t>(s, "norm_topk_prob");
  args.routed_scaling_factor = step_float(&s, "routed_scaling_factor", 1);
  const auto count = static_cast<std::size_t>(args.tokens) * static_cast<std::size_t>(std::max(args.top_k, 0));
  Integers index(count);
  Floats weight(count);
  args.logits = logits.data();
  args.bias = bias.empty() ? nullptr : bias.data();
  args.index = index.data();
  args.weight = weight.data();
  abyssal::moe_route(device_of(s), args);
  say_rows(s, index, {args.tokens, args.top_k});
  say_rows(s, weight, {args.tokens, args.top_k});
}

void experts(const step &s) {
  const Floats gate = floats(s, "gate"), up = floats(s, "up"), down = floats(s, "down");
  const Floats shared_gate = floats(s, "shared_gate"), shared_up = floats(s, "shared_up"),
               shared_down = floats(s, "shared_down");
  aby_experts_desc desc = abyssal::default_experts_desc();
  desc.experts = number<std::int32_t>(s, "experts");
  desc.hidden = number<std::int32_t>(s, "hidden");
  desc.inter = number<std::int32_t>(s, "inter");
  desc.shared_inter = number<std::int32_t>(s, "shared_inter");
  desc.dtype = ABY_DTYPE_F32;
  const auto gates = matrices(gate, desc.experts), ups = matrices(up, desc.experts),
             downs = matrices(down, desc.experts);
  desc.gate = gates.data();
  desc.up = ups.data();
  desc.down = downs.data();
  desc.shared_gate = shared_gate.data();
  desc.shared_up = shared_up.data();
  desc.shared_down = shared_down.data();
  prepared_experts = abyssal::experts(device_of(s), desc);
}

void run_experts(const step &s) {
  const Floats x = floats(s, "x"), weight = floats(s, "weight");
  const Integers index = integers(s, "index");
  Floats out(x.size());
  aby_moe_experts_args args = abyssal::default_moe_experts_args();
  args.top_k = number<std::int32_t>(s, "top_k");
  args.tokens = static_cast<std::int32_t>(index.size()) / args.top_k;
  args.x = x.data();
  args.index = index.data();
  args.weight = weight.data();
  args.out = out.data();
  prepared_experts->run(args);
  say_rows(s, out, {args.tokens, static_cast<std::int64_t>(out.size()) / args.tokens});
}

void mla(const step &s) {
  const Floats kv_b = floats(s, "kv_b");
  aby_mla_desc desc = abyssal::default_mla_desc();
  desc.heads = number<std::int32_t>(s, "heads");
  desc.kv_lora_rank = number<std::int32_t>(s, "kv_lora");
  desc.qk_nope_head_dim = number<std::int32_t>(s, "nope");
  desc.qk_rope_head_dim = number<std::int32_t>(s, "rope");
  desc.v_head_dim = number<std::int32_t>(s, "v");
  desc.dtype = ABY_DTYPE_F32;
  desc.kv_b = kv_b.data();
  prepared_mla = abyssal::mla(device_of(s), desc);
}

void attend(const step &s) {
  const Integers row_begin = integers(s, "row_begin"), context = integers(s, "context"),
                 table = integers(s, "block_table");
  const Floats cache = floats(s, "cache"), q = floats(s, "q");
  const std::vector<std::int64_t> shape{row_begin.back(), number(s, "heads"), number(s, "v")};
  Floats out(static_cast<std::size_t>(shape[0] * shape[1] * shape[2]));
  aby_mla_attend_args args = abyssal::default_mla_attend_args();
  args.sequences = static_cast<std::int32_t>(context.size());
  args.table_stride = static_cast<std::int32_t>(size_of(table) / size_of(context));
  args.row_begin = row_begin.data();
  args.context = context.data();
  args.block_table = table.data();
  args.blocks = number<std::int32_t>(s, "blocks");
  args.scale = step_float(&s, "scale", 0);
  args.absorb_below = number<std::uint32_t>(s, "absorb_below");
  args.cache = cache.data();
  args.q = q.data();
  args.out = out.data();
  prepared_mla->attend(args);
  say_rows(s, out, shape);
}

void close_layer(const std::string &name) {
  if (name == "experts")
    prepared_experts->close();
  else
    prepared_mla->close();
}
