/* abyssal.h - the whole C API of libabyssal.
 *
 * Copyright 2026 the Abyssal authors. SPDX-License-Identifier: Apache-2.0
 *
 * This header is the specification. Rules that hold for every function:
 *
 * Status.    Every function that can fail returns aby_status: 0 is success, errors are negative and their codes never
 *            change. After an error aby_last_error() describes it on the calling thread, all out parameters are
 *            untouched, nothing needs cleaning up, and every object stays usable or can be destroyed. An error's text
 *            is whole UTF-8 characters, at most 2047 bytes.
 *            The library never aborts, exits, prints, throws across this boundary or installs a signal handler.
 * Out.       Out parameters come first. "out" must not be NULL unless the function says so.
 * Text.      Text in is UTF-8. Text out is bytes and a length written into the caller's memory. Functions that fill
 *            an array (out, capacity, out_count) set *out_count to the number of elements there are. Where they are
 *            more than capacity, nothing is written and the result is ABY_ERROR_TOO_SMALL; with capacity 0, which asks
 *            for the number alone, it is ABY_OK, and out may be NULL.
 * Structs.   Every struct starts with struct_size. One that goes in is filled with the defaults by its init function,
 *            called with sizeof(struct), and then changed. One that only comes out needs no init: the function that
 *            fills it takes its size. Structs only ever grow at the end, and only sizes that a release had are accepted
 *            (ABY_ERROR_STRUCT_SIZE). Fields named reserved must be 0.
 * Handles.   Handles are opaque and reference counted inside: a child keeps its parents alive, so the order of
 *            destruction never matters. Destroy functions accept NULL.
 * Pointers.  A returned pointer is borrowed; the comment says until when it is valid.
 * Threads.   Said per type below. Any handle may be destroyed from any thread, once.
 *
 * Shapes are written [rows, columns], row-major, in the alphabet: b batch, s sequence, h heads, d head size, e experts,
 * k top-k, v vocabulary.
 */
#ifndef ABYSSAL_ABYSSAL_H
#define ABYSSAL_ABYSSAL_H

#include <stddef.h>
#include <stdint.h>

#if defined(ABYSSAL_STATIC)
#define ABY_API
#elif defined(_WIN32)
#if defined(ABYSSAL_BUILDING)
#define ABY_API __declspec(dllexport)
#else
#define ABY_API __declspec(dllimport)
#endif
#else
#define ABY_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- version, status and error text */

/** Result of a call: ABY_OK or one of the negative codes below. Codes are pinned forever. */
typedef int32_t aby_status;
enum {
  ABY_OK = 0,
  ABY_ERROR_INTERNAL = -1,         /**< A bug in Abyssal. Please report the text. */
  ABY_ERROR_INVALID_ARGUMENT = -2, /**< NULL, out of range, or a contradiction between arguments. */
  ABY_ERROR_STRUCT_SIZE = -3,      /**< struct_size is none that this library knows. */
  ABY_ERROR_NO_MEMORY = -4,        /**< Host or device memory is exhausted. */
  ABY_ERROR_NOT_FOUND = -5,        /**< A file, tensor, backend or device does not exist. */
  ABY_ERROR_IO = -6,               /**< The operating system could not read or map a file. */
  ABY_ERROR_FORMAT = -7,           /**< A file is damaged, truncated or contradicts itself. */
  ABY_ERROR_UNSUPPORTED = -8,      /**< Valid, but this build cannot do it (architecture, dtype, option). */
  ABY_ERROR_CANCELLED = -9,        /**< Cancelled by the caller. State is as before the call. */
  ABY_ERROR_BUSY = -10,            /**< The object is in use by a call on another thread. */
  ABY_ERROR_CONTEXT_FULL = -11,    /**< The tokens never fit: into the model's context, or the whole cache. */
  ABY_ERROR_TEMPLATE = -12,        /**< The chat template, or the messages given to it, are in error. */
  ABY_ERROR_ENCODING = -13,        /**< Text is not valid UTF-8. */
  ABY_ERROR_STATE = -14,           /**< The object is not in a state that allows this call. */
  ABY_ERROR_DEVICE = -15,          /**< The backend or its device failed. */
  ABY_ERROR_TOO_SMALL = -16,       /**< The array is too small; *out_count says what there is. */
  ABY_ERROR_CACHE_FULL = -17       /**< The cache has no blocks free now: try again when other sequences have ended. */
};

#define ABY_VERSION_MAJOR 0
#define ABY_VERSION_MINOR 1
#define ABY_VERSION_PATCH 0

/** Version of the library that is loaded, as major * 10000 + minor * 100 + patch. Since 0.1. */
ABY_API uint32_t aby_version(void);

/** Version as text, such as "0.1.0". The pointer is valid while the library is loaded. Since 0.1. */
ABY_API const char *aby_version_string(void);

/** Name of a status, such as "ABY_ERROR_FORMAT"; "ABY_ERROR_UNKNOWN" for a code that is not known. The pointer is
 *  valid while the library is loaded. Since 0.1. */
ABY_API const char *aby_status_name(aby_status status);

/** Text of the calling thread's last error: what was wrong, where, and what was expected. Never NULL; "" when no call
 *  on this thread has failed. Valid until the next failing call on this thread. Since 0.1. */
ABY_API const char *aby_last_error(void);

/* ---------------------------------------------------------------- element types */

