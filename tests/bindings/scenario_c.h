/* What the parts of the C driver share: the objects by their slots, and how results are told. */
#ifndef ABYSSAL_TESTS_SCENARIO_C_H
#define ABYSSAL_TESTS_SCENARIO_C_H

#include "scenario_step.h"

#include <abyssal/abyssal.h>
#include <abyssal/ops.h>

enum { SLOTS = 8, TOKENS = 4096, TEXT = 1 << 16, FLOATS = 4096, TENSORS = 32 };

extern aby_device *devices[SLOTS];
extern aby_model *models[SLOTS];
extern aby_sequence *sequences[SLOTS];

/* Room for what a call takes or gives. */
extern int32_t token_room[TOKENS];
extern char text_room[TEXT];

/* Whether a call has failed; then its error is told. */
int failed(const step *s, aby_status status);

/* A call that fails only by a fault of the driver. */
void must(aby_status status);

size_t slot(const step *s, const char *name);
void say_numbers(const step *s, const char *word, const uint64_t *values, size_t count);
void say_error(const step *s, aby_status status, const char *text);

/* Kinds of steps. */
void version(const step *s);
void backends(const step *s);
void device(const step *s);
void plan(const step *s);
void open_model(const step *s);
void tensor(const step *s);
void open_tensors(const step *s);
void update(const step *s);
void info(const step *s);
void tokenize(const step *s);
void detokenize(const step *s);
void render_chat(const step *s);
void sequence(const step *s);
void eval(const step *s);
void eval_batch(const step *s);
void interrupt(const step *s);
void output(const step *s);
void tokens(const step *s);
void truncate_to(const step *s);
void fork_into(const step *s);
void generate(const step *s);
void chat(const step *s);
void route(const step *s);
void experts(const step *s);
void run_experts(const step *s);
void mla(const step *s);
void attend(const step *s);

/* Renders the step's messages into text_room. */
aby_status render(const step *s, size_t *length);

void close_layer(const char *name);

#endif
