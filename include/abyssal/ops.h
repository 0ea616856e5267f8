/* ops.h - routing, experts and multi-head latent attention on the caller's own buffers, for other engines.
 *
 * Copyright 2026 the Abyssal authors. SPDX-License-Identifier: Apache-2.0
 *
 * The rules of abyssal.h hold. All data is in host memory, row-major; a device with its own memory copies. Each call
 * has finished when it returns. Calls on one device from several threads are served one after the other.
 */
#ifndef ABYSSAL_OPS_H
#define ABYSSAL_OPS_H

#include <abyssal/abyssal.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Score of the router. */
typedef int32_t aby_scoring;
enum { ABY_SCORING_SOFTMAX = 0, ABY_SCORING_SIGMOID = 1 };

/** Selection of experts, named as in the checkpoints' topk_method. */
typedef int32_t aby_topk_method;
enum {
  ABY_TOPK_GREEDY = 0,               /**< The best top_k of all (V2-Lite). */
  ABY_TOPK_GROUP_LIMITED_GREEDY = 1, /**< A group's score is its best one (V2). */
  ABY_TOPK_NOAUX_TC = 2              /**< By score + bias; a group's score is the sum of its two best (V3, Kimi-K2). */
};

/** Arguments of aby_moe_route. */
typedef struct aby_moe_route_args {
  uint32_t struct_size;
  int32_t tokens;     /**< b >= 0 */
  int32_t experts;    /**< e >= 1 */
  int32_t top_k;      /**< 1 to experts */
  int32_t n_group;    /**< >= 1 and divides experts */
  int32_t topk_group; /**< 1 to n_group */
  aby_scoring scoring;
  aby_topk_method topk_method;
  int32_t norm_topk_prob;      /**< Non-zero: divide the weights by their sum + 1e-20. */
  float routed_scaling_factor; /**< Default 1. */
  const float *logits;         /**< [b, e] gate logits */
  const float *bias;           /**< [e] e_score_correction_bias; may be NULL */
  int32_t *index;              /**< out [b, k], ascending */
  float *weight;               /**< out [b, k] in the order of index */
} aby_moe_route_args;

/** Fills *out with the defaults. Since 0.1. */
ABY_API aby_status aby_moe_route_args_init(aby_moe_route_args *out, size_t struct_size);

/** Chooses top_k experts for each token. Ties go to the lower index. Since 0.1. */
ABY_API aby_status aby_moe_route(aby_device *device, const aby_moe_route_args *args);

/** Expert weights prepared on a device. Immutable; any thread may use it. */
typedef struct aby_experts aby_experts;

/** Arguments of aby_experts_create. Weights W of y = x W^T, each [n, k] row-major of one dtype: F32, F16, BF16, F8_E4M3
 *  with block scales, or a block format such as Q4_K, of which every k must be whole blocks. They are copied. */
typedef struct aby_experts_desc {
  uint32_t struct_size;
  int32_t experts;      /**< e */
  int32_t hidden;       /**< d */
  int32_t inter;        /**< moe_intermediate_size */
  int32_t shared_inter; /**< Width of the shared experts' MLP; 0: none. */
  aby_dtype dtype;
  aby_dtype compute;             /**< F32 (default) or BF16 arithmetic. */
  aby_dtype scale_dtype;         /**< F8_E4M3: F32 or F8_E8M0. */
  int32_t block_n;               /**< F8_E4M3: rows of a scale's block; default 128. */
  int32_t block_k;               /**< F8_E4M3: columns of a scale's block; default 128. */
  const void *const *gate;       /**< [e] pointers to [inter, hidden] */
  const void *const *up;         /**< [e] pointers to [inter, hidden] */
  const void *const *down;       /**< [e] pointers to [hidden, inter] */
  const void *const *gate_scale; /**< [e] pointers to [ceil(n / block_n), ceil(k / block_k)]; NULL unless F8_E4M3 */
  const void *const *up_scale;
  const void *const *down_scale;
  const void *shared_gate; /**< [shared_inter, hidden]; NULL if shared_inter is 0 */
  const void *shared_up;
  const void *shared_down; /**< [hidden, shared_inter] */
  const void *shared_gate_scale;
  const void *shared_up_scale;
  const void *shared_down_scale;
} aby_experts_desc;

