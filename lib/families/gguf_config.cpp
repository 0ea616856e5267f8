#include "families/gguf_config.h"

#include "base/status.h"
#include "families/config_fields.h"
#include "model/layers/gqa.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace abyssal {

namespace {

using Json = nlohmann::json;

constexpr std::array kArchitectures = {"deepseek2", "qwen2", "llama"};

// general.architecture, which is the first part of the other keys too.
std::string architecture_of(const GgufMetadata &metadata) {
  const auto name = metadata.text("general.architecture");
  if (!name)
    metadata.refuse("general.architecture", "every model has it");
  return std::string(*name);
}

// The value of a key as JSON; what cannot be one number or text is left for the check of the field to refuse.
Json json_of(const GgufMetadata &metadata, const std::string &key) {
  if (metadata.is_array(key))
    return Json::array();
  if (metadata.is_text(key))
    return std::string(*metadata.text(key));
  if (metadata.is_boolean(key))
    return *metadata.boolean(key);
  if (metadata.is_integer(key))
    return *metadata.integer(key);
  return *metadata.number(key);
}

// Collects the fields of a config.json, with the keys they come from.
class Translation {
public:
  Translation(const GgufMetadata &metadata, std::string prefix) : metadata_(metadata), prefix_(std::move(prefix)) {}

  std::string key(const std::string &name) const { return prefix_ + name; }
  bool has(const std::string &name) const { return metadata_.has(key(name)); }
  std::optional<std::int64_t> integer(const std::string &name) const { return metadata_.integer(key(name)); }
  std::optional<double> number(const std::string &name) const { return metadata_.number(key(name)); }
  std::string text_or(const std::string &name, const char *absent) const {
    return std::string(metadata_.text(key(name)).value_or(absent));
  }
  [[noreturn]] void refuse(const std::string &name, const std::string &reason) const {
    metadata_.refuse(key(name), reason);
  }
  [[noreturn]] void unsupported(const std::string &name, const std::string &reason) const {
    fail(ABY_ERROR_UNSUPPORTED, metadata_.path(), ": key ", key(name), ": ", reason);
  }

  // field = the key's value, if there is one.
  void copy(Json &to, const char *field, const std::string &name) {
    name_field(field, name);
    if (has(name))
      to[field] = json_of(metadata_, key(name));
  }
  void copy(const char *field, const std::string &name) { copy(fields_, field, name); }
  template <typename Value> void set(const char *field, Value &&value) { fields_[field] = std::forward<Value>(value); }
  void name_field(const char *field, const std::string &name) { written_[field] = "key " + key(name); }

