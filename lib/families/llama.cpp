// Llama 3, as in the other models that R1 was distilled into.
#include "families/grouped_query.h"

namespace abyssal {

namespace {

void read_layers(ModelSpec &spec, std::int32_t layers, const ConfigFields &fields) {
  GqaSpec gqa = read_gqa(spec, fields);
  gqa.qkv_bias = gqa.o_bias = fields.boolean_or("attention_bias", false);
  make_dense_layers(spec, layers, gqa, fields);
}

} // namespace

const Family kLlama = {"llama", "LlamaForCausalLM", read_layers};

} // namespace abyssal
