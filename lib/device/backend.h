/* The private contract between the core and a backend: a C struct of functions with one exact version number.
 *
 * The contract fits a device with its own memory that runs later than it is told to:
 *  - Memory is a handle (abk_buffer); the core never looks inside one. An abk_span is a handle and a byte offset.
 *  - Copies and ops are queued on a stream and run in order. They may have run when the call returns, or not before
 *    stream_synchronize. Reading back is copy_out followed by stream_synchronize.
 *  - Argument structs, and host arrays they point to, are valid only during the call: a backend that runs later copies
 *    what it needs. The exceptions are said where they occur (copy_out's destination, borrowed weight data).
 *  - Buffers, weights and batches that a queued op uses are kept by the core until the stream was synchronised.
 *  - A failure is a status; error_text() gives the calling thread's text for it. An op that fails later is reported by
 *    stream_synchronize. A failed stream_synchronize leaves the stream empty and usable.
 *
 * Activation rows are row-major with an explicit row stride, of dtype F32 or BF16 as each span says; all arithmetic is
 * in float32 or better unless a weight's compute type says otherwise. A backend sees only this header and lib/base's
 * helpers.
 *
 * Threads: device and stream functions may be called from any thread, one call per stream at a time; the core
 * serialises what it queues on one device.
 */
#ifndef ABYSSAL_DEVICE_BACKEND_H
#define ABYSSAL_DEVICE_BACKEND_H

#include <abyssal/abyssal.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ABK_VERSION 4u

/* Tokens in one block of the paged cache. */
#define ABK_BLOCK_TOKENS 64

typedef struct abk_device abk_device;
typedef struct abk_buffer abk_buffer;
typedef struct abk_stream abk_stream;
typedef struct abk_weight abk_weight;
typedef struct abk_batch abk_batch;

/* A place in device memory. buffer == NULL stands for "none" where an argument is optional. */
typedef struct abk_span {
  abk_buffer *buffer;
  uint64_t offset; /* bytes */
} abk_span;

/* Rows of activations in device memory: element (r, c) is at offset + (r * stride + c) * size of dtype. */
typedef struct abk_rows {
  abk_span span;
  aby_dtype dtype; /* F32 or BF16 */
  int32_t cols;
  int64_t stride; /* elements from one row to the next, >= cols */
} abk_rows;

typedef struct abk_device_options {
  uint32_t index;
  uint32_t threads; /* 0: one per core */
} abk_device_options;

typedef struct abk_device_info {
  const char *name; /* valid while the device lives */
  const char *isa;
  uint32_t threads;
  uint64_t memory_bytes;
  const char
      *layout; /* names how images of weights are arranged, which two devices with one name share; "": no images */
} abk_device_info;

/* ---------------------------------------------------------------- weights */

/* What a weight is used for: decides how it is prepared. */
typedef int32_t abk_weight_use;
enum {
  ABK_USE_MATRIX = 0,    /* linear, mlp, moe_experts, logits, mla projections: [n, k] times `count` stacked matrices */
  ABK_USE_VECTOR = 1,    /* norm weights, biases, correction biases: n values, kept as F32 */
  ABK_USE_EMBEDDING = 2, /* rows are gathered by token id; may also serve as a logits head (tied embeddings) */
  ABK_USE_MLA_KV_B = 3,  /* kv_b_proj: [heads * (qk_nope + v), kv_lora]; mla_attend uses it in both its forms */
  ABK_USE_ROUTER = 4 /* gate of a MoE layer, for linear: a row's sums have one order, whatever rows are beside it, so
                        that no route turns on them */
};

