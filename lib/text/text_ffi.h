/* The C boundary between the C++ text library and its Rust part (rust/src/ffi.rs). Both sides are built together;
 * nobody else sees it. Texts are UTF-8 with a length. Every function returns a status; on any other than ABYTEXT_OK the
 * outputs are untouched and error holds the text. No panic crosses. Handles are immutable and may be used from any
 * thread, but for abytext_constraint, which one thread uses at a time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  ABYTEXT_OK = 0,
  ABYTEXT_INVALID = 1,     /* the input (JSON, template, text) is in error */
  ABYTEXT_UNSUPPORTED = 2, /* valid, but not handled */
  ABYTEXT_INTERNAL = 3,    /* a panic, or no thread could be started */
  ABYTEXT_CANCELLED = 4    /* of constraints: interrupted by abytext_cancellation_request */
};

/* A text that the Rust side allocated; give it back to abytext_text_free. data may be NULL when size is 0. */
typedef struct abytext_text {
  char *data;
  size_t size;
} abytext_text;
void abytext_text_free(abytext_text text);

typedef struct abytext_ids {
  uint32_t *data;
  size_t size;
} abytext_ids;
void abytext_ids_free(abytext_ids ids);

enum { ABYTEXT_TOKEN_EXISTS = 1, ABYTEXT_TOKEN_SPECIAL = 2 };

/* What decoding needs, borrowed from the tokenizer. Token i has the bytes bytes[offsets[i]] .. bytes[offsets[i + 1]]
 * and flags[i], for i < count, one more than the highest id. */
typedef struct abytext_vocabulary {
  size_t count;
  const uint64_t *offsets; /* [count + 1] */
  const uint8_t *bytes;
  const uint8_t *flags; /* [count] */
  int64_t leading;      /* the special token that the post-processor puts before a text, or -1 */
  size_t strip_count;   /* decoding a text drops up to this many of strip_byte from its start */
  char strip_byte;
} abytext_vocabulary;

typedef struct abytext_tokenizer abytext_tokenizer;
int32_t abytext_tokenizer_create(const char *json, size_t size, abytext_tokenizer **out, abytext_text *error);
void abytext_tokenizer_destroy(abytext_tokenizer *tokenizer);
void abytext_tokenizer_vocabulary(const abytext_tokenizer *tokenizer, abytext_vocabulary *out);
/* plain non-zero: added tokens in the text are not recognised. */
int32_t abytext_tokenizer_encode(const abytext_tokenizer *tokenizer, const char *text, size_t size, int32_t plain,
                                 abytext_ids *out, abytext_text *error);
/* The id of a token's exact content, or -1. */
int64_t abytext_tokenizer_token_id(const abytext_tokenizer *tokenizer, const char *content, size_t size);

typedef struct abytext_template abytext_template;
/* globals: a JSON object of variables that every rendering sees. */
int32_t abytext_template_create(const char *source, size_t source_size, const char *globals, size_t globals_size,
                                abytext_template **out, abytext_text *error);
void abytext_template_destroy(abytext_template *compiled);
/* messages: a JSON array of objects; tools: a JSON array or ""; variables: a JSON object or "". */
int32_t abytext_template_render(const abytext_template *compiled, const char *messages, size_t messages_size,
                                const char *tools, size_t tools_size, const char *variables, size_t variables_size,
                                int32_t add_generation_prompt, abytext_text *out, abytext_text *error);

/* What the constraints of a model share: the bytes of its tokens. A mask has a bit for each of vocab_size ids and one
 * more, the last, for the end of the reply. ends: ids that end a reply; they stand for no text. */
typedef struct abytext_constraint_compiler abytext_constraint_compiler;
int32_t abytext_constraint_compiler_create(const abytext_tokenizer *tokenizer, size_t vocab_size, const uint32_t *ends,
                                           size_t end_count, abytext_constraint_compiler **out, abytext_text *error);
void abytext_constraint_compiler_destroy(abytext_constraint_compiler *compiler);

typedef struct abytext_compiled_constraint abytext_compiled_constraint;
/* kind: 1 a JSON schema, 2 a regular expression, 3 a Lark grammar. */
int32_t abytext_constraint_compile(const abytext_constraint_compiler *compiler, int32_t kind, const char *text,
                                   size_t size, abytext_compiled_constraint **out, abytext_text *error);
void abytext_compiled_constraint_destroy(abytext_compiled_constraint *compiled);

/* One reply's way through a compiled constraint. */
typedef struct abytext_constraint abytext_constraint;
int32_t abytext_constraint_begin(const abytext_compiled_constraint *compiled, abytext_constraint **out,
                                 abytext_text *error);
void abytext_constraint_destroy(abytext_constraint *constraint);
/* The ids that may come next, bit i % 32 of (*out)[i / 32], valid until the next call on the constraint. */
int32_t abytext_constraint_mask(abytext_constraint *constraint, const uint32_t **out, abytext_text *error);
/* Goes on behind a token of the mask. */
int32_t abytext_constraint_take(abytext_constraint *constraint, uint32_t token, abytext_text *error);

/* Interrupts the two above from any thread, for good. */
typedef struct abytext_cancellation abytext_cancellation;
abytext_cancellation *abytext_constraint_cancellation(const abytext_constraint *constraint);
void abytext_cancellation_request(const abytext_cancellation *cancellation);
void abytext_cancellation_destroy(abytext_cancellation *cancellation);

#ifdef __cplusplus
}
#endif
