#include "api/boundary.h"
#include "api/handles.h"

#include "weights/memory_source.h"

using namespace abyssal;
using namespace abyssal::api;

namespace {

aby_model_options default_model_options() noexcept {
  aby_model_options options{};
  options.activations = ABY_DTYPE_AUTO;
  options.cache_dtype = ABY_DTYPE_AUTO;
  return options;
}

aby_dtype check_activations(aby_dtype dtype) {
  if (dtype != ABY_DTYPE_AUTO && dtype != ABY_DTYPE_F32 && dtype != ABY_DTYPE_BF16)
    fail(ABY_ERROR_UNSUPPORTED, "activations is ", dtype_name(dtype), "; expected f32 or bf16");
  return dtype;
}

aby_dtype check_cache_dtype(aby_dtype dtype) {
  if (dtype != ABY_DTYPE_AUTO && dtype != ABY_DTYPE_F32 && dtype != ABY_DTYPE_BF16 && dtype != ABY_DTYPE_I8)
    fail(ABY_ERROR_UNSUPPORTED, "cache_dtype is ", dtype_name(dtype), "; expected f32, bf16 or i8");
  return dtype;
}

// The form of attention as the sequences with fewer new tokens than this that run absorbed.
std::uint32_t absorb_below_of(const aby_model_options &given) {
  if (given.attention != ABY_ATTENTION_AUTO && given.absorb_below != 0)
    fail(ABY_ERROR_INVALID_ARGUMENT, "absorb_below is ", given.absorb_below, " and attention is ", given.attention,
         "; absorb_below is for attention AUTO");
  switch (given.attention) {
  case ABY_ATTENTION_AUTO:
    return given.absorb_below != 0 ? given.absorb_below : 128;
  case ABY_ATTENTION_ABSORBED:
    return UINT32_MAX;
  case ABY_ATTENTION_EXPANDED:
    return 1;
  default:
    fail(ABY_ERROR_INVALID_ARGUMENT, "attention is ", given.attention, "; expected AUTO, ABSORBED or EXPANDED");
  }
}

ModelOptions model_options(const aby_model_options *raw_options) {
  const auto given = read_struct(raw_options, default_model_options(), "aby_model_options");
  ModelOptions options;
  if (given.device != nullptr)
    options.device = given.device->device;
  options.device_options = {given.backend != nullptr ? given.backend : "", 0, given.threads};
  options.activations = check_activations(given.activations);
  options.cache_dtype = check_cache_dtype(given.cache_dtype);
  options.cache_tokens = given.cache_tokens;
  options.absorb_below = absorb_below_of(given);
  options.mtp = given.mtp != 0;
  options.tokenizer = given.tokenizer != nullptr ? given.tokenizer : "";
  if (given.progress != nullptr)
    options.progress = [progress = given.progress,
                        context = given.progress_context](aby_stage stage, std::uint64_t done, std::uint64_t total) {
      return progress(context, stage, done, total) == 0;
    };
  return options;
}

aby_model_plan plan_struct(const ModelPlan &plan, std::int32_t layers) {
  aby_model_plan out{};
  out.struct_size = sizeof out;
  out.layers = static_cast<std::uint32_t>(layers);
  out.parameters = plan.totals.parameters;
  out.active_parameters = plan.active_parameters;
  out.file_bytes = plan.totals.file_bytes;
  out.weight_bytes = plan.totals.weight_bytes;
  out.mapped_bytes = plan.totals.mapped_bytes;
  out.cache_bytes_per_token = plan.cache_bytes_per_token;
  out.cache_tokens = plan.cache_tokens;
  out.cache_bytes = plan.cache_bytes_per_token * plan.cache_tokens;
  out.scratch_bytes = plan.scratch_bytes;
  out.total_bytes = out.weight_bytes + out.cache_bytes + out.scratch_bytes;
  return out;
}

std::string type_names(const std::set<aby_dtype> &dtypes) {
  std::string names;
  for (const aby_dtype dtype : dtypes)
    names += (names.empty() ? "" : " ") + std::string(dtype_name(dtype));
  return names;
}

aby_model *make_handle(std::shared_ptr<LoadedModel> model) {
  auto handle = std::make_unique<aby_model>();
  handle->weight_types = type_names(model->plan().totals.dtypes);
  handle->model = std::move(model);
  return handle.release();
}

aby_model_info info_struct(const aby_model &handle) {
  LoadedModel &model = *handle.model;
  const ModelConfig &c = model.config();
  const TextParts &text = model.text();
  const auto u32 = [](std::int32_t value) { return static_cast<std::uint32_t>(value); };
  const bool mla = c.attention == Attention::kMla;
  aby_model_info info{};
  info.layers = u32(c.num_hidden_layers);
  info.architecture = c.model_type.c_str();
  info.attention = mla ? "mla" : "gqa";
  info.weight_types = handle.weight_types.c_str();
  info.hidden_size = u32(c.hidden_size);
  info.vocab_size = u32(c.vocab_size);
  info.heads = u32(c.num_attention_heads);
  info.kv_heads = mla ? 0 : u32(c.num_key_value_heads);
  info.kv_lora_rank = mla ? u32(c.kv_lora_rank) : 0;
  info.rope_dim = u32(model.rope().dim());
  info.experts = u32(c.n_routed_experts);
  info.top_k = u32(c.num_experts_per_tok);
  info.context_length = u32(c.max_position_embeddings);
  info.mtp_layers = model.mtp() ? 1 : 0;
  info.bos_token = c.bos_token_id;
  if (text.tokenizer && text.tokenizer->bos_token())
    info.bos_token = *text.tokenizer->bos_token();
  info.has_tokenizer = text.tokenizer ? 1 : 0;
  info.has_chat_template = text.chat_template ? 1 : 0;
  info.reasons = text.tokenizer && text.tokenizer->token_id("<think>") && text.tokenizer->token_id("</think>") ? 1 : 0;
  info.activations = model.activations();
  info.cache_dtype = model.cache().dtype();
  const ModelPlan &plan = model.plan();
  info.parameters = plan.totals.parameters;
  info.active_parameters = plan.active_parameters;
  info.file_bytes = plan.totals.file_bytes;
  info.weight_bytes = plan.totals.weight_bytes;
  info.mapped_bytes = plan.totals.mapped_bytes;
  info.cache_bytes_per_token = plan.cache_bytes_per_token;
  info.cache_tokens = plan.cache_tokens;
  return info;
}

} // namespace