/* Prepares `count` matrices [n, k], row-major, W of y = x W^T. Host memory. */
typedef struct abk_weight_desc {
  abk_weight_use use;
  aby_dtype dtype; /* F32, F16, BF16, F8_E4M3 (no VECTOR of these), or a block format: then k is a multiple of its
                      block's elements, rows are whole blocks without gaps, and the use is not VECTOR */
  int64_t n;       /* outputs */
  int64_t k;       /* inputs; 1 for vectors */
  int64_t count;   /* experts; else 1 */
  const void *const *data; /* [count] */
  const void *const
      *scales;           /* [count] block scales of F8_E4M3, each [ceil(n / block_n), ceil(k / block_k)]; else NULL */
  aby_dtype scale_dtype; /* F32, BF16 or F8_E8M0 */
  int64_t block_n;
  int64_t block_k;
  int32_t borrowed;  /* Non-zero: data and scales outlive the weight unchanged (a mapped file); keep them in place if
                        the layout allows. Else they are valid only during weight_create. */
  aby_dtype compute; /* F32: multiply in float32. BF16: activations may be rounded to bfloat16 for the product. I8, I16:
                        to 8 or 16 bits with a scale for each 32; for block formats, others are as F32. */
  int32_t heads, qk_nope, v_dim; /* ABK_USE_MLA_KV_B; else 0 */
  /* For matrices that are made as they are needed, so that one at a time exists; NULL where data is given. During
     weight_create and on its thread it is called for matrix 0, 1, ... once each; what it returns is valid until the
     next call, and NULL means that weight_create is to fail. Then data is NULL, borrowed 0 and dtype not F8_E4M3. */
  const void *(*next)(void *context, int64_t matrix);
  void *next_context;
  /* What weight_image has given for a weight of the same description on a device of the same layout; else NULL. It
     outlives the weight unchanged and is aligned to 64 bytes. Then data and next are NULL. */
  const void *image;
} abk_weight_desc;

/* Memory that a prepared weight takes, the part that stays in borrowed memory among it. */
typedef struct abk_weight_size {
  uint64_t bytes;
  uint64_t borrowed_bytes;
  const char *layout;   /* name of the layout that it is kept in, while the backend is loaded; NULL: as it is stored */
  uint64_t image_bytes; /* of the weight's image; 0: it has none, as it is kept as it comes, or made at once */
} abk_weight_size;

/* ---------------------------------------------------------------- the ragged batch */

/* One pass over several sequences, each with one or more new tokens. The tokens of sequence i are the batch rows
 * [row_begin[i], row_begin[i + 1]), at positions context[i], context[i] + 1, ... */
typedef struct abk_batch_desc {
  int32_t tokens; /* rows in all */
  int32_t sequences;
  const int32_t *token_ids;   /* [tokens] */
  const int32_t *row_begin;   /* [sequences + 1] */
  const int32_t *context;     /* [sequences] tokens already in the cache */
  const int32_t *block_table; /* [sequences, table_stride] block numbers in the cache pool, enough for context + new */
  int32_t table_stride;
  const float *rope; /* [tokens, rope_dim / 2, 2]: cos, sin per row and frequency pair, attention scaling included */
  int32_t rope_dim;  /* 0: none */
} abk_batch_desc;

/* ---------------------------------------------------------------- the cache
 * The rows of one layer lie in blocks of ABK_BLOCK_TOKENS rows, one after the other. How a row is laid out is the
 * backend's: its size is asked for, and it is read through the backend. Rows of F32 and BF16 are their values in order,
 * in every backend: ops.h takes such rows from its callers. */

typedef int32_t abk_cache_kind;
enum {
  ABK_CACHE_LATENT = 0, /* of MLA: [c_kv | k_pe], heads = 1, width = kv_lora, rope_dim */
  ABK_CACHE_HEADS = 1   /* keys, or values: heads of width values; rope_dim = 0 */
};

typedef struct abk_cache_desc {
  abk_cache_kind kind;
  aby_dtype dtype; /* F32, BF16 or I8 */
  int32_t heads, width, rope_dim;
} abk_cache_desc;

/* ---------------------------------------------------------------- ops
 * t = tokens of the batch unless said otherwise. NULL weights are absent. */

/* out[r] = table[token_ids[r]]. With ids given ([t] host), those instead of the batch's. */
typedef struct abk_embed_args {
  const abk_weight *table; /* [vocab, hidden] */
  const int32_t *ids;      /* [tokens] or NULL */
  abk_rows out;            /* [t, hidden] */
} abk_embed_args;

/* residual += delta (if there is one); out = residual / rms(residual) * weight. out may be none (buffer NULL): only
 * the add. Statistics in float32 over the whole row. */