/** Element type of a tensor. */
typedef int32_t aby_dtype;
enum {
  ABY_DTYPE_AUTO = 0, /**< In options: the library chooses. Never an array's type. */
  ABY_DTYPE_F32 = 1,
  ABY_DTYPE_F16 = 2,
  ABY_DTYPE_BF16 = 3,
  ABY_DTYPE_F8_E4M3 = 4, /**< 4 exponent bits, 3 mantissa bits, no infinity. */
  ABY_DTYPE_F8_E8M0 = 5, /**< A power of two: scales of newer fp8 checkpoints. */
  ABY_DTYPE_I8 = 6,
  ABY_DTYPE_U8 = 7,
  ABY_DTYPE_I32 = 8,
  ABY_DTYPE_I64 = 9,
  ABY_DTYPE_I16 = 10, /**< Only of arithmetic: activations rounded to 16 bits. Never an array's type. */

  /* Block formats of quantised weights in GGUF files: a row is a whole number of blocks, whose elements share scales.
   * Only weights that are stored have such a type; arrays that the library gives never do. */
  ABY_DTYPE_Q4_0 = 20,   /**< 32 elements in 18 bytes. */
  ABY_DTYPE_Q4_1 = 21,   /**< 32 elements in 20 bytes. */
  ABY_DTYPE_Q5_0 = 22,   /**< 32 elements in 22 bytes. */
  ABY_DTYPE_Q5_1 = 23,   /**< 32 elements in 24 bytes. */
  ABY_DTYPE_Q8_0 = 24,   /**< 32 elements in 34 bytes. */
  ABY_DTYPE_Q2_K = 25,   /**< 256 elements in 84 bytes. */
  ABY_DTYPE_Q3_K = 26,   /**< 256 elements in 110 bytes. */
  ABY_DTYPE_Q4_K = 27,   /**< 256 elements in 144 bytes. */
  ABY_DTYPE_Q5_K = 28,   /**< 256 elements in 176 bytes. */
  ABY_DTYPE_Q6_K = 29,   /**< 256 elements in 210 bytes. */
  ABY_DTYPE_IQ4_NL = 30, /**< 32 elements in 18 bytes. */
  ABY_DTYPE_IQ4_XS = 31, /**< 256 elements in 136 bytes. */
  ABY_DTYPE_MXFP4 = 32   /**< 32 elements in 17 bytes. */
};

/** Most dimensions of a tensor. */
#define ABY_MAX_RANK 4

/** A named tensor in the caller's memory, row-major and contiguous. */
typedef struct aby_tensor {
  uint32_t struct_size;
  aby_dtype dtype;
  const char *name; /**< As the published checkpoints name it, e.g. "model.norm.weight". */
  const void *data;
  uint64_t bytes; /**< Size of data: must equal the elements, or the blocks of all rows, times their size. */
  uint32_t rank;  /**< 1 to ABY_MAX_RANK. */
  uint32_t reserved;
  int64_t shape[ABY_MAX_RANK];
} aby_tensor;

/** Fills *out with zeros and struct_size. Since 0.1. */
ABY_API aby_status aby_tensor_init(aby_tensor *out, size_t struct_size);

/** A borrowed, read-only, row-major array in the library's memory. */
typedef struct aby_array {
  uint32_t struct_size;
  aby_dtype dtype; /**< ABY_DTYPE_F32 or ABY_DTYPE_I32. */
  const void *data;
  uint32_t rank;
  uint32_t reserved;
  int64_t shape[ABY_MAX_RANK];
} aby_array;

/* ---------------------------------------------------------------- backends and devices */

/** What a backend offers. */
typedef struct aby_backend_info {
  uint32_t struct_size;
  uint32_t device_count; /**< Devices that aby_device_open accepts; 0 when the hardware is missing. */
  const char *name;      /**< "cpu", "reference", ... Valid while the library is loaded. */
} aby_backend_info;

/** Number of backends built into the library, best first. Since 0.1. */
ABY_API aby_status aby_backend_count(size_t *out);

/** Describes the backend at index, 0 to count - 1. Since 0.1. */
ABY_API aby_status aby_backend_info_get(aby_backend_info *out, size_t struct_size, size_t index);

/** A device of a backend, with its worker threads or streams. Any thread may use it; calls that run work on one
 *  device from several threads are served one after the other. */
typedef struct aby_device aby_device;

/** Options of aby_device_open. */
typedef struct aby_device_options {
  uint32_t struct_size;
  uint32_t index;      /**< Which of the backend's devices; 0 is the first. */
  const char *backend; /**< NULL: the best one present. Else a name, or the path of a module (with a '/'). */
  uint32_t threads;    /**< Worker threads of a CPU backend, the calling thread included; 0: one per core. */
  uint32_t reserved;
} aby_device_options;

/** Fills *out with the defaults. Since 0.1. */
ABY_API aby_status aby_device_options_init(aby_device_options *out, size_t struct_size);

/** Opens a device. options may be NULL for the defaults.
 *  ABY_ERROR_NOT_FOUND: no such backend or device; the text lists those that there are. Since 0.1. */
ABY_API aby_status aby_device_open(aby_device **out, const aby_device_options *options);

/** What a device is. Strings are valid while the device lives. */
typedef struct aby_device_info {
  uint32_t struct_size;
  uint32_t threads;      /**< Worker threads, the calling one included; 0 for a device that has none. */
  const char *backend;   /**< Name of its backend. */
  const char *name;      /**< Such as the processor's model name. */
  const char *isa;       /**< Instruction sets in use, such as "avx2 avx512 avx512_bf16". */
  uint64_t memory_bytes; /**< Memory of the device that this process may use; 0 if unknown. */
} aby_device_info;

/** Describes a device. Since 0.1. */
ABY_API aby_status aby_device_info_get(aby_device_info *out, size_t struct_size, const aby_device *device);

/** Releases the caller's reference. NULL is ignored. Since 0.1. */
ABY_API void aby_device_destroy(aby_device *device);

/* ---------------------------------------------------------------- models */

