#include "api/boundary.h"
#include "api/handles.h"

#include "base/cancel_flag.h"
#include "load/quantise_checkpoint.h"
#include "weights/memory_source.h"

#include <cstdio>

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
  if (dtype != ABY_DTYPE_I8 && dtype != ABY_DTYPE_I16 && dtype != ABY_DTYPE_AUTO && dtype != ABY_DTYPE_F32 &&
      dtype != ABY_DTYPE_BF16)
    fail(ABY_ERROR_UNSUPPORTED, "activations is ", dtype_name(dtype), "; expected f32, bf16, i8 or i16");
  return dtype;
}

aby_weights_kind check_weights(aby_weights_kind weights) {
  if (weights < ABY_WEIGHTS_STORED || weights > ABY_WEIGHTS_INT4)
    fail(ABY_ERROR_INVALID_ARGUMENT, "weights is ", weights, "; expected ABY_WEIGHTS_STORED, _INT8 or _INT4");
  return weights;
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
  options.weights = check_weights(given.weights);
  options.cache_dtype = check_cache_dtype(given.cache_dtype);
  options.cache_tokens = given.cache_tokens;
  options.absorb_below = absorb_below_of(given);
  options.mtp = given.mtp != 0;
  if (given.packed_cache != nullptr)
    options.packed_cache.folder = given.packed_cache;
  options.packed_cache.check = given.packed_cache_check != 0;
  if (given.warning != nullptr)
    options.packed_cache.warning = [warning = given.warning, context = given.warning_context](const std::string &text) {
      warning(context, text.c_str());
    };
  options.tokenizer = given.tokenizer != nullptr ? given.tokenizer : "";
  options.progress = [progress = given.progress, context = given.progress_context,
                      cancel = given.cancel](aby_stage stage, std::uint64_t done, std::uint64_t total) {
    return !is_set(cancel) && (progress == nullptr || progress(context, stage, done, total) == 0) && !is_set(cancel);
  };
  return options;
}

std::vector<aby_tensor> read_tensors(const aby_tensor *const *tensors, std::size_t count) {
  if (count > 0)
    require(tensors, "tensors");
  std::vector<aby_tensor> read;
  read.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = concat("tensor ", i);
    require(tensors[i], name.c_str());
    read.push_back(read_struct(tensors[i], aby_tensor{}, name.c_str()));
  }
  return read;
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

// Such as "q2_k as q4_g16_bias (2.62 to 8.00 bits), q4_0 as q4 (4.50 bits)": bits a weight, as stored and in memory.
std::string layout_names(const WeightTotals &totals) {
  std::string names;
  for (const auto &[key, layout] : totals.layouts) {
    const auto bits = [&](std::uint64_t bytes) {
      char text[32];
      std::snprintf(text, sizeof text, "%.2f", 8 * static_cast<double>(bytes) / static_cast<double>(layout.elements));
      return std::string(text);
    };
    const std::string stored = bits(layout.stored_bytes), kept = bits(layout.kept_bytes);
    names += (names.empty() ? "" : ", ") + std::string(dtype_name(key.first)) + " as " + key.second + " (" + stored +
             (kept == stored ? "" : " to " + kept) + " bits)";
  }
  return names;
}

aby_model *make_handle(std::shared_ptr<LoadedModel> model) {
  auto handle = std::make_unique<aby_model>();
  handle->weight_types = type_names(model->plan().totals.dtypes);
  handle->weight_layouts = layout_names(model->plan().totals);
  handle->model = std::move(model);
  return handle.release();
}

