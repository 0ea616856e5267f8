/* C's part of bindings.py and memory.py: does what the lines of standard input ask for, on one model, and answers each
 * with a line of JSON. The programs of the other languages do the same by their own language's means:
 *   decode TOKENS         a greedy reply to three tokens: its seconds, from making the sequence to giving it back
 *   logits TOKENS         evaluates a prompt and has the logits of all its tokens where the language works with them:
 *                         seconds of the evaluation, and of each way to have them
 *   cycles COUNT          opens the model, evaluates, reads logits and closes, COUNT times
 *   replies COUNT TOKENS  that many short replies to a text
 * Usage: bindings_c MODEL */
#define _POSIX_C_SOURCE 199309L

#include <abyssal/abyssal.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_TOKENS = 4096 };

static const char *path;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void check(aby_status status) {
  if (status == ABY_OK)
    return;
  fprintf(stderr, "bindings_c: %s\n", aby_last_error());
  exit(1);
}

/* Opened when it is first wanted: cycles has models of its own. */
static aby_model *shared_model(void) {
  static aby_model *model = NULL;
  if (model == NULL)
    check(aby_model_open(&model, path, NULL));
  return model;
}

/* A greedy reply on a sequence of its own. A number made of all its tokens: the other languages must find the same. */
static uint32_t reply(aby_model *model, const int32_t *prompt, size_t count, unsigned long tokens) {
  uint32_t digest = 0;
  unsigned long drawn = 0;
  aby_sequence *sequence = NULL;
  aby_generation *generation = NULL;
  aby_reply_options options;
  aby_event_kind kind = ABY_EVENT_PROMPT;
  check(aby_reply_options_init(&options, sizeof options));
  options.max_tokens = tokens;
  options.temperature = 0;
  options.ignore_eos = 1;
  options.plain = 1;
  check(aby_sequence_create(&sequence, model));
  check(aby_generation_create(&generation, sequence, prompt, count, &options));
  while (kind != ABY_EVENT_END) {
    aby_events events;
    check(aby_generation_step(&events, sizeof events, generation, 0));
    kind = events.kind[0];
    if (kind == ABY_EVENT_TOKEN) {
      digest = 31 * digest + (uint32_t)events.token[0];
      ++drawn;
    }
  }
  if (drawn != tokens) {
    fprintf(stderr, "bindings_c: %lu tokens of %lu; the context is too short\n", drawn, tokens);
    exit(1);
  }
  aby_generation_destroy(generation);
  aby_sequence_destroy(sequence);
  return digest;
}

static void decode(unsigned long tokens) {
  const int32_t prompt[3] = {5, 6, 7};
  aby_model *model = shared_model();
  const double begin = now();
  const uint32_t digest = reply(model, prompt, 3, tokens);
  printf("{\"seconds\": %.9f, \"digest\": %lu}\n", now() - begin, (unsigned long)digest);
}

static void logits(unsigned long count) {
  int32_t prompt[MOST_TOKENS];
  unsigned long i;
  double begin, eval_seconds, pointer_seconds, copy_seconds;
  size_t size;
  float *copy;
  aby_array array;
  aby_eval_options options;
  aby_sequence *sequence = NULL;
  for (i = 0; i < count; ++i)
    prompt[i] = (int32_t)(5 + i % 500);
  check(aby_eval_options_init(&options, sizeof options));
  options.logits = count;
  check(aby_sequence_create(&sequence, shared_model()));
  begin = now();
  check(aby_sequence_eval(sequence, prompt, count, &options));
  eval_seconds = now() - begin;

  begin = now();
  check(aby_sequence_output(&array, sizeof array, sequence, ABY_OUTPUT_LOGITS, 0));
  pointer_seconds = now() - begin;

  begin = now();
  check(aby_sequence_output(&array, sizeof array, sequence, ABY_OUTPUT_LOGITS, 0));
  size = (size_t)array.shape[0] * (size_t)array.shape[1];
  copy = malloc(size * sizeof *copy);
  if (copy == NULL)
    exit(1);
  memcpy(copy, array.data, size * sizeof *copy);
  copy_seconds = now() - begin;

  printf("{\"eval\": %.9f, \"ways\": {\"one copy\": %.9f, \"pointer\": %.9f}, \"elements\": %lu, \"last\": %.17g}\n",
         eval_seconds, copy_seconds, pointer_seconds, (unsigned long)size, (double)copy[size - 1]);
  free(copy);
  aby_sequence_destroy(sequence);
}

static void cycles(unsigned long count) {
  const int32_t prompt[3] = {5, 6, 7};
  unsigned long i;
  for (i = 0; i < count; ++i) {
    aby_model *model = NULL;
    aby_sequence *sequence = NULL;
    aby_array array;
    check(aby_model_open(&model, path, NULL));
    check(aby_sequence_create(&sequence, model));
    check(aby_sequence_eval(sequence, prompt, 3, NULL));
    check(aby_sequence_output(&array, sizeof array, sequence, ABY_OUTPUT_LOGITS, 0));
    aby_sequence_destroy(sequence);
    aby_model_destroy(model);
  }
  puts("{}");
}

static void replies(unsigned long count, unsigned long tokens) {
  const char *text = "What is 47 * 6 + 12?";
  int32_t prompt[64];
  size_t length;
  unsigned long i;
  for (i = 0; i < count; ++i) {
    check(aby_model_tokenize(prompt, 64, &length, shared_model(), text, strlen(text), ABY_TOKENIZE_ADD_BOS));
    reply(shared_model(), prompt, length, tokens);
  }
  puts("{}");
}

int main(int argc, char **argv) {
  char line[128];
  unsigned long a, b;
  if (argc != 2) {
    fprintf(stderr, "usage: %s MODEL, and commands on standard input\n", argv[0]);
    return 2;
  }
  path = argv[1];
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (sscanf(line, "decode %lu", &a) == 1) {
      decode(a);
    } else if (sscanf(line, "logits %lu", &a) == 1 && a >= 1 && a <= MOST_TOKENS) {
      logits(a);
    } else if (sscanf(line, "cycles %lu", &a) == 1) {
      cycles(a);
    } else if (sscanf(line, "replies %lu %lu", &a, &b) == 2) {
      replies(a, b);
    } else {
      fprintf(stderr, "bindings_c: no such command: %s", line);
      return 2;
    }
    fflush(stdout);
  }
  return 0;
}