/** A checkpoint, its weights prepared on a device, and the pool of cache blocks that its sequences share.
 *  Immutable but for aby_model_update, and shared: any thread may call any function on it at any time. */
typedef struct aby_model aby_model;

/** What aby_model_open is doing. */
typedef int32_t aby_stage;
enum { ABY_STAGE_READ = 0, /**< Reading headers. */ ABY_STAGE_WEIGHTS = 1 /**< Preparing weights. */ };

/** Progress of aby_model_open: done of total bytes in a stage. Called on the thread that opens. A result other than
 *  0 cancels: the call returns ABY_ERROR_CANCELLED. Must not call back into the library with this model. */
typedef int32_t (*aby_progress_fn)(void *context, aby_stage stage, uint64_t done, uint64_t total);

/** How weights are held. Since 0.1. */
typedef int32_t aby_weights_kind;
enum {
  ABY_WEIGHTS_STORED = 0, /**< As the checkpoint stores them. */
  ABY_WEIGHTS_INT8 = 1,   /**< Rounded to 8 bits when they are loaded: groups of 32 inputs share a float16 scale. */
  ABY_WEIGHTS_INT4 = 2    /**< The same in 4 bits, but for attention and the first layer, which have 8. */
};

/** Says something that is not an error of the call, such as that a file could not be written. text is valid during the
 *  call, which is made on the thread that opens. Must not call back into the library with this model. Since 0.1. */
typedef void (*aby_warning_fn)(void *context, const char *text);

/** The form of MLA attention. Both give the same but for rounding. */
typedef int32_t aby_attention_kind;
enum {
  ABY_ATTENTION_AUTO = 0,     /**< By absorb_below: what is least work. The form, and with it last bits, then depends on
                                   how many tokens of a sequence share a pass. */
  ABY_ATTENTION_ABSORBED = 1, /**< Absorbed, for any number of tokens. Where every matrix is quantised (the router and
                                 kv_b_proj may be of any type) and activations is not F32, results on "cpu" then have
                                 the same bits however tokens are cut into calls and passes, and whichever of them were
                                 cached before. Other weights do not reach that: a pass of up to 8 rows multiplies them
                                 in another order than one of more. */
  ABY_ATTENTION_EXPANDED = 2  /**< Un-absorbed: keys and values are expanded from the cached rows. */
};

/** Options of aby_model_plan, aby_model_open and aby_model_open_tensors. */
typedef struct aby_model_options {
  uint32_t struct_size;
  uint32_t threads;      /**< When device is NULL: worker threads; 0: one per core. */
  aby_device *device;    /**< Where to run; NULL: one is opened from backend and threads. */
  const char *backend;   /**< When device is NULL: as in aby_device_options. */
  aby_dtype activations; /**< AUTO (default): bfloat16 where most weights are stored in bf16, f16 or f8_e4m3 and none
                              is quantised, else float32; and in products with quantised weights rounded to int8, with
                              a scale for each 32, but to int16 where a group's largest value is over twice the row's
                              usual one, or everywhere where `weights` is INT8. F32: float32 everywhere, slow for
                              quantised weights. BF16: as AUTO with bfloat16 whatever is stored. I8: as AUTO, whatever
                              `weights` is. I16: as AUTO with int16 for quantised weights everywhere; up to twice the
                              products. aby_model_info says what was taken. */
  aby_dtype cache_dtype; /**< Type of cached rows: F32, BF16, I8, or AUTO: BF16 for quantised weights unless
                              activations is F32, else that of activations. I8: a float scale for each 64 values, and
                              k_rope of MLA in BF16: 58 % of the bytes of BF16 for kv_lora_rank 512. */
  uint64_t cache_tokens; /**< Most tokens that the cache of all sequences together holds, rounded up to whole blocks of
                              64. 0: as many as a quarter of the device's memory (aby_device_info.memory_bytes) holds,
                              and at least the smaller of the model's context and 32768. Memory of the host is taken as
                              blocks are used. */
  uint32_t absorb_below; /**< MLA attention is absorbed for sequences with fewer new tokens than this, else un-absorbed;
                              0: 128. 1: always un-absorbed. UINT32_MAX: always absorbed. */
  uint32_t mtp; /**< Non-zero: load the multi-token-prediction layer too. ABY_ERROR_UNSUPPORTED if there is none. */
  const char *tokenizer;    /**< Folder with tokenizer.json and tokenizer_config.json; NULL: the checkpoint's own, which
                                 for GGUF is in the file. */
  aby_progress_fn progress; /**< May be NULL. */
  void *progress_context;
  aby_weights_kind
      weights; /**< INT8, INT4: matrices that are stored in f32, f16, bf16 or f8_e4m3 are rounded while they are
               loaded, one at a time. As stored stay: what the checkpoint has in a block format already,
               the router, norms, embedding and head, and matrices whose rows are no multiple of 32. */
  aby_attention_kind attention; /**< Other than AUTO, absorb_below must be 0. Grouped-query attention has one form. */
  const char *packed_cache; /**< Folder for files that hold weights as the backend arranges them, so that the next open
                                 maps them instead of making them again; "" for beside the checkpoint; NULL: none. A
                                 file of other sources, options or another library is made anew. */
  uint32_t packed_cache_check; /**< Non-zero: every byte that is taken from the packed cache is checked by its hash,
                                    which reads the whole file. Else its header and index are. */
  uint32_t reserved;
  aby_warning_fn warning; /**< Hears of a packed cache that cannot be read or written. May be NULL. */
  void *warning_context;
  const int32_t *cancel; /**< Read until the call returns; any thread may set it. Once *cancel is not 0 the call returns
                              ABY_ERROR_CANCELLED soon. NULL: nobody cancels. */
} aby_model_options;

