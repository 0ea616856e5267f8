/* Sequences and replies. */
#define _POSIX_C_SOURCE 200809L

#include "scenario_c.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static aby_model *models_of_sequences[SLOTS];

void sequence(const step *s) {
  aby_sequence *made;
  if (failed(s, aby_sequence_create(&made, models[slot(s, "model")])))
    return;
  aby_sequence_destroy(sequences[slot(s, "sequence")]);
  sequences[slot(s, "sequence")] = made;
  models_of_sequences[slot(s, "sequence")] = models[slot(s, "model")];
}

static aby_eval_options eval_options(const step *s) {
  aby_eval_options options;
  must(aby_eval_options_init(&options, sizeof options));
  options.keep = (step_integer(s, "hidden", 0) ? ABY_KEEP_HIDDEN : ABY_KEEP_DEFAULT) |
                 (step_integer(s, "hidden_layers", 0) ? ABY_KEEP_HIDDEN_LAYERS : ABY_KEEP_DEFAULT) |
                 (step_integer(s, "routes", 0) ? ABY_KEEP_ROUTES : ABY_KEEP_DEFAULT);
  options.logits = (uint64_t)step_integer(s, "logits", 1);
  options.mtp = (uint32_t)step_integer(s, "mtp", 0);
  options.chunk = (uint32_t)step_integer(s, "chunk", 0);
  return options;
}

static void say_length(const step *s, const aby_sequence *of) {
  size_t length;
  if (!failed(s, aby_sequence_length(&length, of)))
    printf("%d length %zu\n", s->number, length);
}

void eval(const step *s) {
  aby_sequence *on = sequences[slot(s, "sequence")];
  const aby_eval_options options = eval_options(s);
  const size_t count = step_words(step_find(s, "tokens"), 10, token_room, TOKENS, NULL);
  if (!failed(s, aby_sequence_eval(on, token_room, count, &options)))
    say_length(s, on);
}

void eval_batch(const step *s) {
  const aby_eval_options options = eval_options(s);
  int32_t chosen[SLOTS], tokens[SLOTS][SLOTS];
  aby_sequence *on[SLOTS];
  const int32_t *lists[SLOTS];
  size_t counts[SLOTS], i, length;
  const size_t count = step_words(step_find(s, "sequences"), 10, chosen, SLOTS, NULL);
  const char *rest = step_find(s, "tokens");
  for (i = 0; i < count; ++i) {
    on[i] = sequences[chosen[i]];
    lists[i] = tokens[i];
    counts[i] = step_words(rest, 10, tokens[i], SLOTS, &rest);
  }
  if (failed(s, aby_sequence_eval_batch(on, lists, counts, count, &options)))
    return;
  printf("%d lengths", s->number);
  for (i = 0; i < count; ++i) {
    must(aby_sequence_length(&length, on[i]));
    printf(" %zu", length);
  }
  putchar('\n');
}

typedef struct long_eval {
  aby_sequence *on;
  size_t count;
  aby_status status;
  char text[256];
  int32_t cancel;
  atomic_int ended;
} long_eval;

static void *run_long_eval(void *context) {
  long_eval *work = context;
  aby_eval_options options;
  must(aby_eval_options_init(&options, sizeof options));
  options.cancel = &work->cancel;
  do {
    work->status = aby_sequence_eval(work->on, token_room, work->count, &options);
  } while (work->status == ABY_ERROR_BUSY); /* a fork was in it */
  snprintf(work->text, sizeof work->text, "%s", aby_last_error()); /* of this thread */
  atomic_store(&work->ended, 1);
  return NULL;
}

/* Evaluates a token over and over on another thread: forks until that is refused, then cancels it. */
void interrupt(const step *s) {
  long_eval work = {0};
  pthread_t thread;
  int refused = 0;
  work.on = sequences[slot(s, "sequence")];
  for (work.count = 0; work.count < (size_t)step_integer(s, "count", 0); ++work.count)
    token_room[work.count] = (int32_t)step_integer(s, "token", 0);
  if (pthread_create(&thread, NULL, run_long_eval, &work) != 0)
    abort();
  while (!refused && !atomic_load(&work.ended)) {
    aby_sequence *copy = NULL;
    refused = failed(s, aby_sequence_fork(&copy, work.on));
    aby_sequence_destroy(copy);
  }
  __atomic_store_n(&work.cancel, 1, __ATOMIC_RELAXED);
  pthread_join(thread, NULL);
  if (work.status != ABY_OK)
    say_error(s, work.status, work.text);
  say_length(s, work.on);
}

