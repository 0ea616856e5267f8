/* Two copies of the library in one process, with different settings: each does what it does alone.
 *
 *   copies_test MODEL_FOLDER file|namespace|plugin FILE
 *
 * The first copy is linked to the program. The second comes from FILE: `file` loads a copy of it, `namespace` the same
 * into a namespace with a C library and a oneDNN of its own, `plugin` loads a plugin that is linked with the library.
 */
#include "reply_session.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS 4

static const struct settings first_settings = {1, ABY_WEIGHTS_INT8, 7, "/no/such/first"};
static const struct settings second_settings = {3, ABY_WEIGHTS_INT4, 11, "/no/such/second"};

static struct {
  const char *model;
  char folder[64];
  struct library first, second;
  struct reply first_expected, second_expected; /* of either copy with these settings: see run */
  __typeof__(&pthread_create) start_second;     /* of the second copy's C library */
  __typeof__(&pthread_join) join_second;
} test;

static int failed(const char *what) {
  fprintf(stderr, "%s\n", what);
  return 0;
}

static int copy_file(const char *to_path, const char *from_path) {
  static char block[1 << 16];
  FILE *from = fopen(from_path, "rb"), *to = fopen(to_path, "wb");
  size_t size = 0;
  int ok = from != NULL && to != NULL;
  while (ok && (size = fread(block, 1, sizeof block, from)) > 0)
    ok = fwrite(block, 1, size, to) == size;
  if (from != NULL)
    fclose(from);
  return to != NULL && fclose(to) == 0 && ok;
}

/* Removes the folder's files and returns how many there were. */
static int empty_folder(const char *folder) {
  DIR *entries = opendir(folder);
  const struct dirent *entry;
  char path[512];
  int count = 0;
  while (entries != NULL && (entry = readdir(entries)) != NULL) {
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    count += entry->d_name[0] != '.' && unlink(path) == 0;
  }
  if (entries != NULL)
    closedir(entries);
  return count;
}

/* Both on this thread, a step of each in turn; an error of each before, whose text must last. */
static int reply_in_turn(void) {
  struct session first, second;
  int ok, first_runs = 1, second_runs = 1;
  ok = open_session(&first, &test.first, test.model, &first_settings) &&
       open_session(&second, &test.second, test.model, &second_settings) &&
       fail_to_open(&test.first, "/no/such/model/of/the/first") &&
       fail_to_open(&test.second, "/no/such/model/of/the/second");
  while (ok && (first_runs || second_runs)) {
    ok = (!first_runs || step_session(&first, &first_runs)) && (!second_runs || step_session(&second, &second_runs));
    ok = ok && strstr(test.first.aby_last_error(), "/no/such/model/of/the/first") != NULL &&
         strstr(test.second.aby_last_error(), "/no/such/model/of/the/second") != NULL;
  }
  ok = ok && same_reply(&first.reply, &test.first_expected) && same_reply(&second.reply, &test.second_expected);
  close_session(&first);
  close_session(&second);
  return ok || failed("two replies in turn: not as each alone");
}

struct task {
  const struct library *library;
  const struct settings *settings;
  const struct reply *expected;
  pthread_barrier_t *start;
  int rounds, ok;
};

static void *run_task(void *argument) {
  struct task *task = argument;
  struct reply reply;
  pthread_barrier_wait(task->start);
  for (task->ok = 1; task->ok && task->rounds > 0; --task->rounds)
    task->ok = whole_reply(&reply, task->library, test.model, task->settings) && same_reply(&reply, task->expected);
  return NULL;
}

/* Each on a thread of its own, at the same time. */
static int reply_at_once(const struct settings *first, const struct settings *second,
                         const struct reply *second_expected, int rounds) {
  pthread_barrier_t start;
  pthread_t thread;
  struct task tasks[2] = {{&test.first, first, &test.first_expected, &start, rounds, 0},
                          {&test.second, second, second_expected, &start, rounds, 0}};
  int started =
      pthread_barrier_init(&start, NULL, 2) == 0 && test.start_second(&thread, NULL, run_task, &tasks[1]) == 0;
  if (!started)
    return failed("no thread can be started");
  run_task(&tasks[0]);
  test.join_second(thread, NULL);
  pthread_barrier_destroy(&start);
  return (tasks[0].ok && tasks[1].ok) || failed("two replies at once: not as each alone");
}

