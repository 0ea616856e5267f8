/* Opens a checkpoint and answers one prompt, in C99: memory plan, progress, chat template, streamed reply.
 *
 *   example_c MODEL_FOLDER [PROMPT [MAX_TOKENS]]
 */
#include <abyssal/abyssal.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1024.0 * 1024.0)

/* Reports a failed call. The text is the calling thread's, so it is read before any other call. */
static int failed(const char *what, aby_status status) {
  fprintf(stderr, "%s: %s (%s)\n", what, aby_last_error(), aby_status_name(status));
  return 0;
}

static int32_t show_progress(void *context, aby_stage stage, uint64_t done, uint64_t total) {
  unsigned *shown = context, percent = total > 0 ? (unsigned)(100.0 * (double)done / (double)total) : 0;
  if (stage == ABY_STAGE_WEIGHTS && percent > *shown)
    fprintf(stderr, "\rloading %3u%%%s", *shown = percent, percent == 100 ? "\n" : "");
  return 0; /* anything else would cancel */
}

static int open_model(aby_model **out, const char *path) {
  aby_model_plan plan;
  aby_model_options options;
  aby_status status;
  unsigned percent_shown = 0;

  if ((status = aby_model_options_init(&options, sizeof options)) != ABY_OK)
    return failed("this library is older than the header", status);
  options.progress = show_progress;
  options.progress_context = &percent_shown;

  if ((status = aby_model_plan_get(&plan, sizeof plan, path, &options)) != ABY_OK)
    return failed("plan", status);
  fprintf(stderr, "%u layers, %.1f M parameters; needs %.1f MiB, at most %.1f of them for %llu cached tokens\n",
          plan.layers, (double)plan.parameters / 1e6, (double)plan.total_bytes / MIB, (double)plan.cache_bytes / MIB,
          (unsigned long long)plan.cache_tokens);

  if ((status = aby_model_open(out, path, &options)) != ABY_OK)
    return failed("open", status);
  return 1;
}

/* The prompt as one message of a JSON array. The caller frees it; NULL without memory. */
static char *user_message(const char *prompt) {
  static const char before[] = "[{\"role\": \"user\", \"content\": \"", after[] = "\"}]";
  const char *from;
  char *json = malloc(sizeof before + 6 * strlen(prompt) + sizeof after), *to = json;

  if (json == NULL)
    return NULL;
  to += sprintf(to, "%s", before);
  for (from = prompt; *from != '\0'; ++from) {
    if ((unsigned char)*from < 0x20)
      to += sprintf(to, "\\u%04x", (unsigned)*from);
    else {
      if (*from == '"' || *from == '\\')
        *to++ = '\\';
      *to++ = *from;
    }
  }
  sprintf(to, "%s", after);
  return json;
}

/* The tokens of the rendered chat. Each function is asked twice: for the size, and for the contents. The caller frees
 * the tokens. */
static int chat_tokens(int32_t **out, size_t *out_count, const aby_model *model, const char *prompt) {
  char *messages = user_message(prompt), *text = NULL;
  int32_t *tokens = NULL;
  size_t length = 0, count = 0;
  aby_status status = ABY_ERROR_NO_MEMORY;

  if (messages != NULL)
    status = aby_model_render_chat(NULL, 0, &length, model, messages, strlen(messages), NULL);
  if (status == ABY_OK && (text = malloc(length + 1)) == NULL)
    status = ABY_ERROR_NO_MEMORY;
  if (status == ABY_OK)
    status = aby_model_render_chat(text, length, &length, model, messages, strlen(messages), NULL);
  if (status == ABY_OK)
    status = aby_model_tokenize(NULL, 0, &count, model, text, length, ABY_TOKENIZE_DEFAULT);
  if (status == ABY_OK && (tokens = malloc((count + 1) * sizeof *tokens)) == NULL)
    status = ABY_ERROR_NO_MEMORY;
  if (status == ABY_OK)
    status = aby_model_tokenize(tokens, count, &count, model, text, length, ABY_TOKENIZE_DEFAULT);
  free(messages);
  free(text);
  if (status != ABY_OK) {
    free(tokens);
    return failed("prompt", status);
  }
  *out = tokens;
  *out_count = count;
  return 1;
}

static int stream_reply(aby_model *model, const int32_t *tokens, size_t count, uint64_t max_tokens) {
  aby_sequence *sequence = NULL;
  aby_generation *generation = NULL;
  aby_reply_options options;
  aby_events events = {0};
  aby_event_kind kind = ABY_EVENT_PROMPT;
  aby_status status;

  if ((status = aby_reply_options_init(&options, sizeof options)) == ABY_OK &&
      (status = aby_sequence_create(&sequence, model)) == ABY_OK) {
    options.max_tokens = max_tokens;
    status = aby_generation_create(&generation, sequence, tokens, count, &options);
  }
  while (status == ABY_OK && kind != ABY_EVENT_END) {
    status = aby_generation_step(&events, sizeof events, generation, 0); /* one event */
    if (status != ABY_OK)
      break;
    kind = events.kind[0];
    if (events.text_begin[1] > 0) { /* reasoning on the error stream, the answer on the output */
      FILE *stream = events.text_kind[0] == ABY_TEXT_REASONING ? stderr : stdout;
      fwrite(events.text, 1, (size_t)events.text_begin[1], stream);
      fflush(stream);
    }
  }
  if (status != ABY_OK)
    failed("reply", status);
  else
    fprintf(stderr, "\n%llu prompt tokens, %llu new ones\n", (unsigned long long)events.prompt_total[0],
            (unsigned long long)events.completion_tokens[0]);
  aby_generation_destroy(generation);
  aby_sequence_destroy(sequence);
  return status == ABY_OK;
}

int main(int argc, char **argv) {
  aby_model *model = NULL;
  int32_t *tokens = NULL;
  size_t count = 0;
  int ok;

  if (argc < 2 || argc > 4) {
    fprintf(stderr, "usage: %s MODEL_FOLDER [PROMPT [MAX_TOKENS]]\n", argv[0]);
    return 2;
  }
  ok = open_model(&model, argv[1]) &&
       chat_tokens(&tokens, &count, model, argc > 2 ? argv[2] : "What is a latent cache?") &&
       stream_reply(model, tokens, count, argc > 3 ? strtoull(argv[3], NULL, 10) : 256);
  free(tokens);
  aby_model_destroy(model);
  return ok ? 0 : 1;
}
