/* Greedy decoding through the C API: tokens a second, for comparison with the bindings on the same model.
 * Usage: bindings_c MODEL [TOKENS [ROUNDS]]. Prints one line of JSON: the rate of each round, and the median. */
#define _POSIX_C_SOURCE 199309L

#include <abyssal/abyssal.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void check(aby_status status) {
  if (status == ABY_OK)
    return;
  fprintf(stderr, "%s\n", aby_last_error());
  exit(1);
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Seconds of a whole reply: a short prompt, and its tokens. */
static double decode(aby_model *model, unsigned long tokens) {
  const int32_t prompt[3] = {5, 6, 7};
  aby_sequence *sequence = NULL;
  aby_generation *generation = NULL;
  aby_generation_options options;
  aby_event event;
  const double begin = now();
  check(aby_generation_options_init(&options, sizeof options));
  check(aby_event_init(&event, sizeof event));
  options.max_tokens = tokens;
  options.temperature = 0;
  options.ignore_eos = 1;
  options.plain = 1;
  check(aby_sequence_create(&sequence, model));
  check(aby_generation_create(&generation, sequence, prompt, 3, &options));
  do {
    check(aby_generation_step(&event, generation));
  } while (event.kind != ABY_EVENT_END);
  aby_generation_destroy(generation);
  aby_sequence_destroy(sequence);
  return now() - begin;
}

int main(int argc, char **argv) {
  const unsigned long tokens = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
  const unsigned long rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 9;
  double *rates;
  unsigned long i;
  aby_model *model = NULL;
  if (argc < 2 || tokens < 1 || rounds < 1) {
    fprintf(stderr, "usage: %s MODEL [TOKENS [ROUNDS]]\n", argv[0]);
    return 2;
  }
  check(aby_model_open(&model, argv[1], NULL));
  rates = malloc(rounds * sizeof *rates);
  if (rates == NULL)
    return 1;
  decode(model, tokens);
  for (i = 0; i < rounds; ++i)
    rates[i] = (double)tokens / decode(model, tokens);
  qsort(rates, rounds, sizeof *rates, by_value);
  printf("{\"language\": \"c\", \"tokens_per_second\": %.1f, \"lowest\": %.1f, \"highest\": %.1f}\n", rates[rounds / 2],
         rates[0], rates[rounds - 1]);
  free(rates);
  aby_model_destroy(model);
  return 0;
}