  const GgufMetadata &metadata() const noexcept { return metadata_; }
  ConfigFields fields() const { return {fields_, metadata_.path(), written_}; }

private:
  const GgufMetadata &metadata_;
  std::string prefix_;
  Json fields_ = Json::object();
  ConfigFields::WrittenAs written_;
};

// Blocks without those of multi-token prediction, which are counted among them where a file has them. What makes no
// sense stays so, for the check of the field to refuse.
std::int64_t layers_of(const Translation &t) {
  constexpr std::int64_t kMost = std::int64_t{1} << 40; // so that the difference does not overflow
  const auto clamped = [&](const char *name) { return std::clamp(t.integer(name).value_or(0), -kMost, kMost); };
  return clamped("block_count") - clamped("nextn_predict_layers");
}

void copy_common(Translation &t, const TensorSource &source) {
  t.copy("max_position_embeddings", "context_length");
  t.copy("hidden_size", "embedding_length");
  t.copy("intermediate_size", "feed_forward_length");
  t.copy("num_hidden_layers", "block_count");
  t.copy("num_attention_heads", "attention.head_count");
  t.copy("rms_norm_eps", "attention.layer_norm_rms_epsilon");
  t.copy("rope_theta", "rope.freq_base");
  t.copy("vocab_size", "vocab_size");
  if (!t.has("attention.layer_norm_rms_epsilon"))
    t.refuse("attention.layer_norm_rms_epsilon", "expected a number above 0");
  if (t.integer("nextn_predict_layers").value_or(0) != 0) {
    t.set("num_hidden_layers", layers_of(t));
    t.name_field("num_hidden_layers", "block_count less " + t.key("nextn_predict_layers"));
  }
  const TensorView *embedding = source.find("model.embed_tokens.weight");
  if (!t.has("vocab_size") && embedding != nullptr)
    t.set("vocab_size", embedding->shape.front());
  t.set("tie_word_embeddings", source.find("lm_head.weight") == nullptr);
}

// In split files key_length and value_length are those of the latent attention, and the heads' own end on _mla.
void copy_mla(Translation &t) {
  const std::string key = t.has("attention.key_length_mla") ? "attention.key_length_mla" : "attention.key_length";
  const std::string value =
      t.has("attention.value_length_mla") ? "attention.value_length_mla" : "attention.value_length";
  t.copy("q_lora_rank", "attention.q_lora_rank");
  t.copy("kv_lora_rank", "attention.kv_lora_rank");
  t.copy("qk_rope_head_dim", "rope.dimension_count");
  t.copy("v_head_dim", value);
  t.name_field("qk_nope_head_dim", key + " less " + t.key("rope.dimension_count"));
  if (t.has(key) && t.has("rope.dimension_count")) {
    constexpr std::int64_t kMost = 1 << 20; // so that the difference does not overflow
    const std::int64_t head = std::clamp<std::int64_t>(*t.integer(key), 0, kMost);
    t.set("qk_nope_head_dim", head - std::clamp<std::int64_t>(*t.integer("rope.dimension_count"), 0, kMost));
  }
}

void copy_moe(Translation &t, const TensorSource &source) {
  t.copy("n_routed_experts", "expert_count");
  t.copy("n_shared_experts", "expert_shared_count");
  t.copy("num_experts_per_tok", "expert_used_count");
  t.copy("moe_intermediate_size", "expert_feed_forward_length");
  t.copy("first_k_dense_replace", "leading_dense_block_count");
  if (t.number("expert_weights_scale").value_or(0) != 0)
    t.copy("routed_scaling_factor", "expert_weights_scale");
  t.set("norm_topk_prob", false);
  t.copy("norm_topk_prob", "expert_weights_norm");
  const std::int64_t gating = t.integer("expert_gating_func").value_or(0);
  if (gating < 0 || gating > 2)
    t.unsupported("expert_gating_func",
                  concat("number ", gating, " is not supported; supported are 1 (softmax) and 2 (sigmoid)"));
  t.set("scoring_func", gating == 2 ? "sigmoid" : "softmax");
  t.set("model_type", gating == 2 ? "deepseek_v3" : "deepseek_v2");

  const bool grouped = t.integer("expert_group_count").value_or(0) > 1;
  if (grouped) {
    t.copy("n_group", "expert_group_count");
    t.copy("topk_group", "expert_group_used_count");
  }
  // The bias of the selection is in every layer with experts; the last one has them.
  const std::string last = "model.layers." + std::to_string(layers_of(t) - 1) + ".mlp.gate.e_score_correction_bias";
  const bool biased = source.find(last) != nullptr;
  t.set("topk_method", biased ? "noaux_tc" : grouped ? "group_limited_greedy" : "greedy");
}

void copy_gqa(Translation &t, const std::string &architecture) {
  t.set("model_type", architecture);
  t.copy("num_key_value_heads", "attention.head_count_kv");
  t.copy("head_dim", "attention.key_length");
  for (const char *name : {"expert_count", "attention.sliding_window"}) {
    if (t.has(name) && t.integer(name) != 0)
      t.unsupported(name, concat("models of architecture \"", architecture, "\" with it are not supported"));
  }
}

// The scaling of frequencies. Absent numbers of YaRN are those of its paper. In deepseek2 the multiplier is 0.1 *
// mscale_all_dim, and mscale is the same, so that cos and sin are not scaled; elsewhere the defaults of a config.json.
void copy_rope_scaling(Translation &t, bool mla) {
  const std::string type = t.text_or("rope.scaling.type", "none");
  Json scaling = Json::object();
  if (type == "none") {
    if (t.number("rope.scale_linear").value_or(1) == 1) // an old key
      return;
    scaling["type"] = "linear";
    t.copy(scaling, "factor", "rope.scale_linear");
  } else {
    scaling["type"] = type;
    t.copy(scaling, "factor", "rope.scaling.factor");
  }
  t.copy(scaling, "original_max_position_embeddings", "rope.scaling.original_context_length");
  t.copy(scaling, "beta_fast", "rope.scaling.yarn_beta_fast");
  t.copy(scaling, "beta_slow", "rope.scaling.yarn_beta_slow");
  if (type == "yarn" && !t.has("rope.scaling.factor"))
    t.refuse("rope.scaling.factor", "YaRN needs it");
  if (mla) {
    const double multiplier = t.number("rope.scaling.yarn_log_multiplier").value_or(0);
    t.name_field("mscale", "rope.scaling.yarn_log_multiplier, times 10,");
    scaling["mscale"] = scaling["mscale_all_dim"] = multiplier * 10;
  }
  for (const char *name :
       {"rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor", "rope.scaling.yarn_ext_factor"}) {
    if (t.number(name).value_or(1) != 1)
      t.unsupported(name, "values other than 1 are not supported");
  }
  t.set("rope_scaling", std::move(scaling));
}

void copy_token_ids(Translation &t) {
  const GgufMetadata &metadata = t.metadata();
  if (const auto bos = metadata.integer("tokenizer.ggml.bos_token_id"))
    t.set("bos_token_id", *bos);
  Json ends = Json::array();
  for (const char *key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    if (const auto end = metadata.integer(key); end && std::find(ends.begin(), ends.end(), *end) == ends.end())
      ends.push_back(*end);
  }
  if (!ends.empty())
    t.set("eos_token_id", std::move(ends));
}

// Heads have to be what the tensors' rotation takes them for.
void check_gqa(const GqaSpec &gqa, const Translation &t) {
  for (const char *name : {"attention.value_length", "rope.dimension_count"}) {
    if (const auto size = t.integer(name); size && *size != gqa.head_dim)
      t.unsupported(name,
                    concat("is ", *size, "; supported are heads whose keys, values and rotation have one size, here ",
                           gqa.head_dim));
  }
}

// Which biases there are is known by the tensors.
void settle_gqa(ModelSpec &spec, const Translation &t, const TensorSource &source) {
  auto gqa = std::make_shared<GqaSpec>(dynamic_cast<const GqaSpec &>(spec.attention()));
  check_gqa(*gqa, t);
  gqa->qkv_bias = source.find("model.layers.0.self_attn.q_proj.bias") != nullptr;
  gqa->o_bias = source.find("model.layers.0.self_attn.o_proj.bias") != nullptr;
  for (LayerSpec &layer : spec.layers)
    layer.attention = gqa;
}

// What the published checkpoints have as rope_type llama3 is a tensor here.
void read_divisors(ModelSpec &spec, const TensorSource &source, const GgufMetadata &metadata) {
  const std::string name = "rope_freqs.weight";
  const TensorView *view = source.find(name);
  if (view == nullptr)
    return;
  const std::vector<std::int64_t> shape = {spec.rope.dim / 2};
  if (view->dtype != ABY_DTYPE_F32 || view->shape != shape || !source.stays_in_place(name))
    fail(ABY_ERROR_FORMAT, metadata.path(), ": tensor ", name, " (", source.origin(name), ") is ",
         dtype_name(view->dtype), " ", shape_text(view->shape), "; expected f32 ", shape_text(shape));
  for (std::size_t i = 0; i < static_cast<std::size_t>(shape[0]); ++i) {
    const float divisor = load_as_float(view->data, view->dtype, i);
    if (!std::isfinite(divisor) || divisor <= 0)
      fail(ABY_ERROR_FORMAT, metadata.path(), ": tensor ", name, " (", source.origin(name), "): element ", i, " is ",
           divisor, "; expected a number above 0");
    spec.rope.frequency_divisors.push_back(divisor);
  }
}

void read_sampling(ModelSpec &spec, const GgufMetadata &metadata) {
  Json sampling = Json::object();
  constexpr std::array<std::array<const char *, 2>, 4> kKeys = {{{"temperature", "general.sampling.temp"},
                                                                 {"top_p", "general.sampling.top_p"},
                                                                 {"min_p", "general.sampling.min_p"},
                                                                 {"top_k", "general.sampling.top_k"}}};
  for (const auto &[field, key] : kKeys) {
    if (metadata.has(key))
      sampling[field] = json_of(metadata, key);
  }
  if (!sampling.empty())
    parse_generation_config(spec, sampling.dump(), metadata.path() + ": general.sampling");
}

} // namespace