/** Fills *out with the defaults. Since 0.1. */
ABY_API aby_status aby_model_options_init(aby_model_options *out, size_t struct_size);

/** Memory that a model will need, and its sizes, known before any weight is read. */
typedef struct aby_model_plan {
  uint32_t struct_size;
  uint32_t layers;
  uint64_t parameters;        /**< All weights, without the MTP layer unless it was asked for. */
  uint64_t active_parameters; /**< Weights that one token uses, embedding and head not counted. */
  uint64_t file_bytes;        /**< Bytes of the checkpoint's tensors that will be used. */
  uint64_t weight_bytes;      /**< Memory of the prepared weights, mapped files included. */
  uint64_t mapped_bytes;      /**< Part of weight_bytes that stays in the mapped files. */
  uint64_t cache_bytes_per_token;
  uint64_t cache_tokens;  /**< Most tokens that the cache holds. */
  uint64_t cache_bytes;   /**< Of the cache when it is full. */
  uint64_t scratch_bytes; /**< Most temporary memory of one pass. */
  uint64_t total_bytes;   /**< weight_bytes + cache_bytes + scratch_bytes. */
} aby_model_plan;

/** Reads config and tensor headers of the checkpoint at path (see aby_model_open), checks that every tensor is there
 * with the right shape, and says what opening it would need. options may be NULL. Errors as aby_model_open. Since 0.1.
 */
ABY_API aby_status aby_model_plan_get(aby_model_plan *out, size_t struct_size, const char *path,
                                      const aby_model_options *options);

/** Opens a checkpoint: a folder as published (config.json, *.safetensors, tokenizer.json), or a GGUF model: its file,
 * any one of its parts (NAME-00001-of-00003.gguf; the others lie beside it), or a folder that holds one GGUF model and
 * no config.json. options may be NULL. Of GGUF, versions 2 and 3 are read, little-endian, of the architectures
 * deepseek2, qwen2 and llama, with tensors of the types in aby_dtype. Tensors are read where they are in the mapped
 * file, but for two kinds that are stored in another arrangement: kv_b_proj in halves is kept in F32, and q_proj and
 * k_proj of llama are copied. A checkpoint opens without a tokenizer, and with a tokenizer or chat template that is
 * damaged or not supported; has_tokenizer or has_chat_template of its info is then 0, and whatever needs them returns
 * the reason: see aby_model_tokenize and aby_model_render_chat. ABY_ERROR_NOT_FOUND, ABY_ERROR_IO, ABY_ERROR_FORMAT
 * (damaged; names file, key or tensor, and offset), ABY_ERROR_UNSUPPORTED (architecture, type; named; also the
 * tokenizer in the folder that options->tokenizer names), ABY_ERROR_NO_MEMORY, ABY_ERROR_CANCELLED. Since 0.1. */
ABY_API aby_status aby_model_open(aby_model **out, const char *path, const aby_model_options *options);

/** Opens a model from arrays in memory. config_json is the text of a config.json; tensors are copied.
 *  options->tokenizer may name a folder for text functions. Errors as aby_model_open. Since 0.1. */
ABY_API aby_status aby_model_open_tensors(aby_model **out, const char *config_json, const aby_tensor *const *tensors,
                                          size_t count, const aby_model_options *options);

/** Replaces weights by the tensors given, by name; others stay. Shapes must be those of the model; the dtype may
 *  differ. On success every sequence of this model is empty: caches made with the old weights are dropped.
 *  ABY_ERROR_BUSY while an evaluation runs; ABY_ERROR_NOT_FOUND for a tensor that the model does not have. On any
 *  error the model is unchanged. Since 0.1. */
ABY_API aby_status aby_model_update(aby_model *model, const aby_tensor *const *tensors, size_t count);

/** Writes the checkpoint in the folder `path` anew, into the folder `out_path`, which is made and must not hold a
 *  config.json yet: matrices rounded as options->weights says, other tensors, config and tokenizer as they are. The
 *  result opens as any checkpoint does. Opened with the same options->weights, which then decides the rounding of
 *  activations only, it gives the same results as `path` does, bit for bit. Its model.safetensors has the element types
 *  Q8_0 and Q4_0, which other programs do not know. The MTP layer is written where there is one. Of options, weights,
 *  threads and progress are used; weights must not be ABY_WEIGHTS_STORED. A GGUF model is refused with
 *  ABY_ERROR_UNSUPPORTED. Other errors as aby_model_open, and ABY_ERROR_IO; nothing that opens is left behind then.
 *  Since 0.1. */
ABY_API aby_status aby_model_quantize(const char *path, const char *out_path, const aby_model_options *options);

