/* Every kind of declaration of the headers in use, in the part of C that is C++ too. */
#ifndef ABYSSAL_HEADER_USE_H
#define ABYSSAL_HEADER_USE_H

#include <abyssal/abyssal.h>
#include <abyssal/ops.h>

static int32_t header_progress(void *context, aby_stage stage, uint64_t done, uint64_t total) {
  (void)context;
  return stage == ABY_STAGE_READ && done > total ? 1 : 0;
}

/* Zero if a struct from its init function can be used. */
static int use_header(void) {
  aby_model_options options;
  aby_model *model = NULL;
  if (aby_version() / 10000 != ABY_VERSION_MAJOR || aby_model_options_init(&options, sizeof options) != ABY_OK)
    return 1;
  options.progress = header_progress;
  options.activations = ABY_DTYPE_F32;
  if (aby_model_open(&model, NULL, &options) != ABY_ERROR_INVALID_ARGUMENT || model != NULL)
    return 2;
  return aby_moe_route(NULL, NULL) == ABY_ERROR_INVALID_ARGUMENT ? 0 : 3;
}

#endif