/** Fills *out with the defaults. Since 0.1. */
ABY_API aby_status aby_experts_desc_init(aby_experts_desc *out, size_t struct_size);

/** Prepares experts on a device. Since 0.1. */
ABY_API aby_status aby_experts_create(aby_experts **out, aby_device *device, const aby_experts_desc *desc);

/** Releases the caller's reference. NULL is ignored. Since 0.1. */
ABY_API void aby_experts_destroy(aby_experts *experts);

/** Arguments of aby_moe_experts. */
typedef struct aby_moe_experts_args {
  uint32_t struct_size;
  int32_t tokens; /**< b >= 0 */
  int32_t top_k;  /**< k >= 1 */
  int32_t reserved;
  const float *x;       /**< [b, d] */
  const int32_t *index; /**< [b, k], 0 to e - 1, no expert twice in a row */
  const float *weight;  /**< [b, k] */
  float *out;           /**< out [b, d] */
} aby_moe_experts_args;

/** Fills *out with the defaults. Since 0.1. */
ABY_API aby_status aby_moe_experts_args_init(aby_moe_experts_args *out, size_t struct_size);

/** out = sum over a row's experts of weight * down(silu(gate x) * up x), plus the shared experts. Since 0.1. */
ABY_API aby_status aby_moe_experts(const aby_experts *experts, const aby_moe_experts_args *args);

/** kv_b_proj of an MLA layer prepared on a device, in both its forms. Immutable; any thread may use it. */
typedef struct aby_mla aby_mla;

/** Arguments of aby_mla_create. */
typedef struct aby_mla_desc {
  uint32_t struct_size;
  int32_t heads; /**< h */
  int32_t kv_lora_rank;
  int32_t qk_nope_head_dim;
  int32_t qk_rope_head_dim;
  int32_t v_head_dim;
  aby_dtype dtype;   /**< F32, F16, BF16, or a block format of which kv_lora_rank is whole blocks. */
  aby_dtype compute; /**< F32 (default) or BF16 arithmetic. */
  const void *kv_b;  /**< [h * (nope + v), kv_lora_rank]: kv_b_proj.weight. Copied. */
} aby_mla_desc;

/** Fills *out with the defaults. Since 0.1. */
ABY_API aby_status aby_mla_desc_init(aby_mla_desc *out, size_t struct_size);

/** Prepares an MLA layer on a device. Since 0.1. */
ABY_API aby_status aby_mla_create(aby_mla **out, aby_device *device, const aby_mla_desc *desc);

/** Releases the caller's reference. NULL is ignored. Since 0.1. */
ABY_API void aby_mla_destroy(aby_mla *mla);

/** Arguments of aby_mla_attend: a ragged batch of s sequences over a paged latent cache. The new tokens of sequence i
 *  are rows row_begin[i] to row_begin[i + 1] - 1 of q, at positions context[i], context[i] + 1, ... Their own latent
 *  rows must be in the cache already. */
typedef struct aby_mla_attend_args {
  uint32_t struct_size;
  int32_t sequences;          /**< s >= 0 */
  const int32_t *row_begin;   /**< [s + 1], row_begin[0] = 0 */
  const int32_t *context;     /**< [s] cached tokens before the new ones */
  const int32_t *block_table; /**< [s, table_stride] blocks of 64 tokens, in order */
  int32_t table_stride;
  int32_t blocks;        /**< blocks in the cache */
  aby_dtype cache_dtype; /**< F32 or BF16 */
  float scale;           /**< of the scores, e.g. (nope + rope)^-0.5 */
  uint32_t absorb_below; /**< as in aby_model_options; 0: 128 */
  uint32_t reserved;
  const void *cache; /**< [blocks, 64, kv_lora_rank + rope]: normed c_kv, then k_pe with RoPE */
  const float *q;    /**< [b, h, nope + rope], RoPE applied, b = row_begin[s] */
  float *out;        /**< out [b, h, v_head_dim] */
} aby_mla_attend_args;

/** Fills *out with the defaults. Since 0.1. */
ABY_API aby_status aby_mla_attend_args_init(aby_mla_attend_args *out, size_t struct_size);

/** Causal multi-head latent attention. Since 0.1. */
ABY_API aby_status aby_mla_attend(const aby_mla *mla, const aby_mla_attend_args *args);

#ifdef __cplusplus
}
#endif

#endif
