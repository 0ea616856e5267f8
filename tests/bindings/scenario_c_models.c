/* The library, devices, models and text. */
#include "scenario_c.h"

#include <inttypes.h>

static aby_tensor tensors[TENSORS];
static const aby_tensor *tensor_pointers[TENSORS];
static size_t tensor_count;

static const char *const kDtypes[] = {"auto", "f32", "f16", "bf16", "f8_e4m3", "f8_e8m0", "i8", "u8", "i32", "i64"};

static aby_dtype dtype(const step *s, const char *name) {
  const char *text = step_text(s, name);
  aby_dtype i;
  for (i = 0; text != NULL && strcmp(kDtypes[i], text) != 0;)
    ++i;
  return i;
}

void version(const step *s) { printf("%d version %s\n", s->number, aby_version_string()); }

void backends(const step *s) {
  size_t i, count;
  aby_backend_info info;
  must(aby_backend_count(&count));
  for (i = 0; i < count; ++i) {
    must(aby_backend_info_get(&info, sizeof info, i));
    printf("%d backend %s %u\n", s->number, info.name, info.device_count);
  }
}

void device(const step *s) {
  aby_device_options options;
  aby_device_info info;
  aby_device **on = &devices[slot(s, "device")];
  must(aby_device_options_init(&options, sizeof options));
  options.backend = step_text(s, "backend");
  options.threads = (uint32_t)step_integer(s, "threads", 1);
  options.index = (uint32_t)step_integer(s, "index", 0);
  if (failed(s, aby_device_open(on, &options)) || failed(s, aby_device_info_get(&info, sizeof info, *on)))
    return;
  printf("%d device %s %u\n", s->number, info.backend, info.threads);
  printf("%d local device ", s->number);
  say_quoted(info.name, strlen(info.name));
  putchar(' ');
  say_quoted(info.isa, strlen(info.isa));
  printf(" %" PRIu64 "\n", info.memory_bytes);
}

static aby_model_options model_options(const step *s) {
  aby_model_options options;
  must(aby_model_options_init(&options, sizeof options));
  options.device = step_find(s, "device") != NULL ? devices[slot(s, "device")] : NULL;
  options.backend = step_text(s, "backend");
  options.threads = (uint32_t)step_integer(s, "threads", 1);
  options.activations = dtype(s, "activations");
  options.cache_dtype = dtype(s, "cache_dtype");
  options.cache_tokens = (uint64_t)step_integer(s, "cache_tokens", 0);
  options.absorb_below = (uint32_t)step_integer(s, "absorb_below", 0);
  options.mtp = (uint32_t)step_integer(s, "mtp", 0);
  options.tokenizer = step_text(s, "tokenizer");
  return options;
}

void plan(const step *s) {
  const aby_model_options options = model_options(s);
  aby_model_plan p;
  if (failed(s, aby_model_plan_get(&p, sizeof p, step_text(s, "path"), &options)))
    return;
  say_numbers(s, "plan", (uint64_t[]){p.layers, p.parameters, p.active_parameters, p.file_bytes}, 4);
  say_numbers(s, "cache", (uint64_t[]){p.cache_bytes_per_token, p.cache_tokens, p.cache_bytes}, 3);
  say_numbers(s, "local memory", (uint64_t[]){p.weight_bytes, p.mapped_bytes, p.scratch_bytes, p.total_bytes}, 4);
}

typedef struct progress {
  int cancel;
  aby_stage stage;
  uint64_t done, total;
} progress;

static int32_t on_progress(void *context, aby_stage stage, uint64_t done, uint64_t total) {
  progress *seen = context;
  seen->stage = stage;
  seen->done = done;
  seen->total = total;
  return seen->cancel;
}

/* From the tensors gathered, or else from a path. */
static void open_from(const step *s, int from_tensors) {
  aby_model_options options = model_options(s);
  progress seen = {0, -1, 0, 0};
  aby_model *made;
  const size_t count = tensor_count;
  aby_status status;
  if (step_find(s, "progress") != NULL) {
    seen.cancel = strcmp(step_text(s, "progress"), "cancel") == 0;
    options.progress = on_progress;
    options.progress_context = &seen;
  }
  tensor_count = from_tensors ? 0 : tensor_count;
  status = from_tensors ? aby_model_open_tensors(&made, step_text(s, "config"), tensor_pointers, count, &options)
                        : aby_model_open(&made, step_text(s, "path"), &options);
  if (failed(s, status))
    return;
  aby_model_destroy(models[slot(s, "model")]);
  models[slot(s, "model")] = made;
  if (options.progress == NULL)
    printf("%d opened\n", s->number);
  else
    printf("%d opened progress %s %d\n", s->number, seen.stage == ABY_STAGE_WEIGHTS ? "weights" : "read",
           seen.done == seen.total);
}

void open_model(const step *s) { open_from(s, 0); }
void open_tensors(const step *s) { open_from(s, 1); }