/** What a model is. Strings are valid while the model lives. */
typedef struct aby_model_info {
  uint32_t struct_size;
  uint32_t layers;          /**< num_hidden_layers. */
  const char *architecture; /**< model_type of the config: "deepseek_v3", "qwen2", ... */
  const char *attention;    /**< "mla" or "gqa". */
  const char *weight_types; /**< Types of the stored weights, such as "f32 bf16 f8_e4m3" or "f32 q4_k q6_k". */
  uint32_t hidden_size;
  uint32_t vocab_size;
  uint32_t heads;
  uint32_t kv_heads;     /**< Key-value heads of grouped-query attention; 0 for MLA. */
  uint32_t kv_lora_rank; /**< 0 for grouped-query attention. */
  uint32_t rope_dim;
  uint32_t experts;        /**< n_routed_experts; 0 for dense models. */
  uint32_t top_k;          /**< num_experts_per_tok. */
  uint32_t context_length; /**< max_position_embeddings. */
  uint32_t mtp_layers;     /**< MTP layers that are loaded. */
  int32_t bos_token;       /**< -1 if there is none. */
  uint32_t has_tokenizer;
  uint32_t has_chat_template;
  uint32_t reasons; /**< 1 if the vocabulary has the markers <think> and </think>. */
  aby_dtype activations;
  aby_dtype cache_dtype;
  uint64_t parameters; /**< This and the following: as in aby_model_plan. */
  uint64_t active_parameters;
  uint64_t file_bytes;
  uint64_t weight_bytes;
  uint64_t mapped_bytes;
  uint64_t cache_bytes_per_token;
  uint64_t cache_tokens;
  const char *weight_layouts; /**< Weights that are not held as they are stored, such as "q2_k as q4_g16_bias (2.62 to
                                   8.00 bits), bf16 as q8 (16.00 to 8.50 bits)": stored type, the backend's layout or
                                 the type they were rounded to (see `weights`), and bits a weight as stored and, where
                                 they differ, in memory. A block format keeps the values stored, but for the layout
                                 "bf16" of kv_b_proj; joined from halves, that is listed in the type of the whole. "" if
                                 there are none. */
  aby_dtype arithmetic;  /**< What activations are rounded to in products with quantised weights: I8, I16, or F32. */
  uint32_t packed_cache; /**< 1 if weights are mapped from a packed cache. */
  uint32_t tools;        /**< 1 if the chat template has a place for tools. */
  uint32_t reserved;
} aby_model_info;

/** Describes a model. Since 0.1. */
ABY_API aby_status aby_model_info_get(aby_model_info *out, size_t struct_size, const aby_model *model);

/** The tokens that end a reply: eos_token_id of generation_config.json or config.json; of GGUF, tokenizer.ggml's
 *  eos_token_id and eot_token_id. Since 0.1. */
ABY_API aby_status aby_model_eos_tokens(int32_t *out, size_t capacity, size_t *out_count, const aby_model *model);

/** The device that the model runs on; a new reference, to be destroyed by the caller. Since 0.1. */
ABY_API aby_status aby_model_device(aby_device **out, const aby_model *model);

/** What the evaluations of a model spent on one part of their work since the profile was started. */
typedef struct aby_profile_part {
  uint32_t struct_size;
  uint32_t reserved;
  const char *name; /**< "embedding", "norms" (and the residual's additions), "attention projections" (for MLA with the
                         norms inside them, RoPE and the writing of cached rows), "attention" (for grouped-query
                         attention with those), "router", "experts" (routed and shared), "mlp" (of dense layers), "head"
                         (with the final norm) or "sampling" (of generations). Valid while the library is loaded. */
  uint64_t calls;
  double seconds;
  uint64_t flops; /**< Of its products, two for a multiplication and its addition; 0 for parts that have none. */
  uint64_t bytes; /**< Of the weights and cached rows that those products must read, each counted once a call; of
                       experts, as many as the tokens of a call can reach. */
} aby_profile_part;

/** Starts measuring the evaluations of the model, from nothing (on non-zero), or stops (0); an evaluation that is
 *  running goes on as it began. Results are the same bits; every operation is waited for, which costs a device that
 *  runs ahead of the host its lead. Nothing is measured, and nothing lost, unless it is on. Since 0.1. */
ABY_API aby_status aby_model_profile(aby_model *model, uint32_t on);

/** Number of parts, all of which are always there. Since 0.1. */
ABY_API aby_status aby_model_profile_count(size_t *out, const aby_model *model);

/** What was measured of the part at index, 0 to count - 1, while the profile was on: also after it was stopped.
 *  The time between the parts (copies, waiting for other sequences, the caller's own) is in none of them. Since 0.1. */
ABY_API aby_status aby_model_profile_get(aby_profile_part *out, size_t struct_size, const aby_model *model,
                                         size_t index);

/** Releases the caller's reference. NULL is ignored. Since 0.1. */
ABY_API void aby_model_destroy(aby_model *model);

/* ---------------------------------------------------------------- text */

/** Flags of aby_model_tokenize. */
enum {
  ABY_TOKENIZE_DEFAULT = 0, /**< Markers of special tokens inside the text become those tokens. */
  ABY_TOKENIZE_ADD_BOS = 1, /**< Begin with the BOS token if the checkpoint asks for one and the text has none. */
  ABY_TOKENIZE_PLAIN = 2    /**< Treat markers of special tokens as ordinary text (for text from strangers). */
};

/** Token ids of a text, equal to Hugging Face's. length is in bytes.
 *  ABY_ERROR_ENCODING: invalid UTF-8; the text says at which byte. Of this and all functions that need a tokenizer:
 *  ABY_ERROR_STATE: the checkpoint has none; ABY_ERROR_UNSUPPORTED, ABY_ERROR_FORMAT, ABY_ERROR_IO: its tokenizer is
 *  not supported, damaged or unreadable; the text names the file, and of GGUF the key and its value, such as
 *  tokenizer.ggml.pre. Such a model still evaluates and generates token ids; its events have no text. Since 0.1. */
ABY_API aby_status aby_model_tokenize(int32_t *out, size_t capacity, size_t *out_count, const aby_model *model,
                                      const char *text, size_t length, uint32_t flags);

/** Flags of aby_model_detokenize. */
enum { ABY_DETOKENIZE_DEFAULT = 0, ABY_DETOKENIZE_SKIP_SPECIAL = 1 /**< Leave special tokens out. */ };

/** The exact bytes of tokens, not ended by NUL. A token may hold part of a UTF-8 character.
 *  ABY_ERROR_INVALID_ARGUMENT: an id outside the vocabulary. Since 0.1. */
ABY_API aby_status aby_model_detokenize(char *out, size_t capacity, size_t *out_length, const aby_model *model,
                                        const int32_t *tokens, size_t count, uint32_t flags);

