/* Loads the library at run time, uses it, and unloads it, several times in one process: nothing may be left that refers
 * to unloaded code, such as a thread or an exit handler.
 *
 *   dlopen_test LIBRARY MODEL_FOLDER
 */
#include <abyssal/abyssal.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 3

/* A function of the library as a pointer of its type; POSIX guarantees that the pointers have one size. */
#define LOAD(library, name) load_function(library, #name, &api.name, sizeof api.name)

static struct {
  const char *(*aby_version_string)(void);
  const char *(*aby_last_error)(void);
  aby_status (*aby_model_options_init)(aby_model_options *, size_t);
  aby_status (*aby_model_open)(aby_model **, const char *, const aby_model_options *);
  aby_status (*aby_model_tokenize)(int32_t *, size_t, size_t *, const aby_model *, const char *, size_t, uint32_t);
  aby_status (*aby_sequence_create)(aby_sequence **, aby_model *);
  aby_status (*aby_sequence_eval)(aby_sequence *, const int32_t *, size_t, const aby_eval_options *);
  aby_status (*aby_sequence_output)(aby_array *, size_t, aby_sequence *, aby_output_kind, int32_t);
  void (*aby_sequence_destroy)(aby_sequence *);
  void (*aby_model_destroy)(aby_model *);
} api;

static int load_function(void *library, const char *name, void *out, size_t size) {
  void *function = dlsym(library, name);
  if (function == NULL || size != sizeof function)
    return 0;
  memcpy(out, &function, size);
  return 1;
}

static int load_functions(void *library) {
  return LOAD(library, aby_version_string) && LOAD(library, aby_last_error) && LOAD(library, aby_model_options_init) &&
         LOAD(library, aby_model_open) && LOAD(library, aby_model_tokenize) && LOAD(library, aby_sequence_create) &&
         LOAD(library, aby_sequence_eval) && LOAD(library, aby_sequence_output) &&
         LOAD(library, aby_sequence_destroy) && LOAD(library, aby_model_destroy);
}

/* Opens a model with worker threads, evaluates a text, and fails once on purpose. The logit of token 0 goes to *out. */
static int use_library(float *out, const char *path) {
  static const char text[] = "The same text each time";
  aby_model_options options;
  aby_model *model = NULL;
  aby_sequence *sequence = NULL;
  aby_array logits;
  int32_t tokens[64];
  size_t count = 0;
  int ok = api.aby_model_options_init(&options, sizeof options) == ABY_OK &&
           api.aby_model_open(&model, "/no/such/folder", NULL) == ABY_ERROR_NOT_FOUND &&
           strstr(api.aby_last_error(), "/no/such/folder") != NULL;
  options.threads = 2;
  ok = ok && api.aby_model_open(&model, path, &options) == ABY_OK &&
       api.aby_model_tokenize(tokens, 64, &count, model, text, strlen(text), ABY_TOKENIZE_DEFAULT) == ABY_OK &&
       count <= 64 && api.aby_sequence_create(&sequence, model) == ABY_OK &&
       api.aby_sequence_eval(sequence, tokens, count, NULL) == ABY_OK &&
       api.aby_sequence_output(&logits, sizeof logits, sequence, ABY_OUTPUT_LOGITS, 0) == ABY_OK;
  if (ok)
    *out = *(const float *)logits.data;
  else
    fprintf(stderr, "a call failed: %s\n", api.aby_last_error());
  api.aby_model_destroy(model); /* before its sequence: the order does not matter */
  api.aby_sequence_destroy(sequence);
  return ok;
}

struct use {
  const char *path;
  float logit;
  int ok;
};

/* The error text is the thread's own, and its destructor keeps the library loaded until the thread has ended. So every
 * use is on a thread of its own, and nothing is called on the main thread. */
static void *use_on_thread(void *argument) {
  struct use *use = argument;
  use->ok = use_library(&use->logit, use->path);
  return NULL;
}

int main(int argc, char **argv) {
  struct use use;
  pthread_t thread;
  float first = 0;
  int round;
  if (argc != 3) {
    fprintf(stderr, "usage: %s LIBRARY MODEL_FOLDER\n", argv[0]);
    return 2;
  }
  for (round = 0; round < ROUNDS; ++round) {
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL || !load_functions(library)) {
      fprintf(stderr, "round %d: %s\n", round, dlerror());
      return 1;
    }
    use.path = argv[2];
    if (pthread_create(&thread, NULL, use_on_thread, &use) != 0 || pthread_join(thread, NULL) != 0 || !use.ok)
      return 1;
    if (round == 0)
      first = use.logit;
    if (memcmp(&first, &use.logit, sizeof first) != 0) {
      fprintf(stderr, "round %d: logit %g, in the first round %g\n", round, (double)use.logit, (double)first);
      return 1;
    }
    if (dlclose(library) != 0) {
      fprintf(stderr, "round %d: %s\n", round, dlerror());
      return 1;
    }
    library = dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD);
    printf("round %d: %s\n", round, library == NULL ? "unloaded" : "stays loaded");
    if (library != NULL) {
      fprintf(stderr, "the library cannot be unloaded: something in it is marked as not to be deleted\n");
      return 1;
    }
  }
  return 0;
}
