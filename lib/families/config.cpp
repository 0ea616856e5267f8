#include "families/config.h"

#include "base/status.h"
#include "families/family.h"
#include "families/limits.h"

#include <algorithm>
#include <array>

namespace abyssal {

namespace {

// In the order in which messages list them.
const std::array kFamilies = {&kDeepseekV2, &kDeepseekV3, &kKimiK2, &kQwen2, &kLlama};

// The family, from model_type; a checkpoint without one is known by its first architecture.
const Family &family_of(const ConfigFields &fields) {
  const std::string type = fields.text_or("model_type", "");
  const auto names = fields.texts("architectures");
  const std::string architecture = names.empty() ? "" : names.front();
  for (const Family *family : kFamilies) {
    if (type.empty() ? family->architecture != nullptr && architecture == family->architecture
                     : type == family->model_type)
      return *family;
  }
  if (type.empty())
    fields.refuse("model_type", "the name of an architecture");
  std::string known;
  for (const Family *family : kFamilies)
    known += (known.empty() ? "" : ", ") + std::string(family->model_type);
  fields.unsupported("architecture \"" + type + "\" is not supported; supported are: " + known);
}

void read_common(ModelSpec &spec, const ConfigFields &fields) {
  spec.hidden_size = fields.integer("hidden_size", 1, kMostHidden);
  spec.vocab_size = fields.integer("vocab_size", 1, kMostVocab);
  spec.max_position_embeddings = fields.integer("max_position_embeddings", 1, kMostTokens);
  spec.rms_norm_eps = static_cast<float>(fields.positive_or("rms_norm_eps", 1e-6));
  spec.tie_word_embeddings = fields.boolean_or("tie_word_embeddings", false);
  const std::string act = fields.text_or("hidden_act", "silu");
  if (act != "silu")
    fields.unsupported("hidden_act \"" + act + "\" is not supported; supported is: silu");
  if (fields.boolean_or("mlp_bias", false))
    fields.unsupported("mlp_bias is not supported");
}

void read_yarn(RopeConfig &rope, const ConfigFields &scaling) {
  rope.scaling = RopeScaling::kYarn;
  rope.beta_fast = scaling.positive_or("beta_fast", 32);
  rope.beta_slow = scaling.positive_or("beta_slow", 1);
  rope.mscale = scaling.number_or("mscale", 1);
  rope.mscale_all_dim = scaling.number_or("mscale_all_dim", 0);
  if (scaling.has("attention_factor"))
    scaling.unsupported("attention_factor is not supported");
}

void read_llama3(RopeConfig &rope, const ConfigFields &scaling) {
  rope.scaling = RopeScaling::kLlama3;
  rope.low_freq_factor = scaling.positive_or("low_freq_factor", 1);
  rope.high_freq_factor = scaling.positive_or("high_freq_factor", 4);
  if (rope.high_freq_factor <= rope.low_freq_factor)
    scaling.refuse("high_freq_factor", "more than low_freq_factor");
}

// rope_theta and rope_scaling; newer writers put both into rope_parameters.
void read_rope(ModelSpec &spec, const ConfigFields &fields) {
  RopeConfig &rope = spec.rope;
  const auto parameters = fields.object("rope_parameters");
  rope.theta = fields.positive_or("rope_theta", parameters ? parameters->positive_or("rope_theta", 10000) : 10000);
  const auto scaling = fields.has("rope_scaling") ? fields.object("rope_scaling") : parameters;
  if (!scaling)
    return;
  const std::string type = scaling->text_or("rope_type", scaling->text_or("type", "default"));
  if (type == "default")
    return;
  rope.factor = scaling->positive_or("factor", 1);
  if (rope.factor < 1)
    scaling->refuse("factor", "a number of 1 or more");
  rope.original_max_position_embeddings =
      scaling->positive_or("original_max_position_embeddings", spec.max_position_embeddings);
  if (type == "yarn")
    read_yarn(rope, *scaling);
  else if (type == "llama3")
    read_llama3(rope, *scaling);
  else if (type == "linear")
    rope.scaling = RopeScaling::kLinear;
  else
    scaling->unsupported("RoPE scaling \"" + type + "\" is not supported; supported are: yarn, llama3, linear");
}

void read_quantization(ModelSpec &spec, const ConfigFields &fields) {
  const auto quantization = fields.object("quantization_config");
  if (!quantization)
    return;
  const std::string method = quantization->text_or("quant_method", "");
  if (method != "fp8")
    quantization->unsupported("quant_method \"" + method + "\" is not supported; supported is: fp8");
  const std::string format = quantization->text_or("fmt", "e4m3");
  if (format != "e4m3")
    quantization->unsupported("fmt \"" + format + "\" is not supported; supported is: e4m3");
  const auto block = quantization->integers("weight_block_size", 1, 1 << 20);
  if (block.size() != 2)
    quantization->refuse("weight_block_size", "two numbers, such as [128, 128]");
  spec.fp8 = {true, block[0], block[1]};
}

void read_token_ids(ModelSpec &spec, const ConfigFields &fields) {
  const auto bos = fields.integers("bos_token_id", 0, kMostToken);
  if (!bos.empty())
    spec.bos_token_id = bos.front();
  if (fields.has("eos_token_id"))
    spec.eos_token_ids = fields.integers("eos_token_id", 0, kMostToken);
}

} // namespace

ModelSpec parse_config(const std::string &json, const std::string &origin) {
  return parse_config(ConfigFields(json, origin));
}

ModelSpec parse_config(const ConfigFields &fields) {
  ModelSpec spec;
  const Family &family = family_of(fields);
  spec.model_type = family.model_type;
  read_common(spec, fields);
  family.read_layers(spec, fields.integer("num_hidden_layers", 1, kMostLayers), fields);
  read_rope(spec, fields);
  read_quantization(spec, fields);
  read_token_ids(spec, fields);
  return spec;
}

void parse_generation_config(ModelSpec &spec, const std::string &json, const std::string &origin) {
  const ConfigFields fields(json, origin);
  read_token_ids(spec, fields);
  spec.do_sample = fields.boolean_or("do_sample", true);
  if (fields.has("temperature")) {
    spec.temperature = static_cast<float>(fields.number_or("temperature", 1));
    if (*spec.temperature < 0)
      fields.refuse("temperature", "a number of 0 or more");
  }
  if (fields.has("top_p")) {
    spec.top_p = static_cast<float>(fields.positive_or("top_p", 1));
    if (*spec.top_p > 1)
      fields.refuse("top_p", "a number from 0 to 1");
  }
  if (fields.has("min_p")) {
    spec.min_p = static_cast<float>(fields.number_or("min_p", 0));
    if (*spec.min_p < 0 || *spec.min_p > 1)
      fields.refuse("min_p", "a number from 0 to 1");
  }
  if (fields.has("top_k"))
    spec.top_k = fields.integer("top_k", 0, kMostToken);
}

} // namespace abyssal