/** Options of aby_model_render_chat. */
typedef struct aby_chat_options {
  uint32_t struct_size;
  uint32_t add_generation_prompt; /**< Default 1: end with the marker that opens the assistant's turn. */
  const char *tools_json;         /**< JSON array of tools as chat APIs describe them; NULL: none. */
  const char *variables_json;     /**< JSON object of further template variables, e.g. {"thinking":true}; NULL: none. */
  const char *chat_template;      /**< Used instead of the checkpoint's own; NULL: its own. */
  uint32_t allow_dropped_tools;   /**< Non-zero: tools that the template has no place for are left out. Else they are
                                       ABY_ERROR_UNSUPPORTED. */
  uint32_t reserved;
} aby_chat_options;

/** Fills *out with the defaults. Since 0.1. */
ABY_API aby_status aby_chat_options_init(aby_chat_options *out, size_t struct_size);

/** Renders messages with the checkpoint's chat template, as Hugging Face renders them. messages_json is a JSON array
 *  such as [{"role":"user","content":"Hi"}]; content may be null, which a template that fails on it sees as "". The
 * text holds the BOS marker where the template writes it: tokenize it without ABY_TOKENIZE_ADD_BOS. options may be
 * NULL. ABY_ERROR_TEMPLATE: the template is in error or failed, with its message and line; ABY_ERROR_STATE: no
 * template; ABY_ERROR_UNSUPPORTED: there are tools, and the template gives the same text without them. Without a
 * tokenizer as aby_model_tokenize. Since 0.1. */
ABY_API aby_status aby_model_render_chat(char *out, size_t capacity, size_t *out_length, const aby_model *model,
                                         const char *messages_json, size_t length, const aby_chat_options *options);

/* ---------------------------------------------------------------- sequences */

/** Tokens and the cache of their evaluation. One thread at a time; sequences of one model may run on different threads.
 *  A call on a sequence that is in use returns ABY_ERROR_BUSY. So does, while a reply is written onto it, every call
 * that would change it: until the reply has ended or was destroyed. */
typedef struct aby_sequence aby_sequence;

/** An empty sequence. Since 0.1. */
ABY_API aby_status aby_sequence_create(aby_sequence **out, aby_model *model);

/** Which results aby_sequence_eval keeps. */
enum {
  ABY_KEEP_DEFAULT = 0,
  ABY_KEEP_HIDDEN = 1,        /**< Hidden state after the final norm, of all tokens of this call. */
  ABY_KEEP_HIDDEN_LAYERS = 2, /**< Also the embedding and every layer's output. */
  ABY_KEEP_ROUTES = 4         /**< Experts and weights of each MoE layer. */
};

/** Options of aby_sequence_eval. */
typedef struct aby_eval_options {
  uint32_t struct_size;
  uint32_t keep;         /**< ABY_KEEP_ flags. */
  uint64_t logits;       /**< Logits of how many of the last tokens to compute; default 1; more than there are: all. */
  uint32_t mtp;          /**< Non-zero: run the MTP layer too; every evaluation of the sequence must then ask for it. */
  uint32_t chunk;        /**< Tokens of one pass; 0: 1024, or 512 where 1024 would need over 288 MiB of scratch. */
  const int32_t *cancel; /**< As in aby_model_options. */
} aby_eval_options;

/** Fills *out with the defaults. Since 0.1. */
ABY_API aby_status aby_eval_options_init(aby_eval_options *out, size_t struct_size);

/** Appends count tokens to the sequence and evaluates them. options may be NULL.
 *  ABY_ERROR_INVALID_ARGUMENT: a token outside the vocabulary, or count is 0; ABY_ERROR_CONTEXT_FULL;
 *  ABY_ERROR_CACHE_FULL; ABY_ERROR_CANCELLED. On error the sequence is as before, its outputs are gone. Since 0.1. */
ABY_API aby_status aby_sequence_eval(aby_sequence *sequence, const int32_t *tokens, size_t count,
                                     const aby_eval_options *options);

/** Evaluates several different sequences of one model in shared passes: sequence i gets counts[i] tokens from
 *  tokens[i]. The results equal those of each alone. Errors as aby_sequence_eval, and then no sequence has changed.
 *  Since 0.1. */
ABY_API aby_status aby_sequence_eval_batch(aby_sequence *const *sequences, const int32_t *const *tokens,
                                           const size_t *counts, size_t count, const aby_eval_options *options);

/** Results and cache contents of a sequence. */
typedef int32_t aby_output_kind;
enum {
  ABY_OUTPUT_LOGITS = 0,       /**< F32 [rows, vocab_size] of the last rows asked for; layer is ignored. */
  ABY_OUTPUT_HIDDEN = 1,       /**< F32 [tokens, hidden_size]: layer -1 after the final norm; 0 the embedding; L the
                                    output of layer L (1 to layers - 1); layers: as -1. */
  ABY_OUTPUT_ROUTE_INDEX = 2,  /**< I32 [tokens, top_k] experts of MoE layer `layer` (0-based), ascending. */
  ABY_OUTPUT_ROUTE_WEIGHT = 3, /**< F32 [tokens, top_k] in the order of the experts. */
  ABY_OUTPUT_CACHE_C_KV = 4,   /**< F32 [length, kv_lora_rank]: cached latent rows of layer `layer`, all tokens. */
  ABY_OUTPUT_CACHE_K_ROPE = 5, /**< F32 [length, rope_dim] after RoPE, interleaved order. */
  ABY_OUTPUT_CACHE_K = 6,      /**< F32 [length, kv_heads, head_dim] after RoPE (grouped-query attention). */
  ABY_OUTPUT_CACHE_V = 7,      /**< F32 [length, kv_heads, head_dim]. */
  ABY_OUTPUT_MTP_LOGITS = 8, /**< F32 [rows, vocab_size]: row r predicts the token after the next one. Row i belongs to
                                  the pair (hidden state of token t, embedding of token t + 1). */
  ABY_OUTPUT_MTP_HIDDEN = 9  /**< F32 [pairs, hidden_size] of the MTP layer, before its head's norm. */
};

