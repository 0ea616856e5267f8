// Qwen2, as in the smaller models that R1 was distilled into: queries, keys and values have biases.
#include "families/grouped_query.h"

namespace abyssal {

namespace {

void read_layers(ModelSpec &spec, std::int32_t layers, const ConfigFields &fields) {
  GqaSpec gqa = read_gqa(spec, fields);
  gqa.qkv_bias = true;
  make_dense_layers(spec, layers, gqa, fields);
}

} // namespace

const Family kQwen2 = {"qwen2", "Qwen2ForCausalLM", read_layers};

} // namespace abyssal
