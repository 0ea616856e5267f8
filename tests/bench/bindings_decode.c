/* Greedy decode through the C API: the figure that the bindings are held against. Prints the median time of a token.
 * Usage: bindings_decode MODEL [ROUNDS] */
#include <abyssal/abyssal.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TOKENS 256
#define MAX_ROUNDS 1000

static void check(aby_status status) {
  if (status != ABY_OK) {
    fprintf(stderr, "%s\n", aby_last_error());
    exit(1);
  }
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Seconds of one token, of TOKENS. The prompt is not counted. */
static double decode(aby_model *model) {
  const int32_t prompt[] = {3, 4, 5, 6, 7, 8, 9, 10};
  aby_sequence *sequence = NULL;
  aby_generation *generation = NULL;
  aby_generation_options options;
  aby_event event;
  double start;
  check(aby_generation_options_init(&options, sizeof options));
  check(aby_event_init(&event, sizeof event));
  options.temperature = 0;
  options.ignore_eos = 1;
  options.max_tokens = TOKENS;
  options.plain = 1;
  check(aby_sequence_create(&sequence, model));
  check(aby_generation_create(&generation, sequence, prompt, sizeof prompt / sizeof prompt[0], &options));
  check(aby_generation_step(&event, generation));
  start = seconds();
  while (event.kind != ABY_EVENT_END)
    check(aby_generation_step(&event, generation));
  start = seconds() - start;
  aby_generation_destroy(generation);
  aby_sequence_destroy(sequence);
  return start / TOKENS;
}

int main(int argc, char **argv) {
  aby_model *model = NULL;
  aby_model_options options;
  double times[MAX_ROUNDS];
  int i;
  const int rounds = argc > 2 ? atoi(argv[2]) : 20;
  if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS) {
    fprintf(stderr, "usage: bindings_decode MODEL [ROUNDS], 1 to %d rounds\n", MAX_ROUNDS);
    return 2;
  }
  check(aby_model_options_init(&options, sizeof options));
  options.threads = 1;
  check(aby_model_open(&model, argv[1], &options));
  for (i = 0; i < rounds / 4 + 1; ++i)
    decode(model); /* warm */
  for (i = 0; i < rounds; ++i)
    times[i] = decode(model);
  qsort(times, (size_t)rounds, sizeof times[0], compare);
  printf("%.3f us/token\n", 1e6 * times[rounds / 2]);
  aby_model_destroy(model);
  return 0;
}