/** Points *out at a result of the last evaluation, or at a copy of cached rows. The data is valid until the next
 *  call on the sequence that changes it (eval, truncate, update of the model) or its destruction; for cache outputs
 *  also only until the next cache output is asked for.
 *  ABY_ERROR_STATE: this result was not kept or does not exist for this model. Since 0.1. */
ABY_API aby_status aby_sequence_output(aby_array *out, size_t struct_size, aby_sequence *sequence,
                                       aby_output_kind output, int32_t layer);

/** Number of tokens. 0 after the model's weights were replaced. Since 0.1. */
ABY_API aby_status aby_sequence_length(size_t *out, const aby_sequence *sequence);

/** The tokens, those that a reply left to be evaluated included. Since 0.1. */
ABY_API aby_status aby_sequence_tokens(int32_t *out, size_t capacity, size_t *out_count, const aby_sequence *sequence);

/** Forgets all tokens from position length on. ABY_ERROR_INVALID_ARGUMENT if it is longer than the sequence.
 *  The outputs of the last evaluation are gone. Since 0.1. */
ABY_API aby_status aby_sequence_truncate(aby_sequence *sequence, size_t length);

/** A second sequence with the same tokens. Cache blocks are shared until one of the two writes (copy on write).
 *  Outputs are not carried over. Since 0.1. */
ABY_API aby_status aby_sequence_fork(aby_sequence **out, const aby_sequence *sequence);

/** Releases the caller's reference. NULL is ignored. Since 0.1. */
ABY_API void aby_sequence_destroy(aby_sequence *sequence);

/* ---------------------------------------------------------------- generation */

/** A reply being written onto a sequence, a step at a time. One thread at a time; aby_generation_cancel from any. */
typedef struct aby_generation aby_generation;

/** What binds the content of a reply. Since 0.1. */
typedef int32_t aby_constraint_kind;
enum {
  ABY_CONSTRAINT_JSON_SCHEMA = 1, /**< The content is JSON that a schema of up to 4 MiB admits, with few blanks. */
  ABY_CONSTRAINT_REGEX = 2,  /**< The content as a whole matches a regular expression of up to 64 KiB, in the syntax
                                of Rust's crate regex without anchors, lazy repetition and look-around. */
  ABY_CONSTRAINT_GRAMMAR = 3 /**< The content is a text of a context-free grammar of up to 64 KiB, in the variant of
                                Lark's notation that llguidance reads. */
};

/** A compiled constraint. Immutable: any thread and any number of replies of its model may use it. */
typedef struct aby_constraint aby_constraint;

/** Compiles a constraint; length is in bytes. The first one of a model takes longer.
 *  ABY_ERROR_INVALID_ARGUMENT: it does not compile, with the reason; ABY_ERROR_ENCODING; ABY_ERROR_STATE: the model has
 *  no tokenizer, or the error of aby_model_tokenize. Since 0.1. */
ABY_API aby_status aby_constraint_compile(aby_constraint **out, aby_model *model, aby_constraint_kind kind,
                                          const char *text, size_t length);

/** Releases the caller's reference. NULL is ignored. Since 0.1. */
ABY_API void aby_constraint_destroy(aby_constraint *constraint);

/** As seed: another one each time, which aby_generation_seed tells. */
#define ABY_SEED_RANDOM UINT64_MAX
/** As max_tokens: no limit but the context. */
#define ABY_NO_LIMIT UINT64_MAX

/** Of what log-probabilities are told. Since 0.1. */
typedef int32_t aby_logprobs;
enum {
  ABY_LOGPROBS_NONE = 0,
  ABY_LOGPROBS_MODEL = 1 /**< Of softmax(logits): before temperature, filters, mask and constraint. */
};

/** How a reply is drawn. Where the default is -1, a negative number stands for the checkpoint's own
 *  (generation_config.json), and where that says nothing for the value that is called off. */
typedef struct aby_reply_options {
  uint32_t struct_size;
  uint32_t ignore_eos; /**< Non-zero: end-of-sequence tokens do not end the reply. */
  uint64_t max_tokens; /**< Most new tokens. Default ABY_NO_LIMIT; 0: the prompt is evaluated, and nothing is drawn. */
  uint64_t seed;       /**< Default ABY_SEED_RANDOM. The same seed gives the same reply. */
  float temperature;   /**< Default -1. 0: greedy, ties to the lower id. 1: off. */
  float top_p;         /**< Default -1. Keep the likeliest tokens of this total probability. 1: off. */
  float min_p;         /**< Default -1. Keep tokens at least this share as likely as the likeliest. 0: off. */
  int32_t top_k;       /**< Default -1. Keep this many tokens. 0: off. */
  aby_logprobs logprobs;
  uint32_t plain; /**< Non-zero: do not tell reasoning from content; all text is content, markers included. */
  uint32_t chunk; /**< Prompt tokens of one step; 0: as aby_eval_options.chunk. */
  uint32_t reserved;
  const int32_t *stop_tokens; /**< [stop_token_count] further tokens that end the reply; may be NULL. */
  uint64_t stop_token_count;
  const uint32_t *mask; /**< As aby_generation_set_mask takes it, for the first token and those after it; NULL: none. */
  uint64_t mask_count;  /**< Ids of the mask. */
  const aby_constraint *constraint; /**< Of the same model; NULL: none. A reference is kept. Only tokens that keep the
                               content within it are drawn, and end-of-sequence tokens where it may end, ignore_eos or
                               not; when nothing can follow the reply ends with ABY_FINISH_STOP and no token. Reasoning
                               that the prompt opened is free, but cannot end the reply; everything after its end
                               marker is content. With mask, tokens must pass both: a step that has none left fails
                               with ABY_ERROR_STATE. Such a draw takes longer, the more so the more of the vocabulary
                               fits. */
} aby_reply_options;