typedef struct abk_norm_add_args {
  int32_t rows;
  abk_rows residual;        /* [rows, hidden] F32; updated in place only when delta is given */
  abk_rows delta;           /* [rows, hidden] or none */
  const abk_weight *weight; /* [hidden]; NULL: scale of one */
  float epsilon;
  abk_rows out; /* [rows, hidden]; may not overlap residual */
} abk_norm_add_args;

/* out = x W^T + bias. */
typedef struct abk_linear_args {
  int32_t rows;
  abk_rows x;             /* [rows, k] */
  const abk_weight *w;    /* [n, k] */
  const abk_weight *bias; /* [n] or NULL */
  abk_rows out;           /* [rows, n] */
} abk_linear_args;

/* Dense SwiGLU: out = (silu(x gate^T) * (x up^T)) down^T. scratch: [rows, 2 * inter] of the compute type's rows. */
typedef struct abk_mlp_args {
  int32_t rows;
  abk_rows x;             /* [rows, hidden] */
  const abk_weight *gate; /* [inter, hidden] */
  const abk_weight *up;   /* [inter, hidden] */
  const abk_weight *down; /* [hidden, inter] */
  abk_rows out;           /* [rows, hidden] */
  abk_span scratch;       /* as much as supports says */
} abk_mlp_args;

/* Multi-head latent attention, everything before the attention itself: q from x, directly (q_a NULL: q_b is q_proj) or
 * through q_a and its norm; one latent row [c_kv normed | k_pe roped] per token, written to the cache; rope on q.
 * RoPE is interleaved: pairs (2i, 2i + 1) of the rope dims. Both inner norms use norm_epsilon. */
typedef struct abk_mla_project_args {
  int32_t heads, qk_nope, rope_dim, kv_lora;
  abk_rows x;                  /* [t, hidden] */
  const abk_weight *q_a;       /* [q_lora, hidden] or NULL */
  const abk_weight *q_a_norm;  /* [q_lora] or NULL */
  const abk_weight *q_b;       /* [heads * (nope + rope), q_lora], or q_proj [.., hidden] */
  const abk_weight *kv_a;      /* [kv_lora + rope, hidden] */
  const abk_weight *kv_a_norm; /* [kv_lora] */
  const abk_weight *q_a_bias;  /* [q_lora] or NULL (attention_bias) */
  const abk_weight *kv_a_bias; /* [kv_lora + rope] or NULL */
  float norm_epsilon;
  abk_rows q;            /* out: [t, heads * (nope + rope)], rope part roped */
  abk_span cache;        /* [blocks, ABK_BLOCK_TOKENS] latent rows */
  aby_dtype cache_dtype; /* as in abk_cache_desc */
  abk_span scratch;      /* as much as supports says */
} abk_mla_project_args;

/* Causal attention of each new token over its sequence's cached rows, the new ones included (mla_project wrote them).
 * A sequence that brings fewer than absorb_below new tokens runs absorbed, else un-absorbed. */
typedef struct abk_mla_attend_args {
  int32_t heads, qk_nope, rope_dim, kv_lora, v_dim;
  abk_rows q;             /* [t, heads * (nope + rope)] */
  const abk_weight *kv_b; /* ABK_USE_MLA_KV_B */
  /* The same in the halves that the absorbed form multiplies with, of checkpoints that store them: W_uk^T and W_uv of
     each head, count = heads. Both or neither (NULL); a backend may use kv_b for everything. */
  const abk_weight *k_b; /* [kv_lora, qk_nope] each, or NULL */
  const abk_weight *v_b; /* [v_dim, kv_lora] each, or NULL */
  abk_span cache;
  aby_dtype cache_dtype;
  float scale; /* of the scores, YaRN's factor included */
  uint32_t absorb_below;
  abk_rows out;     /* [t, heads * v_dim] */
  abk_span scratch; /* as much as supports says */
} abk_mla_attend_args;

/* Grouped-query attention: RoPE in halves (pairs (i, i + d / 2)) on q and k, k and v written to the cache, causal
 * attention. rope_dim of the batch equals head_dim. */
