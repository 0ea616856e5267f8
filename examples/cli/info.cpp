// info: what a model is. plan: what it needs, before any weight is read. devices: what it can run on.
#include "commands.h"
#include "model_options.h"
#include "terminal.h"

#include <algorithm>
#include <cstdio>
#include <memory>

namespace cli {

namespace {

using Json = nlohmann::ordered_json;

void line(const char *name, const std::string &value) {
  std::string text(name);
  text.resize(16, ' ');
  print(text + value + "\n");
}

// Why texts do not become tokens; "" when they do.
std::string text_error(const abyssal::model &model) {
  try {
    (void)model.tokenize("");
    return "";
  } catch (const abyssal::error &error) {
    return error.what();
  }
}

std::string text_line(const aby_model_info &info, const std::string &error) {
  if (info.has_tokenizer == 0)
    return error;
  return std::string("tokenizer, ") + (info.has_chat_template != 0 ? "chat template" : "no chat template") +
         (info.reasons != 0 ? ", reasons" : "");
}

Json info_json(const std::string &path, const aby_model_info &info, const aby_device_info &device,
               const std::string &error) {
  return {{"path", path},
          {"architecture", info.architecture},
          {"attention", info.attention},
          {"weight_types", info.weight_types},
          {"weight_layouts", info.weight_layouts},
          {"arithmetic", dtype_name(info.arithmetic)},
          {"packed_cache", info.packed_cache != 0},
          {"layers", info.layers},
          {"hidden_size", info.hidden_size},
          {"vocab_size", info.vocab_size},
          {"heads", info.heads},
          {"kv_heads", info.kv_heads},
          {"kv_lora_rank", info.kv_lora_rank},
          {"rope_dim", info.rope_dim},
          {"experts", info.experts},
          {"top_k", info.top_k},
          {"context_length", info.context_length},
          {"mtp_layers", info.mtp_layers},
          {"bos_token", info.bos_token},
          {"has_tokenizer", info.has_tokenizer != 0},
          {"text_error", error},
          {"has_chat_template", info.has_chat_template != 0},
          {"reasons", info.reasons != 0},
          {"tools", info.tools != 0},
          {"parameters", info.parameters},
          {"active_parameters", info.active_parameters},
          {"file_bytes", info.file_bytes},
          {"weight_bytes", info.weight_bytes},
          {"mapped_bytes", info.mapped_bytes},
          {"activations", dtype_name(info.activations)},
          {"cache_dtype", dtype_name(info.cache_dtype)},
          {"cache_tokens", info.cache_tokens},
          {"cache_bytes_per_token", info.cache_bytes_per_token},
          {"backend", device.backend},
          {"device", device.name},
          {"isa", device.isa},
          {"threads", device.threads}};
}

void print_info(const std::string &path, const aby_model_info &info, const aby_device_info &device,
                const std::string &error) {
  const auto number = [](std::uint64_t value) { return std::to_string(value); };
  line("model", path);
  line("architecture", info.architecture);
  line("parameters", count_text(info.parameters) + ", " + count_text(info.active_parameters) + " active per token");
  line("layers", number(info.layers) + (info.mtp_layers > 0 ? " and an MTP layer" : ""));
  line("hidden", number(info.hidden_size) + ", vocabulary " + number(info.vocab_size));
  if (info.kv_lora_rank > 0)
    line("attention",
         "MLA, " + number(info.heads) + " heads, latent " + number(info.kv_lora_rank) + " + " + number(info.rope_dim));
  else
    line("attention", "GQA, " + number(info.heads) + " heads, " + number(info.kv_heads) + " key-value heads");
  if (info.experts > 0)
    line("experts", number(info.experts) + ", " + number(info.top_k) + " per token");
  line("context", number(info.context_length));
  line("weights", bytes_text(info.weight_bytes) + " as " + info.weight_types + ", " + bytes_text(info.mapped_bytes) +
                      " of it mapped" + (info.packed_cache != 0 ? ", with a packed cache" : ""));
  if (info.weight_layouts[0] != '\0')
    line("kept", info.weight_layouts);
  line("products", std::string("activations in ") + dtype_name(info.activations) + ", with quantised weights in " +
                       dtype_name(info.arithmetic));
  line("cache", bytes_text(info.cache_bytes_per_token) + " a token in " + dtype_name(info.cache_dtype) +
                    ", room for up to " + number(info.cache_tokens));
  line("text", text_line(info, error));
  line("device", std::string(device.name) + ", backend " + device.backend + ", " + number(device.threads) + " threads" +
                     (device.isa[0] != '\0' ? std::string(", ") + device.isa : ""));
}

} // namespace

Command add_info(CLI::App &app) {
  CLI::App *command = app.add_subcommand("info", "What a model is, and how it is held in memory");
  const auto model = std::make_shared<ModelOptions>();
  const auto json = std::make_shared<bool>(false);
  model->add(*command, true);
  command->add_flag("--json", *json, "print one JSON object");
  return [=] {
    const abyssal::model opened = model->open();
    const abyssal::device device = opened.device();
    if (*json)
      print_json(info_json(model->path(), opened.info(), device.info(), text_error(opened)));
    else
      print_info(model->path(), opened.info(), device.info(), text_error(opened));
    return kOk;
  };
}

Command add_plan(CLI::App &app) {
  CLI::App *command = app.add_subcommand("plan", "What memory a model needs, before any weight is read");
  const auto model = std::make_shared<ModelOptions>();
  const auto json = std::make_shared<bool>(false);
  model->add(*command, true);
  command->add_flag("--json", *json, "print one JSON object");
  return [=] {
    const aby_model_plan plan = abyssal::model::plan(model->path(), model->options());
    if (*json) {
      print_json(Json{{"path", model->path()},
                      {"layers", plan.layers},
                      {"parameters", plan.parameters},
                      {"active_parameters", plan.active_parameters},
                      {"file_bytes", plan.file_bytes},
                      {"weight_bytes", plan.weight_bytes},
                      {"mapped_bytes", plan.mapped_bytes},
                      {"cache_bytes_per_token", plan.cache_bytes_per_token},
                      {"cache_tokens", plan.cache_tokens},
                      {"cache_bytes", plan.cache_bytes},
                      {"scratch_bytes", plan.scratch_bytes},
                      {"total_bytes", plan.total_bytes}});
      return kOk;
    }
    line("parameters", count_text(plan.parameters) + ", " + count_text(plan.active_parameters) + " active per token");
    line("weights",
         bytes_text(plan.weight_bytes) + ", " + bytes_text(plan.mapped_bytes) + " of it in the mapped files");
    line("cache", "up to " + bytes_text(plan.cache_bytes) + ": " + std::to_string(plan.cache_tokens) + " tokens of " +
                      bytes_text(plan.cache_bytes_per_token));
    line("scratch", bytes_text(plan.scratch_bytes));
    line("total", "up to " + bytes_text(plan.total_bytes));
    return kOk;
  };
}

Command add_devices(CLI::App &app) {
  app.add_subcommand("devices", "The backends in the library, best first, and their devices");
  return [] {
    for (const aby_backend_info &backend : abyssal::backends()) {
      for (std::uint32_t i = 0; i < backend.device_count; ++i) {
        aby_device_options options = abyssal::default_device_options();
        options.backend = backend.name;
        options.index = i;
        const abyssal::device device(options);
        const aby_device_info info = device.info();
        line(backend.name, std::string(info.name) + ", " + std::to_string(info.threads) + " threads" +
                               (info.isa[0] != '\0' ? std::string(", ") + info.isa : ""));
      }
      if (backend.device_count == 0)
        line(backend.name, "no device on this machine");
    }
    return kOk;
  };
}

} // namespace cli
