/* ops.h on the arrays of the scenario. */
#include "scenario_c.h"

static aby_experts *prepared_experts;
static aby_mla *prepared_mla;

/* A field's floats, in the room of the caller. */
static size_t floats(const step *s, const char *name, float *room) {
  return step_words(step_find(s, name), 16, room, FLOATS, NULL);
}

static int32_t size(const step *s, const char *name) { return (int32_t)step_integer(s, name, 0); }

static int choice(const step *s, const char *name, const char *const *names) {
  const char *text = step_text(s, name);
  int i = 0;
  while (strcmp(names[i], text) != 0)
    ++i;
  return i;
}

void route(const step *s) {
  static const char *const kScoring[] = {"softmax", "sigmoid"};
  static const char *const kMethods[] = {"greedy", "group_limited_greedy", "noaux_tc"};
  static float logits[FLOATS], bias[FLOATS], weight[FLOATS];
  static int32_t index[FLOATS];
  aby_moe_route_args args;
  must(aby_moe_route_args_init(&args, sizeof args));
  args.experts = size(s, "experts");
  args.tokens = (int32_t)floats(s, "logits", logits) / args.experts;
  args.top_k = size(s, "top_k");
  args.n_group = (int32_t)step_integer(s, "n_group", 1);
  args.topk_group = (int32_t)step_integer(s, "topk_group", 1);
  args.scoring = choice(s, "scoring", kScoring);
  args.topk_method = choice(s, "topk_method", kMethods);
  args.norm_topk_prob = size(s, "norm_topk_prob");
  args.routed_scaling_factor = step_float(s, "routed_scaling_factor", 1);
  args.logits = logits;
  args.bias = floats(s, "bias", bias) != 0 ? bias : NULL;
  args.index = index;
  args.weight = weight;
  if (failed(s, aby_moe_route(devices[slot(s, "device")], &args)))
    return;
  say_array(s, 1, index, (int64_t[]){args.tokens, args.top_k}, 2);
  say_array(s, 0, weight, (int64_t[]){args.tokens, args.top_k}, 2);
}

void experts(const step *s) {
  enum { MOST = 16 };
  static float gate[FLOATS], up[FLOATS], down[FLOATS], shared_gate[FLOATS], shared_up[FLOATS], shared_down[FLOATS];
  const void *gates[MOST], *ups[MOST], *downs[MOST];
  aby_experts_desc desc;
  aby_experts *made;
  int32_t i;
  must(aby_experts_desc_init(&desc, sizeof desc));
  desc.experts = size(s, "experts");
  desc.hidden = size(s, "hidden");
  desc.inter = size(s, "inter");
  desc.shared_inter = size(s, "shared_inter");
  desc.dtype = ABY_DTYPE_F32;
  floats(s, "gate", gate);
  floats(s, "up", up);
  floats(s, "down", down);
  for (i = 0; i < desc.experts && i < MOST; ++i) {
    gates[i] = gate + i * desc.inter * desc.hidden;
    ups[i] = up + i * desc.inter * desc.hidden;
    downs[i] = down + i * desc.inter * desc.hidden;
  }
  desc.gate = gates;
  desc.up = ups;
  desc.down = downs;
  floats(s, "shared_gate", shared_gate);
  floats(s, "shared_up", shared_up);
  floats(s, "shared_down", shared_down);
  desc.shared_gate = shared_gate;
  desc.shared_up = shared_up;
  desc.shared_down = shared_down;
  if (failed(s, aby_experts_create(&made, devices[slot(s, "device")], &desc)))
    return;
  aby_experts_destroy(prepared_experts);
  prepared_experts = made;
}

void run_experts(const step *s) {
  static float x[FLOATS], weight[FLOATS], out[FLOATS];
  static int32_t index[FLOATS];
  aby_moe_experts_args args;
  size_t values;
  must(aby_moe_experts_args_init(&args, sizeof args));
  values = floats(s, "x", x);
  args.top_k = size(s, "top_k");
  args.tokens = (int32_t)step_words(step_find(s, "index"), 10, index, FLOATS, NULL) / args.top_k;
  floats(s, "weight", weight);
  args.x = x;
  args.index = index;
  args.weight = weight;
  args.out = out;
  if (!failed(s, aby_moe_experts(prepared_experts, &args)))
    say_array(s, 0, out, (int64_t[]){args.tokens, (int64_t)values / args.tokens}, 2);
}

void mla(const step *s) {
  static float kv_b[FLOATS];
  aby_mla_desc desc;
  aby_mla *made;
  must(aby_mla_desc_init(&desc, sizeof desc));
  desc.heads = size(s, "heads");
  desc.kv_lora_rank = size(s, "kv_lora");
  desc.qk_nope_head_dim = size(s, "nope");
  desc.qk_rope_head_dim = size(s, "rope");
  desc.v_head_dim = size(s, "v");
  desc.dtype = ABY_DTYPE_F32;
  floats(s, "kv_b", kv_b);
  desc.kv_b = kv_b;
  if (failed(s, aby_mla_create(&made, devices[slot(s, "device")], &desc)))
    return;
  aby_mla_destroy(prepared_mla);
  prepared_mla = made;
}

void attend(const step *s) {
  enum { MOST = 16 };
  static float cache[FLOATS], q[FLOATS], out[FLOATS];
  int32_t begins[MOST], context[MOST], table[MOST];
  aby_mla_attend_args args;
  must(aby_mla_attend_args_init(&args, sizeof args));
  step_words(step_find(s, "row_begin"), 10, begins, MOST, NULL);
  args.sequences = (int32_t)step_words(step_find(s, "context"), 10, context, MOST, NULL);
  args.table_stride = (int32_t)step_words(step_find(s, "block_table"), 10, table, MOST, NULL) / args.sequences;
  args.row_begin = begins;
  args.context = context;
  args.block_table = table;
  args.blocks = size(s, "blocks");
  args.scale = step_float(s, "scale", 0);
  args.absorb_below = (uint32_t)step_integer(s, "absorb_below", 0);
  floats(s, "cache", cache);
  floats(s, "q", q);
  args.cache = cache;
  args.q = q;
  args.out = out;
  if (!failed(s, aby_mla_attend(prepared_mla, &args)))
    say_array(s, 0, out, (int64_t[]){begins[args.sequences], size(s, "heads"), size(s, "v")}, 3);
}

void close_layer(const char *name) {
  if (strcmp(name, "experts") == 0) {
    aby_experts_destroy(prepared_experts);
    prepared_experts = NULL;
  } else {
    aby_mla_destroy(prepared_mla);
    prepared_mla = NULL;
  }
}