/* The next one of the tensors. It keeps its memory until another one takes its place. */
void tensor(const step *s) {
  static float data[TENSORS][FLOATS];
  static char names[TENSORS][256];
  aby_tensor *made = &tensors[tensor_count];
  int32_t shape[ABY_MAX_RANK];
  uint32_t i;
  must(aby_tensor_init(made, sizeof *made));
  snprintf(names[tensor_count], sizeof names[0], "%s", step_text(s, "name"));
  made->name = names[tensor_count];
  made->dtype = ABY_DTYPE_F32;
  made->data = data[tensor_count];
  made->bytes = 4 * step_words(step_find(s, "data"), 16, data[tensor_count], FLOATS, NULL);
  made->rank = (uint32_t)step_words(step_find(s, "shape"), 10, shape, ABY_MAX_RANK, NULL);
  for (i = 0; i < made->rank; ++i)
    made->shape[i] = shape[i];
  tensor_pointers[tensor_count++] = made;
}

void update(const step *s) {
  const size_t count = tensor_count;
  tensor_count = 0;
  if (!failed(s, aby_model_update(models[slot(s, "model")], tensor_pointers, count)))
    printf("%d updated\n", s->number);
}

void info(const step *s) {
  aby_model *of = models[slot(s, "model")];
  aby_model_info i;
  aby_device *on;
  aby_device_info device_info;
  size_t count;
  if (failed(s, aby_model_info_get(&i, sizeof i, of)))
    return;
  printf("%d model %s %s ", s->number, i.architecture, i.attention);
  say_quoted(i.weight_types, strlen(i.weight_types));
  printf(" %u %u %u\n", i.layers, i.hidden_size, i.vocab_size);
  say_numbers(s, "heads", (uint64_t[]){i.heads, i.kv_heads, i.kv_lora_rank, i.rope_dim}, 4);
  say_numbers(s, "experts", (uint64_t[]){i.experts, i.top_k, i.context_length, i.mtp_layers}, 4);
  printf("%d text %d %u %u %u %u\n", s->number, i.bos_token, i.has_tokenizer, i.has_chat_template, i.reasons, i.tools);
  printf("%d types %s %s\n", s->number, kDtypes[i.activations], kDtypes[i.cache_dtype]);
  say_numbers(s, "sizes",
              (uint64_t[]){i.parameters, i.active_parameters, i.file_bytes, i.cache_bytes_per_token, i.cache_tokens},
              5);
  say_numbers(s, "local memory", (uint64_t[]){i.weight_bytes, i.mapped_bytes}, 2);
  must(aby_model_eos_tokens(token_room, TOKENS, &count, of));
  say_integers(s, "eos", token_room, count);
  must(aby_model_device(&on, of));
  must(aby_device_info_get(&device_info, sizeof device_info, on));
  printf("%d on %s\n", s->number, device_info.backend);
  aby_device_destroy(on);
}

void tokenize(const step *s) {
  const char *text = step_text(s, "text");
  const uint32_t flags = (step_integer(s, "add_bos", 0) ? ABY_TOKENIZE_ADD_BOS : ABY_TOKENIZE_DEFAULT) |
                         (step_integer(s, "plain", 0) ? ABY_TOKENIZE_PLAIN : ABY_TOKENIZE_DEFAULT);
  size_t count;
  if (!failed(s, aby_model_tokenize(token_room, TOKENS, &count, models[slot(s, "model")], text, strlen(text), flags)))
    say_integers(s, "tokens", token_room, count);
}

void detokenize(const step *s) {
  const size_t count = step_words(step_find(s, "tokens"), 10, token_room, TOKENS, NULL);
  const uint32_t flags = step_integer(s, "skip_special", 0) ? ABY_DETOKENIZE_SKIP_SPECIAL : ABY_DETOKENIZE_DEFAULT;
  size_t i, length;
  if (failed(s, aby_model_detokenize(text_room, TEXT, &length, models[slot(s, "model")], token_room, count, flags)))
    return;
  printf("%d bytes ", s->number);
  for (i = 0; i < length; ++i)
    printf("%02x", (unsigned char)text_room[i]);
  putchar('\n');
}

aby_status render(const step *s, size_t *length) {
  static char variables[256];
  const char *messages = step_text(s, "messages"), *flag = step_text(s, "flag");
  aby_chat_options options;
  must(aby_chat_options_init(&options, sizeof options));
  options.add_generation_prompt = (uint32_t)step_integer(s, "add_generation_prompt", 1);
  options.tools_json = step_text(s, "tools");
  options.allow_dropped_tools = (uint32_t)step_integer(s, "allow_dropped_tools", 0);
  options.chat_template = step_text(s, "chat_template");
  if (flag != NULL) {
    snprintf(variables, sizeof variables, "{\"%s\": true}", flag);
    options.variables_json = variables;
  }
  return aby_model_render_chat(text_room, TEXT, length, models[slot(s, "model")], messages, strlen(messages), &options);
}

void render_chat(const step *s) {
  size_t length;
  if (!failed(s, render(s, &length)))
    say_text(s, "text", text_room, length);
}