/** Fills *out with the defaults: the checkpoint's own sampling, a random seed, no limit. Since 0.1. */
ABY_API aby_status aby_reply_options_init(aby_reply_options *out, size_t struct_size);

/** Starts a reply: the prompt tokens are appended to the sequence, then new tokens are drawn. Until the reply has ended
 *  or was destroyed, calls that change the sequence return ABY_ERROR_BUSY. count may be 0 if the sequence has logits of
 *  its last token, or ends with tokens that a reply left to be evaluated. options may be NULL.
 *  ABY_ERROR_CONTEXT_FULL: the prompt can never fit; ABY_ERROR_STATE: there is nothing to go on from; ABY_ERROR_BUSY: a
 *  reply is being written onto the sequence. Since 0.1. */
ABY_API aby_status aby_generation_create(aby_generation **out, aby_sequence *sequence, const int32_t *prompt,
                                         size_t count, const aby_reply_options *options);

/** What a step did. */
typedef int32_t aby_event_kind;
enum {
  ABY_EVENT_PROMPT = 0, /**< Part of the prompt was evaluated: see prompt_done, prompt_total. */
  ABY_EVENT_TOKEN = 1,  /**< A token was drawn; text may be empty while a character or marker is incomplete. */
  ABY_EVENT_END = 2     /**< The reply has ended: see finish_reason. text holds what was held back. */
};

/** What a piece of text is part of. */
typedef int32_t aby_text_kind;
enum { ABY_TEXT_CONTENT = 0, ABY_TEXT_REASONING = 1 };

/** Why a reply ended. */
typedef int32_t aby_finish_reason;
enum {
  ABY_FINISH_NONE = 0,      /**< It has not. */
  ABY_FINISH_STOP = 1,      /**< An end-of-sequence or stop token, or a constraint that has all it can have. */
  ABY_FINISH_LENGTH = 2,    /**< max_tokens. */
  ABY_FINISH_CANCELLED = 3, /**< aby_generation_cancel. */
  ABY_FINISH_CONTEXT = 4    /**< The model's context, or the whole cache, is full. */
};

/** What happened, n events in columns: event i has element i of each. Valid until the next step. */
typedef struct aby_events {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t count;                 /**< n */
  const aby_event_kind *kind;     /**< [n] */
  const int32_t *token;           /**< [n] TOKEN: its id. END: the token that ended the reply. Else -1. */
  const float *logprob;           /**< [n] of the token, as aby_reply_options.logprobs says; NaN if there is none. */
  const aby_text_kind *text_kind; /**< [n] */
  const uint64_t *text_begin;     /**< [n + 1] event i has the bytes from text_begin[i] to text_begin[i + 1]. */
  const char *text;               /**< All text, whole UTF-8 characters, not ended by NUL. */
  const aby_finish_reason *finish_reason; /**< [n] of END */
  const uint64_t *prompt_tokens;          /**< [n] of the prompt, evaluated so far */
  const uint64_t *prompt_total;           /**< [n] */
  const uint64_t *completion_tokens;      /**< [n] drawn so far, an end-of-sequence token included */
  const uint64_t *reasoning_tokens;       /**< [n] of those, tokens of the reasoning, markers included */
} aby_events;

/** Does one step: a chunk of the prompt, or one token, and then further tokens while all of it takes no longer than
 *  microseconds, for callers whose way into the library and back is not short beside a token; 0: one event. After
 *  ABY_EVENT_END every further step returns the same END without text.
 *  A token is evaluated when the next one is wanted. While the reply is written, the sequence has the prompt and all
 *  tokens of the events given but the last one. After the end, whatever its reason, and after the reply was destroyed,
 * it has that one too, which is then evaluated with what comes next; unless the context has no room for it. The token
 * of an END does not belong to it. ABY_ERROR_CACHE_FULL and other errors of the step leave the reply as it was before;
 * it may be tried again. Since 0.1. */
ABY_API aby_status aby_generation_step(aby_events *out, size_t struct_size, aby_generation *generation,
                                       uint64_t microseconds);

/** The seed that the reply is drawn with. Since 0.1. */
ABY_API aby_status aby_generation_seed(uint64_t *out, const aby_generation *generation);

/** Allows some tokens only, from the next one drawn until the mask is set again; NULL and 0 lift it. words has a bit
 *  for each of count ids, which are the model's vocab_size: bit i % 32 of words[i / 32] is set for an id i that may be
 *  drawn. It is copied. It holds for end-of-sequence and stop tokens too, and comes before top_k, top_p and min_p.
 *  Where no allowed token has a logit that is a number, the lowest id is drawn. Like a step, from one thread at a time:
 *  ABY_ERROR_BUSY while another one steps.
 *  ABY_ERROR_INVALID_ARGUMENT: another count, or no id is allowed; the mask before stays. Since 0.1. */
ABY_API aby_status aby_generation_set_mask(aby_generation *generation, const uint32_t *words, size_t count);

/** Ends the reply at the next step with ABY_FINISH_CANCELLED, interrupting a running one. May be called from any
 * thread. Since 0.1. */
ABY_API aby_status aby_generation_cancel(aby_generation *generation);

/** Releases the caller's reference. NULL is ignored. Since 0.1. */
ABY_API void aby_generation_destroy(aby_generation *generation);

#ifdef __cplusplus
}
#endif

#endif