void output(const step *s) {
  static const char *const kOutputs[] = {"logits",       "hidden",  "route_index", "route_weight", "cache_c_kv",
                                         "cache_k_rope", "cache_k", "cache_v",     "mtp_logits",   "mtp_hidden"};
  const char *name = step_text(s, "output");
  const int32_t layer = (int32_t)step_integer(s, "layer", -1);
  aby_output_kind kind = 0;
  aby_array array;
  while (strcmp(kOutputs[kind], name) != 0)
    ++kind;
  if (!failed(s, aby_sequence_output(&array, sizeof array, sequences[slot(s, "sequence")], kind, layer)))
    say_array(s, array.dtype == ABY_DTYPE_I32, array.data, array.shape, array.rank);
}

void tokens(const step *s) {
  const aby_sequence *of = sequences[slot(s, "sequence")];
  size_t length, count;
  if (failed(s, aby_sequence_length(&length, of)))
    return;
  printf("%d length %zu\n", s->number, length);
  must(aby_sequence_tokens(token_room, TOKENS, &count, of));
  say_integers(s, "tokens", token_room, count);
}

void truncate_to(const step *s) {
  aby_sequence *of = sequences[slot(s, "sequence")];
  if (!failed(s, aby_sequence_truncate(of, slot(s, "length"))))
    say_length(s, of);
}

void fork_into(const step *s) {
  aby_sequence *made;
  if (failed(s, aby_sequence_fork(&made, sequences[slot(s, "sequence")])))
    return;
  aby_sequence_destroy(sequences[slot(s, "into")]);
  sequences[slot(s, "into")] = made;
  models_of_sequences[slot(s, "into")] = models_of_sequences[slot(s, "sequence")];
}

/* ---------------------------------------------------------------- replies */

static const char *const kFinish[] = {"none", "stop", "length", "cancelled", "context"};
static const char *const kTextKinds[] = {"content", "reasoning"};

/* The words of a mask of mask_size ids, which allows those listed. */
static const uint32_t *mask_words(const step *s) {
  static uint32_t words[TOKENS];
  static int32_t allowed[TOKENS];
  const size_t count = step_words(step_find(s, "mask"), 10, allowed, TOKENS, NULL);
  size_t i;
  memset(words, 0, sizeof words);
  for (i = 0; i < count; ++i)
    words[allowed[i] / 32] |= UINT32_C(1) << (allowed[i] % 32);
  return words;
}

/* The constraint that the step names, if it names one. False: it does not compile, which is said. */
static int compile_constraint(const step *s, aby_model *of, aby_constraint **out) {
  static const char *const kNames[] = {"", "json_schema", "regex", "grammar"};
  aby_constraint_kind kind;
  *out = NULL;
  for (kind = ABY_CONSTRAINT_JSON_SCHEMA; kind <= ABY_CONSTRAINT_GRAMMAR; ++kind) {
    const char *text = step_find(s, kNames[kind]) != NULL ? step_text(s, kNames[kind]) : NULL;
    if (text != NULL && failed(s, aby_constraint_compile(out, of, kind, text, strlen(text))))
      return 0;
  }
  return 1;
}

static aby_reply_options reply_options(const step *s, uint32_t plain) {
  static int32_t stop_tokens[TOKENS];
  aby_reply_options options;
  must(aby_reply_options_init(&options, sizeof options));
  options.max_tokens = (uint64_t)step_integer(s, "max_tokens", -1);
  options.temperature = step_float(s, "temperature", options.temperature);
  options.top_p = step_float(s, "top_p", -1);
  options.top_k = (int32_t)step_integer(s, "top_k", -1);
  options.min_p = step_float(s, "min_p", -1);
  options.seed = (uint64_t)step_integer(s, "seed", 0);
  options.ignore_eos = (uint32_t)step_integer(s, "ignore_eos", 0);
  options.stop_token_count = step_words(step_find(s, "stop_tokens"), 10, stop_tokens, TOKENS, NULL);
  options.stop_tokens = stop_tokens;
  options.chunk = (uint32_t)step_integer(s, "chunk", 0);
  options.plain = (uint32_t)step_integer(s, "plain", plain);
  if (step_find(s, "mask") != NULL && step_find(s, "mask_after") == NULL) {
    options.mask = mask_words(s);
    options.mask_count = (uint64_t)step_integer(s, "mask_size", 0);
  }
  options.logprobs = (aby_logprobs)step_integer(s, "logprobs", ABY_LOGPROBS_NONE);
  return options;
}

