/* A model, opened and asked through one copy of the library, step by step. */
#ifndef REPLY_SESSION_H
#define REPLY_SESSION_H

#include "library_copy.h"

#include <pthread.h>
#include <stdio.h>

#define REPLY_TOKENS 24
#define REPLY_LOGITS 64

struct settings {
  uint32_t threads;
  aby_weights_kind weights;
  uint64_t seed;
  const char *packed_cache; /* under /no/such, where it cannot be written, or a folder */
};

struct reply {
  int32_t tokens[REPLY_TOKENS];
  size_t count;
  float logits[REPLY_LOGITS]; /* the first of the last token's */
};

struct session {
  const struct library *library;
  aby_model *model;
  aby_sequence *sequence;
  aby_generation *generation;
  char warning[512];
  struct reply reply;
};

static inline int same_reply(const struct reply *a, const struct reply *b) {
  return a->count == b->count && memcmp(a->tokens, b->tokens, sizeof a->tokens) == 0 &&
         memcmp(a->logits, b->logits, sizeof a->logits) == 0;
}

static inline int session_failed(const struct session *session, const char *what) {
  fprintf(stderr, "%s: %s\n", what, session->library->aby_last_error());
  return 0;
}

static void keep_warning(void *context, const char *text) {
  struct session *session = context;
  snprintf(session->warning, sizeof session->warning, "%s", text);
}

/* A failure on this thread, whose text is then this copy's. */
static inline int fail_to_open(const struct library *library, const char *path) {
  aby_model *model = NULL;
  return library->aby_model_open(&model, path, NULL) == ABY_ERROR_NOT_FOUND && model == NULL &&
         strstr(library->aby_last_error(), path) != NULL;
}

/* What was set is what this copy does: its number of threads, and a warning of its own path or none. */
static inline int settings_hold(const struct session *session, const struct settings *settings) {
  const struct library *library = session->library;
  const int warned = strncmp(settings->packed_cache, "/no/such/", 9) == 0;
  aby_device_info info;
  aby_device *device = NULL;
  int ok = library->aby_model_device(&device, session->model) == ABY_OK &&
           library->aby_device_info_get(&info, sizeof info, device) == ABY_OK;
  library->aby_device_destroy(device);
  if (!ok)
    return session_failed(session, "the device is not described");
  if (info.threads != settings->threads) {
    fprintf(stderr, "%u threads, expected %u\n", info.threads, settings->threads);
    return 0;
  }
  if (warned ? strstr(session->warning, settings->packed_cache) == NULL : session->warning[0] != '\0') {
    fprintf(stderr, "packed cache %s: the warning is '%s'\n", settings->packed_cache, session->warning);
    return 0;
  }
  return 1;
}

static inline int open_session(struct session *session, const struct library *library, const char *path,
                               const struct settings *settings) {
  static const int32_t prompt[] = {3, 17, 42, 5, 99};
  aby_model_options options;
  aby_reply_options generation;
  memset(session, 0, sizeof *session);
  session->library = library;
  if (library->aby_model_options_init(&options, sizeof options) != ABY_OK ||
      library->aby_reply_options_init(&generation, sizeof generation) != ABY_OK)
    return session_failed(session, "options");
  options.threads = settings->threads;
  options.weights = settings->weights;
  options.packed_cache = settings->packed_cache;
  options.cache_tokens = 256;
  options.warning = keep_warning;
  options.warning_context = session;
  generation.ignore_eos = 1;
  generation.max_tokens = REPLY_TOKENS;
  generation.temperature = 1;
  generation.seed = settings->seed;
  if (library->aby_model_open(&session->model, path, &options) != ABY_OK ||
      library->aby_sequence_create(&session->sequence, session->model) != ABY_OK ||
      library->aby_generation_create(&session->generation, session->sequence, prompt, sizeof prompt / sizeof *prompt,
                                     &generation) != ABY_OK)
    return session_failed(session, "open");
  return settings_hold(session, settings);
}

/* One step; *runs becomes 0 when the reply is whole. */
static inline int step_session(struct session *session, int *runs) {
  const struct library *library = session->library;
  struct reply *reply = &session->reply;
  aby_events events;
  aby_array logits;
  if (library->aby_generation_step(&events, sizeof events, session->generation, 0) != ABY_OK)
    return session_failed(session, "step");
  if (events.kind[0] == ABY_EVENT_TOKEN && reply->count < REPLY_TOKENS)
    reply->tokens[reply->count++] = events.token[0];
  if (events.kind[0] != ABY_EVENT_END)
    return 1;
  *runs = 0;
  if (library->aby_sequence_output(&logits, sizeof logits, session->sequence, ABY_OUTPUT_LOGITS, 0) != ABY_OK ||
      logits.shape[1] < REPLY_LOGITS || reply->count != REPLY_TOKENS)
    return session_failed(session, "the reply is not whole");
  memcpy(reply->logits, logits.data, sizeof reply->logits);
  return 1;
}

static inline void close_session(struct session *session) {
  session->library->aby_generation_destroy(session->generation);
  session->library->aby_sequence_destroy(session->sequence);
  session->library->aby_model_destroy(session->model);
}

static inline int whole_reply(struct reply *out, const struct library *library, const char *path,
                              const struct settings *settings) {
  struct session session;
  int runs = 1, ok = open_session(&session, library, path, settings);
  while (ok && runs)
    ok = step_session(&session, &runs);
  *out = session.reply;
  close_session(&session);
  return ok;
}

#endif