typedef struct abk_gqa_attend_args {
  int32_t heads, kv_heads, head_dim;
  abk_rows q;            /* [t, heads * head_dim]; roped in place */
  abk_rows k;            /* [t, kv_heads * head_dim]; roped in place */
  abk_rows v;            /* [t, kv_heads * head_dim] */
  abk_span k_cache;      /* [blocks, ABK_BLOCK_TOKENS] rows of kv_heads heads */
  abk_span v_cache;      /* the same */
  aby_dtype cache_dtype; /* as in mla_project */
  float scale;
  abk_rows out;     /* [t, heads * head_dim] */
  abk_span scratch; /* as much as supports says */
} abk_gqa_attend_args;

typedef int32_t abk_scoring;
enum { ABK_SCORING_SOFTMAX = 0, ABK_SCORING_SIGMOID = 1 };

typedef int32_t abk_topk_method;
enum {
  ABK_TOPK_GREEDY = 0,               /* top_k of all */
  ABK_TOPK_GROUP_LIMITED_GREEDY = 1, /* a group's score is its best one */
  ABK_TOPK_NOAUX_TC = 2              /* selection by score + bias, a group's score is the sum of its two best */
};

/* Gate logits -> top_k experts and weights per row. Groups that are not kept never win (minus infinity). Ties go to
 * the lower index, of experts and of groups. index is ascending, weight in its order. Weights come from the unbiased
 * scores; with norm_topk_prob divided by (their sum + 1e-20); always times routed_scaling_factor. */
typedef struct abk_moe_route_args {
  int32_t rows, experts, top_k, n_group, topk_group;
  abk_scoring scoring;
  abk_topk_method method;
  int32_t norm_topk_prob;
  float routed_scaling_factor;
  abk_rows logits;        /* [rows, experts] F32 */
  const abk_weight *bias; /* e_score_correction_bias [experts] or NULL */
  abk_span index;         /* out: int32 [rows, top_k] */
  abk_span weight;        /* out: float [rows, top_k] */
} abk_moe_route_args;

/* out[r] = sum over the row's experts i of weight_i * down_i(silu(gate_i x) * up_i x), in the order of index, plus the
 * shared experts' MLP with weight 1. */
typedef struct abk_moe_experts_args {
  int32_t rows, top_k;
  abk_rows x;                    /* [rows, hidden] */
  abk_span index;                /* int32 [rows, top_k] */
  abk_span weight;               /* float [rows, top_k] */
  const abk_weight *gate;        /* count = experts, [inter, hidden] each */
  const abk_weight *up;          /* count = experts, [inter, hidden] each */
  const abk_weight *down;        /* count = experts, [hidden, inter] each */
  const abk_weight *shared_gate; /* [shared_inter, hidden] or NULL */
  const abk_weight *shared_up;
  const abk_weight *shared_down;
  abk_rows out;     /* [rows, hidden] */
  abk_span scratch; /* as much as supports says */
} abk_moe_experts_args;

/* Final norm and head for the batch rows asked for: out[i] = head(norm(x[row_ids[i]])). */
typedef struct abk_logits_args {
  int32_t rows;
  const int32_t *row_ids; /* [rows] host */
  abk_rows x;             /* [t, hidden] */
  const abk_weight *norm; /* [hidden]; NULL: x is normed already */
  float epsilon;
  const abk_weight *head; /* [vocab, hidden]; matrix or embedding */
  abk_rows out;           /* [rows, vocab] F32 */
  abk_span scratch;       /* as much as supports says */
} abk_logits_args;

/* The ops. Each takes the struct of its name: ABK_OP_LINEAR takes abk_linear_args. Numbers stay; new ops follow. */
typedef int32_t abk_op;
enum {
  ABK_OP_EMBED = 0, /* with a batch, as the others that say so */
  ABK_OP_NORM_ADD = 1,
  ABK_OP_LINEAR = 2,
  ABK_OP_MLP = 3,
  ABK_OP_MLA_PROJECT = 4, /* with a batch */
  ABK_OP_MLA_ATTEND = 5,  /* with a batch */
  ABK_OP_GQA_ATTEND = 6,  /* with a batch */
  ABK_OP_MOE_ROUTE = 7,
  ABK_OP_MOE_EXPERTS = 8,
  ABK_OP_LOGITS = 9 /* with a batch */
};

