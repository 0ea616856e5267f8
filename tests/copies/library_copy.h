/* One copy of the library, as pointers to its functions: a program that has two cannot call them by name. */
#ifndef LIBRARY_COPY_H
#define LIBRARY_COPY_H

#include <abyssal/abyssal.h>

#include <dlfcn.h>
#include <string.h>

#define LIBRARY_FUNCTIONS(use)                                                                                         \
  use(aby_last_error) use(aby_device_info_get) use(aby_device_destroy) use(aby_model_options_init) use(aby_model_open) \
      use(aby_model_device) use(aby_model_destroy) use(aby_sequence_create) use(aby_sequence_output)                   \
          use(aby_sequence_destroy) use(aby_reply_options_init) use(aby_generation_create) use(aby_generation_step)    \
              use(aby_generation_destroy)

struct library {
#define LIBRARY_MEMBER(name) __typeof__(&name) name;
  LIBRARY_FUNCTIONS(LIBRARY_MEMBER)
};

/* The copy that this file is linked with. */
static inline struct library linked_library(void) {
#define LIBRARY_LINKED(name) .name = name,
  const struct library library = {LIBRARY_FUNCTIONS(LIBRARY_LINKED)};
  return library;
}

/* The copy of a handle from dlopen; 0 where a function is missing. */
static inline int loaded_library(struct library *out, void *handle) {
  void *function;
#define LIBRARY_LOADED(name)                                                                                           \
  if ((function = dlsym(handle, #name)) == NULL)                                                                       \
    return 0;                                                                                                          \
  memcpy(&out->name, &function, sizeof function);
  LIBRARY_FUNCTIONS(LIBRARY_LOADED)
  return 1;
}

#endif
