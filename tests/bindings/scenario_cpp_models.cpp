// The library, devices, models and text.
#include "scenario_cpp.h"

#include <utility>

namespace {

struct Tensor {
  std::string name;
  Floats data;
  Integers shape;
};
std::vector<Tensor> tensors;

const std::vector<std::string> kDtypes{"auto", "f32", "f16", "bf16", "f8_e4m3", "f8_e8m0", "i8", "u8", "i32", "i64"};

aby_dtype dtype(const step &s, const char *name) {
  return step_find(&s, name) == nullptr ? ABY_DTYPE_AUTO : place(kDtypes, text(s, name));
}

// The device's handle, which the caller holds, is in the options.
aby_model_options model_options(const step &s, std::shared_ptr<aby_device> &held) {
  aby_model_options options = abyssal::default_model_options();
  if (step_find(&s, "device") != nullptr)
    held = device_of(s).get();
  options.device = held.get();
  options.backend = step_text(&s, "backend");
  options.threads = number<std::uint32_t>(s, "threads", 1);
  options.activations = dtype(s, "activations");
  options.cache_dtype = dtype(s, "cache_dtype");
  options.cache_tokens = number<std::uint64_t>(s, "cache_tokens");
  options.absorb_below = number<std::uint32_t>(s, "absorb_below");
  options.mtp = number<std::uint32_t>(s, "mtp");
  options.tokenizer = step_text(&s, "tokenizer");
  return options;
}

struct Progress {
  bool cancel = false;
  aby_stage stage = -1;
  std::uint64_t done = 0, total = 0;

  static std::int32_t tell(void *context, aby_stage stage, std::uint64_t done, std::uint64_t total) {
    auto *seen = static_cast<Progress *>(context);
    *seen = {seen->cancel, stage, done, total};
    return seen->cancel ? 1 : 0;
  }
};

template <typename Make> void open_with(const step &s, Make &&make) {
  std::shared_ptr<aby_device> held;
  aby_model_options options = model_options(s, held);
  Progress seen;
  if (step_find(&s, "progress") != nullptr) {
    seen.cancel = text(s, "progress") == "cancel";
    options.progress = &Progress::tell;
    options.progress_context = &seen;
  }
  models.insert_or_assign(number(s, "model"), make(options));
  if (options.progress == nullptr)
    say(s, "opened");
  else
    say(s, "opened progress", seen.stage == ABY_STAGE_WEIGHTS ? "weights" : "read", int{seen.done == seen.total});
}

// Gives the tensors gathered to a call.
template <typename Call> void with_tensors(Call &&call) {
  const std::vector<Tensor> given = std::exchange(tensors, {});
  std::vector<aby_tensor> raw;
  std::vector<const aby_tensor *> pointers;
  for (const Tensor &one : given) {
    aby_tensor made = abyssal::default_tensor();
    made.name = one.name.c_str();
    made.dtype = ABY_DTYPE_F32;
    made.data = one.data.data();
    made.bytes = one.data.size() * sizeof(float);
    made.rank = static_cast<std::uint32_t>(one.shape.size());
    std::copy(one.shape.begin(), one.shape.end(), made.shape);
    raw.push_back(made);
  }
  for (const aby_tensor &one : raw)
    pointers.push_back(&one);
  call(pointers);
}

} // namespace

void version(const step &s) { say(s, "version", abyssal::version()); }

void backends(const step &s) {
  for (const aby_backend_info &info : abyssal::backends())
    say(s, "backend", info.name, info.device_count);
}

void device(const step &s) {
  aby_device_options options = abyssal::default_device_options();
  options.backend = step_text(&s, "backend");
  options.threads = number<std::uint32_t>(s, "threads", 1);
  options.index = number<std::uint32_t>(s, "index");
  const abyssal::device made(options);
  devices.insert_or_assign(number(s, "device"), made);
  const aby_device_info info = made.info();
  say(s, "device", info.backend, info.threads);
  say(s, "local device", Quoted{info.name}, Quoted{info.isa}, info.memory_bytes);
}