aby_model_info info_struct(const aby_model &handle) {
  LoadedModel &model = *handle.model;
  const ModelSpec &spec = model.spec();
  const AttentionInfo attention = spec.attention().info();
  const RoutedExperts routed = spec.routed();
  const TextParts &text = model.text();
  const auto u32 = [](std::int32_t value) { return static_cast<std::uint32_t>(value); };
  aby_model_info info{};
  info.layers = u32(spec.layer_count());
  info.architecture = spec.model_type.c_str();
  info.attention = attention.name;
  info.weight_types = handle.weight_types.c_str();
  info.hidden_size = u32(spec.hidden_size);
  info.vocab_size = u32(spec.vocab_size);
  info.heads = u32(attention.heads);
  info.kv_heads = u32(attention.kv_heads);
  info.kv_lora_rank = u32(attention.kv_lora_rank);
  info.rope_dim = u32(model.rope().dim());
  info.experts = u32(routed.experts);
  info.top_k = u32(routed.top_k);
  info.context_length = u32(spec.max_position_embeddings);
  info.mtp_layers = model.mtp() ? 1 : 0;
  info.bos_token = spec.bos_token_id;
  if (text.tokenizer && text.tokenizer->bos_token())
    info.bos_token = *text.tokenizer->bos_token();
  info.has_tokenizer = text.tokenizer ? 1 : 0;
  info.has_chat_template = text.chat_template ? 1 : 0;
  info.reasons = text.tokenizer && text.tokenizer->token_id("<think>") && text.tokenizer->token_id("</think>") ? 1 : 0;
  info.activations = model.activations();
  info.cache_dtype = model.cache().dtype();
  info.arithmetic = model.arithmetic().quantised;
  info.packed_cache = model.from_packed_cache() ? 1 : 0;
  info.tools = text.chat_template && text.chat_template->takes_tools() ? 1 : 0;
  const ModelPlan &plan = model.plan();
  info.parameters = plan.totals.parameters;
  info.active_parameters = plan.active_parameters;
  info.file_bytes = plan.totals.file_bytes;
  info.weight_bytes = plan.totals.weight_bytes;
  info.mapped_bytes = plan.totals.mapped_bytes;
  info.cache_bytes_per_token = plan.cache_bytes_per_token;
  info.cache_tokens = plan.cache_tokens;
  info.weight_layouts = handle.weight_layouts.c_str();
  return info;
}

} // namespace

extern "C" {

aby_status aby_model_options_init(aby_model_options *out, size_t struct_size) {
  return init_struct(out, struct_size, default_model_options(), "aby_model_options");
}

aby_status aby_model_plan_get(aby_model_plan *out, size_t struct_size, const char *path,
                              const aby_model_options *options) {
  return guard([&] {
    check_out(out, struct_size, "aby_model_plan");
    require(path, "path");
    ModelSpec spec;
    const ModelPlan plan = LoadedModel::plan(path, model_options(options), spec);
    fill_struct(out, struct_size, plan_struct(plan, spec.layer_count()), "aby_model_plan");
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
    *out = make_handle(LoadedModel::open_tensors(config_json, make_memory_source(read_tensors(tensors, count)),
                                                 model_options(options)));
  });
}

aby_status aby_model_update(aby_model *model, const aby_tensor *const *tensors, size_t count) {
  return guard([&] {
    require(model, "model");
    model->model->update(make_memory_source(read_tensors(tensors, count)));
  });
}

aby_status aby_model_quantize(const char *path, const char *out_path, const aby_model_options *options) {
  return guard([&] {
    require(path, "path");
    require(out_path, "out_path");
    quantise_checkpoint(path, out_path, model_options(options));
  });
}

aby_status aby_model_info_get(aby_model_info *out, size_t struct_size, const aby_model *model) {
  return guard([&] {
    require(model, "model");
    fill_struct(out, struct_size, info_struct(*model), "aby_model_info");
  });
}

aby_status aby_model_eos_tokens(int32_t *out, size_t capacity, size_t *out_count, const aby_model *model) {
  return guard([&] {
    require(model, "model");
    const auto &ids = model->model->spec().eos_token_ids;
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

aby_status aby_model_profile(aby_model *model, uint32_t on) {
  return guard([&] {
    require(model, "model");
    model->model->profile(on != 0);
  });
}

aby_status aby_model_profile_count(size_t *out, const aby_model *model) {
  return guard([&] {
    require(out, "out");
    require(model, "model");
    *out = kParts;
  });
}

aby_status aby_model_profile_get(aby_profile_part *out, size_t struct_size, const aby_model *model, size_t index) {
  return guard([&] {
    require(model, "model");
    if (index >= kParts)
      fail(ABY_ERROR_NOT_FOUND, "profile part ", index, ": there are ", kParts);
    const auto part = static_cast<Part>(index);
    const PartTotals totals = model->model->profile().totals(part);
    aby_profile_part value{};
    value.name = part_name(part);
    value.calls = totals.calls;
    value.seconds = totals.seconds;
    value.flops = totals.flops;
    value.bytes = totals.bytes;
    fill_struct(out, struct_size, value, "aby_profile_part");
  });
}

void aby_model_destroy(aby_model *model) { delete model; }

} // extern "C"