/* Both make the same packed cache at the same time: one file is left, and no one is warned. */
static int share_packed_cache(void) {
  struct settings settings = first_settings;
  int round, files;
  settings.packed_cache = test.folder;
  for (round = 0; round < ROUNDS; ++round) {
    if (!reply_at_once(&settings, &settings, &test.first_expected, 1))
      return failed("... with one packed cache");
    if ((files = empty_folder(test.folder)) != 1) {
      fprintf(stderr, "the folder of the packed cache holds %d files, expected 1\n", files);
      return 0;
    }
  }
  return 1;
}

static void *use_second(void *argument) {
  int *ok = argument;
  *ok = reply_in_turn() && reply_at_once(&first_settings, &second_settings, &test.second_expected, ROUNDS) &&
        share_packed_cache();
  return NULL;
}

static int load_function(void *out, void *handle, const char *name) {
  void *function = dlsym(handle, name);
  memcpy(out, &function, sizeof function);
  return function != NULL || failed(dlerror());
}

static void *load_plugin(const char *file) {
  void (*plugin)(struct library *) = NULL;
  void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL || !load_function(&plugin, handle, "plugin_library"))
    return NULL;
  plugin(&test.second);
  return handle;
}

static void *load_copy(const char *file) {
  char path[128];
  void *handle;
  snprintf(path, sizeof path, "%s/libcopy.so", test.folder);
  handle = copy_file(path, file) ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  unlink(path);
  return handle != NULL && loaded_library(&test.second, handle) ? handle : NULL;
}

static void *load_namespace(const char *file) {
  void *handle = dlmopen(LM_ID_NEWLM, file, RTLD_NOW | RTLD_LOCAL);
  return handle != NULL && loaded_library(&test.second, handle) &&
                 load_function(&test.start_second, handle, "pthread_create") &&
                 load_function(&test.join_second, handle, "pthread_join")
             ? handle
             : NULL;
}

/* The first copy is in the middle of a reply while the second comes, works and goes. A thread that has used the second
 * keeps it loaded until it ends, so that is a thread of its own where it can be. */
static int run(const char *kind, const char *file) {
  const int is_namespace = strcmp(kind, "namespace") == 0;
  struct session session;
  pthread_t thread;
  void *handle;
  int i, ok, runs = 1;
  test.first = linked_library();
  test.start_second = pthread_create;
  test.join_second = pthread_join;
  ok = whole_reply(&test.first_expected, &test.first, test.model, &first_settings) &&
       whole_reply(&test.second_expected, &test.first, test.model, &second_settings) &&
       (!same_reply(&test.first_expected, &test.second_expected) || failed("the settings make no difference")) &&
       open_session(&session, &test.first, test.model, &first_settings);
  for (i = 0; ok && i < 4; ++i)
    ok = step_session(&session, &runs);
  if (!ok)
    return 0;

  handle = is_namespace ? load_namespace(file) : strcmp(kind, "plugin") == 0 ? load_plugin(file) : load_copy(file);
  if (handle == NULL) {
    const char *reason = dlerror();
    return failed(reason != NULL ? reason : "the second copy cannot be loaded");
  }
  if (test.second.aby_last_error == test.first.aby_last_error)
    return failed("the second copy is the first");
  if (is_namespace)
    use_second(&ok);
  else if (pthread_create(&thread, NULL, use_second, &ok) != 0 || pthread_join(thread, NULL) != 0)
    return failed("no thread can be started");
  if (ok && dlclose(handle) != 0)
    return failed(dlerror());

  while (ok && runs)
    ok = step_session(&session, &runs);
  ok = ok && (same_reply(&session.reply, &test.first_expected) || failed("the reply is not that of a copy alone"));
  close_session(&session);
  return ok;
}

int main(int argc, char **argv) {
  int ok;
  if (argc != 4) {
    fprintf(stderr, "usage: %s MODEL_FOLDER file|namespace|plugin FILE\n", argv[0]);
    return 2;
  }
  test.model = argv[1];
  snprintf(test.folder, sizeof test.folder, P_tmpdir "/abyssal-copies-XXXXXX");
  if (mkdtemp(test.folder) == NULL)
    return !failed("no folder can be made");
  ok = run(argv[2], argv[3]);
  empty_folder(test.folder);
  rmdir(test.folder);
  return !ok;
}
