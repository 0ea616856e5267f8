/* The scenario through the C API. Usage: scenario_c STEPS     Prints the transcript. */
#include "scenario_c.h"

aby_device *devices[SLOTS];
aby_model *models[SLOTS];
aby_sequence *sequences[SLOTS];
int32_t token_room[TOKENS];
char text_room[TEXT];

void say_error(const step *s, aby_status status, const char *text) {
  printf("%d error %s %d ", s->number, aby_status_name(status), status);
  say_quoted(text, strlen(text));
  putchar('\n');
}

int failed(const step *s, aby_status status) {
  if (status != ABY_OK)
    say_error(s, status, aby_last_error());
  return status != ABY_OK;
}

void must(aby_status status) {
  if (status != ABY_OK)
    abort();
}

size_t slot(const step *s, const char *name) { return (size_t)step_integer(s, name, 0); }

void say_numbers(const step *s, const char *word, const uint64_t *values, size_t count) {
  size_t i;
  printf("%d %s", s->number, word);
  for (i = 0; i < count; ++i)
    printf(" %llu", (unsigned long long)values[i]);
  putchar('\n');
}

/* Destroyed handles must not be used again, so the slot is empty afterwards. */
static void close_slot(const step *s) {
  if (step_find(s, "model") != NULL) {
    aby_model_destroy(models[slot(s, "model")]);
    models[slot(s, "model")] = NULL;
  }
  if (step_find(s, "sequence") != NULL) {
    aby_sequence_destroy(sequences[slot(s, "sequence")]);
    sequences[slot(s, "sequence")] = NULL;
  }
  if (step_find(s, "device") != NULL) {
    aby_device_destroy(devices[slot(s, "device")]);
    devices[slot(s, "device")] = NULL;
  }
  if (step_find(s, "layer") != NULL)
    close_layer(step_text(s, "layer"));
}

static const struct {
  const char *name;
  void (*run)(const step *s);
} kKinds[] = {
    {"version", version},
    {"backends", backends},
    {"device", device},
    {"plan", plan},
    {"open", open_model},
    {"tensor", tensor},
    {"open_tensors", open_tensors},
    {"update", update},
    {"info", info},
    {"tokenize", tokenize},
    {"detokenize", detokenize},
    {"render_chat", render_chat},
    {"sequence", sequence},
    {"eval", eval},
    {"eval_batch", eval_batch},
    {"interrupt", interrupt},
    {"output", output},
    {"tokens", tokens},
    {"truncate", truncate_to},
    {"fork", fork_into},
    {"generate", generate},
    {"chat", chat},
    {"route", route},
    {"experts", experts},
    {"run_experts", run_experts},
    {"mla", mla},
    {"attend", attend},
    {"close", close_slot},
};

static void run(const step *s) {
  size_t i = 0;
  while (i < sizeof kKinds / sizeof *kKinds && strcmp(kKinds[i].name, s->kind) != 0)
    ++i;
  if (i == sizeof kKinds / sizeof *kKinds)
    abort();
  kKinds[i].run(s);
  printf("%d done\n", s->number);
}

int main(int argc, char **argv) {
  static char line[1 << 17];
  FILE *steps = argc == 2 ? fopen(argv[1], "r") : NULL;
  size_t i;
  if (steps == NULL) {
    fprintf(stderr, "usage: scenario_c STEPS\n");
    return 2;
  }
  while (fgets(line, sizeof line, steps) != NULL) {
    const step now = step_of(line);
    run(&now);
  }
  fclose(steps);
  for (i = 0; i < SLOTS; ++i) {
    aby_sequence_destroy(sequences[i]);
    aby_model_destroy(models[i]);
    aby_device_destroy(devices[i]);
  }
  close_layer("experts");
  close_layer("mla");
  return 0;
}