void check_gguf_architecture(const GgufMetadata &metadata) {
  const std::string architecture = architecture_of(metadata);
  if (std::find(kArchitectures.begin(), kArchitectures.end(), architecture) != kArchitectures.end())
    return;
  std::string known;
  for (const char *name : kArchitectures)
    known += (known.empty() ? "" : ", ") + std::string(name);
  fail(ABY_ERROR_UNSUPPORTED, metadata.path(), ": architecture \"", architecture,
       "\" is not supported; supported are: ", known);
}

ModelSpec parse_gguf_config(const GgufMetadata &metadata, const TensorSource &source) {
  check_gguf_architecture(metadata);
  const std::string architecture = architecture_of(metadata);
  const bool mla = architecture == "deepseek2";
  Translation t(metadata, architecture + ".");
  copy_common(t, source);
  if (mla) {
    copy_mla(t);
    copy_moe(t, source);
  } else {
    copy_gqa(t, architecture);
  }
  copy_rope_scaling(t, mla);
  copy_token_ids(t);
  ModelSpec spec = parse_config(t.fields());
  if (!mla)
    settle_gqa(spec, t, source);
  if (architecture == "llama")
    read_divisors(spec, source, metadata);
  read_sampling(spec, metadata);
  return spec;
}

} // namespace abyssal