extern "C" {

aby_status aby_model_options_init(aby_model_options *out, size_t struct_size) {
  return init_struct(out, struct_size, default_model_options(), "aby_model_options");
}

aby_status aby_model_plan_init(aby_model_plan *out, size_t struct_size) {
  return init_struct(out, struct_size, aby_model_plan{}, "aby_model_plan");
}

aby_status aby_model_plan_get(aby_model_plan *out, const char *path, const aby_model_options *options) {
  return guard([&] {
    require(out, "out");
    require(path, "path");
    ModelConfig config;
    const ModelPlan plan = LoadedModel::plan(path, model_options(options), config);
    fill_struct(out, plan_struct(plan, config.num_hidden_layers), "aby_model_plan");
  });
}

aby_status aby_model_open(aby_model **out, const char *path, const aby_model_options *options) {
  return guard([&] {
    require(out, "out");
    require(path, "path");
    *out = make_handle(LoadedModel::open(path, model_options(options)));
  });
}

aby_status aby_model_open_tensors(aby_model **out, const char *config_json, const aby_tensor *const *tensors,
                                  size_t count, const aby_model_options *options) {
  return guard([&] {
    require(out, "out");
    require(config_json, "config_json");
    if (count > 0)
      require(tensors, "tensors");
    *out =
        make_handle(LoadedModel::open_tensors(config_json, make_memory_source(tensors, count), model_options(options)));
  });
}

aby_status aby_model_update(aby_model *model, const aby_tensor *const *tensors, size_t count) {
  return guard([&] {
    require(model, "model");
    if (count > 0)
      require(tensors, "tensors");
    model->model->update(make_memory_source(tensors, count));
  });
}

aby_status aby_model_info_init(aby_model_info *out, size_t struct_size) {
  return init_struct(out, struct_size, aby_model_info{}, "aby_model_info");
}

aby_status aby_model_info_get(aby_model_info *out, const aby_model *model) {
  return guard([&] {
    require(model, "model");
    fill_struct(out, info_struct(*model), "aby_model_info");
  });
}

aby_status aby_model_eos_tokens(int32_t *out, size_t capacity, size_t *out_count, const aby_model *model) {
  return guard([&] {
    require(model, "model");
    const auto &ids = model->model->config().eos_token_ids;
    write_array(out, capacity, out_count, ids.data(), ids.size());
  });
}

aby_status aby_model_device(aby_device **out, const aby_model *model) {
  return guard([&] {
    require(out, "out");
    require(model, "model");
    auto handle = std::make_unique<aby_device>();
    handle->device = model->model->device();
    handle->info = handle->device->info();
    *out = handle.release();
  });
}

void aby_model_destroy(aby_model *model) { delete model; }

} // extern "C"
