#include "families/grouped_query.h"

#include "base/status.h"
#include "families/limits.h"
#include "model/layers/mlp.h"

#include <algorithm>

namespace abyssal {

namespace {

// Sliding windows are refused unless they are as long as the context, where they change nothing.
void check_window(std::int32_t context, const ConfigFields &fields) {
  if (fields.boolean_or("use_sliding_window", false) && fields.has("sliding_window") &&
      fields.integer("sliding_window", 1, kMostTokens) < context)
    fields.unsupported("sliding windows (use_sliding_window) are not supported");
  const auto types = fields.texts("layer_types");
  const auto other = std::find_if(types.begin(), types.end(), [](const auto &t) { return t != "full_attention"; });
  if (other != types.end())
    fields.unsupported("layer_types \"" + *other + "\" is not supported; supported is: full_attention");
}

} // namespace

GqaSpec read_gqa(const ModelSpec &spec, const ConfigFields &fields) {
  GqaSpec gqa;
  gqa.heads = fields.integer("num_attention_heads", 1, kMostHeads);
  gqa.kv_heads = fields.integer_or("num_key_value_heads", gqa.heads, 1, kMostHeads);
  if (gqa.heads % gqa.kv_heads != 0)
    fields.refuse("num_key_value_heads", concat("a divisor of num_attention_heads, ", gqa.heads));
  if (!fields.has("head_dim") && spec.hidden_size % gqa.heads != 0)
    fields.refuse("num_attention_heads", concat("a divisor of hidden_size, ", spec.hidden_size));
  gqa.head_dim = fields.integer_or("head_dim", spec.hidden_size / gqa.heads, 2, kMostHeadDim);
  if (gqa.head_dim < 2 || gqa.head_dim % 2 != 0)
    fields.refuse("head_dim", "an even number of 2 or more");
  if (std::int64_t{gqa.heads} * gqa.head_dim > kMostAttentionWidth)
    fields.refuse("num_attention_heads", concat("heads times head_dim of at most ", kMostAttentionWidth));
  check_window(spec.max_position_embeddings, fields);
  return gqa;
}

void make_dense_layers(ModelSpec &spec, std::int32_t layers, const GqaSpec &attention, const ConfigFields &fields) {
  const auto gqa = std::make_shared<const GqaSpec>(attention);
  const auto mlp = std::make_shared<MlpSpec>();
  mlp->intermediate_size = fields.integer("intermediate_size", 1, kMostHidden);
  spec.layers.assign(static_cast<std::size_t>(layers), {gqa, mlp});
  spec.rope.dim = spec.rope.score_dim = attention.head_dim;
}

} // namespace abyssal