void plan(const step &s) {
  std::shared_ptr<aby_device> held;
  const aby_model_plan p = abyssal::model::plan(text(s, "path"), model_options(s, held));
  say(s, "plan", p.layers, p.parameters, p.active_parameters, p.file_bytes);
  say(s, "cache", p.cache_bytes_per_token, p.cache_tokens, p.cache_bytes);
  say(s, "local memory", p.weight_bytes, p.mapped_bytes, p.scratch_bytes, p.total_bytes);
}

void open_model(const step &s) {
  open_with(s, [&](const aby_model_options &options) { return abyssal::model(text(s, "path"), options); });
}

void tensor(const step &s) { tensors.push_back({text(s, "name"), floats(s, "data"), integers(s, "shape")}); }

void open_tensors(const step &s) {
  with_tensors([&](const std::vector<const aby_tensor *> &given) {
    open_with(s, [&](const aby_model_options &options) { return abyssal::model(text(s, "config"), given, options); });
  });
}

void update(const step &s) {
  with_tensors([&](const std::vector<const aby_tensor *> &given) { model_of(s).update(given); });
  say(s, "updated");
}

void info(const step &s) {
  const aby_model_info i = model_of(s).info();
  say(s, "model", i.architecture, i.attention, Quoted{i.weight_types}, i.layers, i.hidden_size, i.vocab_size);
  say(s, "heads", i.heads, i.kv_heads, i.kv_lora_rank, i.rope_dim);
  say(s, "experts", i.experts, i.top_k, i.context_length, i.mtp_layers);
  say(s, "text", i.bos_token, i.has_tokenizer, i.has_chat_template, i.reasons, i.tools);
  say(s, "types", kDtypes.at(static_cast<std::size_t>(i.activations)),
      kDtypes.at(static_cast<std::size_t>(i.cache_dtype)));
  say(s, "sizes", i.parameters, i.active_parameters, i.file_bytes, i.cache_bytes_per_token, i.cache_tokens);
  say(s, "local memory", i.weight_bytes, i.mapped_bytes);
  say_integers_of(s, "eos", model_of(s).eos_tokens());
  say(s, "on", model_of(s).device().info().backend);
}

void tokenize(const step &s) {
  const std::uint32_t flags = (number(s, "add_bos") != 0 ? ABY_TOKENIZE_ADD_BOS : ABY_TOKENIZE_DEFAULT) |
                              (number(s, "plain") != 0 ? ABY_TOKENIZE_PLAIN : ABY_TOKENIZE_DEFAULT);
  say_integers_of(s, "tokens", model_of(s).tokenize(text(s, "text"), flags));
}

void detokenize(const step &s) {
  const std::uint32_t flags = number(s, "skip_special") != 0 ? ABY_DETOKENIZE_SKIP_SPECIAL : ABY_DETOKENIZE_DEFAULT;
  std::string digits;
  for (const char byte : model_of(s).detokenize(integers(s, "tokens"), flags)) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned char>(byte));
    digits += two;
  }
  say(s, "bytes", digits);
}

std::string render(const step &s) {
  const std::string variables = "{\"" + text(s, "flag") + "\": true}";
  aby_chat_options options = abyssal::default_chat_options();
  options.add_generation_prompt = number<std::uint32_t>(s, "add_generation_prompt", 1);
  options.tools_json = step_text(&s, "tools");
  options.allow_dropped_tools = number<std::uint32_t>(s, "allow_dropped_tools");
  options.chat_template = step_text(&s, "chat_template");
  options.variables_json = step_find(&s, "flag") != nullptr ? variables.c_str() : nullptr;
  return model_of(s).render_chat(text(s, "messages"), options);
}

void render_chat(const step &s) { say(s, "text", Quoted{render(s)}); }