/* What an op is asked to do, before there are weights and memory: the sizes that it depends on; others are 0. */
typedef struct abk_op_desc {
  abk_op op;
  int32_t rows;    /* most rows of one call */
  int32_t context; /* most cached tokens of one sequence, the new ones included (attention) */
  int32_t hidden, inter, shared_inter, experts, top_k, vocab;
  int32_t heads, kv_heads, head_dim, q_lora, kv_lora, qk_nope, rope_dim, v_dim;
  uint32_t absorb_below;
} abk_op_desc;

/* ---------------------------------------------------------------- the backend */

typedef struct abk_backend {
  uint32_t version;     /* ABK_VERSION, exactly */
  uint32_t struct_size; /* sizeof(abk_backend) */
  const char *name;

  const char *(*error_text)(void); /* calling thread's last error of this backend; never NULL */

  aby_status (*device_count)(uint32_t *out);
  aby_status (*device_open)(abk_device **out, const abk_device_options *options);
  void (*device_close)(abk_device *device);
  aby_status (*device_info)(abk_device *device, abk_device_info *out);

  /* Zero-filled; on a host device untouched pages cost nothing. */
  aby_status (*buffer_create)(abk_device *device, abk_buffer **out, uint64_t bytes);
  /* Host memory as a buffer, without a copy; it outlives the buffer, and ops may write to it. NULL where the device
     does not reach host memory: the core then copies. */
  aby_status (*buffer_wrap)(abk_device *device, abk_buffer **out, void *memory, uint64_t bytes);
  void (*buffer_destroy)(abk_buffer *buffer);

  aby_status (*weight_size)(abk_device *device, const abk_weight_desc *desc, abk_weight_size *out); /* data unread */
  aby_status (*weight_create)(abk_device *device, abk_weight **out, const abk_weight_desc *desc);
  void (*weight_destroy)(abk_weight *weight);
  /* The weight as weight_create takes it back as image: image_bytes of host memory, valid while the weight lives; NULL
     where it has none. The function may be NULL: none has. */
  aby_status (*weight_image)(abk_weight *weight, const void **out);

  aby_status (*stream_create)(abk_device *device, abk_stream **out);
  void (*stream_destroy)(abk_stream *stream);
  aby_status (*stream_synchronize)(abk_stream *stream);

  aby_status (*copy_in)(abk_stream *stream, abk_span to, const void *from, uint64_t bytes);
  aby_status (*copy_out)(abk_stream *stream, void *to, abk_span from, uint64_t bytes); /* `to` until synchronised */
  aby_status (*copy)(abk_stream *stream, abk_span to, abk_span from, uint64_t bytes);  /* may not overlap */

  aby_status (*batch_create)(abk_stream *stream, abk_batch **out, const abk_batch_desc *desc);
  void (*batch_destroy)(abk_batch *batch);

  /* Bytes of one cached row. UNSUPPORTED names what the backend lacks. */
  aby_status (*cache_row_bytes)(abk_device *device, const abk_cache_desc *desc, uint64_t *out);
  /* Rows that lie one after the other, as float32 [rows, heads * width + rope_dim]; `to` until synchronised. */
  aby_status (*cache_read)(abk_stream *stream, const abk_cache_desc *desc, float *to, abk_span from, int32_t rows);

  /* Whether the device runs an op of these sizes, and the bytes of scratch that it then needs. UNSUPPORTED names what
     it lacks. Asked when a model is opened, so that no pass finds out. */
  aby_status (*supports)(abk_device *device, const abk_op_desc *desc, uint64_t *scratch_bytes);
  /* Queues an op with the struct of its name. batch: NULL for an op without one. */
  aby_status (*run)(abk_stream *stream, const abk_batch *batch, abk_op op, const void *args);
} abk_backend;

/* A backend module exports exactly this. It returns NULL when it does not speak `version`. */
typedef const abk_backend *(*abk_entry_fn)(uint32_t version);
#define ABK_ENTRY_NAME "abyssal_backend_entry"

#ifdef __cplusplus
}
#endif

#endif