static void say_event(const step *s, const aby_events *event) {
  static const char *const kKinds[] = {"prompt", "token", "end"};
  printf("%d event %s %d %s ", s->number, kKinds[event->kind[0]], event->token[0], kTextKinds[event->text_kind[0]]);
  say_quoted(event->text, (size_t)event->text_begin[1]);
  putchar('\n');
  if (event->logprob[0] == event->logprob[0])
    printf("%d local logprob %.4f\n", s->number, (double)event->logprob[0]);
  if (event->kind[0] == ABY_EVENT_PROMPT)
    say_numbers(s, "prompt", (uint64_t[]){event->prompt_tokens[0], event->prompt_total[0]}, 2);
  if (event->kind[0] == ABY_EVENT_END)
    printf("%d end %s %d %d\n", s->number, kFinish[event->finish_reason[0]], (int)event->completion_tokens[0],
           (int)event->reasoning_tokens[0]);
}

void generate(const step *s) {
  aby_sequence *on = sequences[slot(s, "sequence")];
  aby_reply_options options = reply_options(s, 1);
  const size_t count = step_words(step_find(s, "tokens"), 10, token_room, TOKENS, NULL);
  int64_t left = step_integer(s, "leave", 0), seen = 0;
  int lost = 0;
  aby_constraint *constraint;
  aby_generation *reply = NULL;
  aby_event_kind kind = ABY_EVENT_PROMPT;
  if (!compile_constraint(s, models_of_sequences[slot(s, "sequence")], &constraint))
    return;
  options.constraint = constraint;
  lost = failed(s, aby_generation_create(&reply, on, token_room, count, &options));
  aby_constraint_destroy(constraint);
  if (lost)
    return;
  if (step_integer(s, "cancel", 0))
    must(aby_generation_cancel(reply));
  while (kind != ABY_EVENT_END && !lost) {
    aby_events event;
    lost = failed(s, aby_generation_step(&event, sizeof event, reply, 0));
    if (lost)
      break;
    kind = event.kind[0];
    say_event(s, &event);
    if (++seen == step_integer(s, "mask_after", 0))
      lost = failed(s, aby_generation_set_mask(reply, mask_words(s), slot(s, "mask_size")));
    if (seen == step_integer(s, "lift_after", 0))
      must(aby_generation_set_mask(reply, NULL, 0));
    if (--left == 0)
      break;
  }
  aby_generation_destroy(reply);
  if (!lost)
    say_length(s, on);
}

/* Both texts and the tokens of a reply, from its events. */
static void gather(const step *s, aby_generation *reply) {
  static char texts[2][TEXT];
  size_t lengths[2] = {0, 0}, count = 0;
  aby_events events;
  aby_event_kind kind = ABY_EVENT_PROMPT;
  while (kind != ABY_EVENT_END) {
    size_t i;
    if (failed(s, aby_generation_step(&events, sizeof events, reply, 1000)))
      return;
    for (i = 0; i < events.count; ++i) {
      const size_t length = (size_t)(events.text_begin[i + 1] - events.text_begin[i]);
      memcpy(texts[events.text_kind[i]] + lengths[events.text_kind[i]], events.text + events.text_begin[i], length);
      lengths[events.text_kind[i]] += length;
      if ((kind = events.kind[i]) == ABY_EVENT_TOKEN)
        token_room[count++] = events.token[i];
    }
  }
  say_text(s, "reasoning", texts[ABY_TEXT_REASONING], lengths[ABY_TEXT_REASONING]);
  say_text(s, "content", texts[ABY_TEXT_CONTENT], lengths[ABY_TEXT_CONTENT]);
  say_integers(s, "tokens", token_room, count);
  {
    const size_t end = (size_t)events.count - 1;
    printf("%d end %s %d %d %d\n", s->number, kFinish[events.finish_reason[end]], (int)events.prompt_tokens[end],
           (int)events.completion_tokens[end], (int)events.reasoning_tokens[end]);
  }
}

/* What the other languages have as one call. */
void chat(const step *s) {
  aby_model *of = models[slot(s, "model")];
  aby_reply_options options = reply_options(s, 0);
  aby_constraint *constraint;
  aby_sequence *on = NULL;
  aby_generation *reply = NULL;
  size_t length, count;
  if (failed(s, render(s, &length)) ||
      failed(s, aby_model_tokenize(token_room, TOKENS, &count, of, text_room, length, ABY_TOKENIZE_DEFAULT)) ||
      !compile_constraint(s, of, &constraint))
    return;
  options.constraint = constraint;
  must(aby_sequence_create(&on, of));
  if (!failed(s, aby_generation_create(&reply, on, token_room, count, &options)))
    gather(s, reply);
  aby_constraint_destroy(constraint);
  aby_generation_destroy(reply);
  aby_sequence_destroy(on);
}
