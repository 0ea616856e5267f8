/* What programs that are built already rely on, and what may therefore never change: the values of the constants, and
 * the place and size of every field. Fields added at the end of a struct and new constants get a new line. */
#include <abyssal/abyssal.h>
#include <abyssal/ops.h>

/* C99 has no static assertion: an array of negative size is an error in every language version. */
#define PINNED(name, holds) typedef char pinned_##name[(holds) ? 1 : -1]
#define VALUE(constant, value) PINNED(constant, (constant) == (value))
#define FIELD(type, field, offset, size)                                                                               \
  PINNED(type##_##field, offsetof(type, field) == (offset) && sizeof(((type *)0)->field) == (size))
/* The size is that of the fields: padding at the end would hide the first field that is added. */
#define SIZE(type, size) PINNED(type##_size, sizeof(type) == (size))

VALUE(ABY_OK, 0);
VALUE(ABY_ERROR_INTERNAL, -1);
VALUE(ABY_ERROR_INVALID_ARGUMENT, -2);
VALUE(ABY_ERROR_STRUCT_SIZE, -3);
VALUE(ABY_ERROR_NO_MEMORY, -4);
VALUE(ABY_ERROR_NOT_FOUND, -5);
VALUE(ABY_ERROR_IO, -6);
VALUE(ABY_ERROR_FORMAT, -7);
VALUE(ABY_ERROR_UNSUPPORTED, -8);
VALUE(ABY_ERROR_CANCELLED, -9);
VALUE(ABY_ERROR_BUSY, -10);
VALUE(ABY_ERROR_CONTEXT_FULL, -11);
VALUE(ABY_ERROR_TEMPLATE, -12);
VALUE(ABY_ERROR_ENCODING, -13);
VALUE(ABY_ERROR_STATE, -14);
VALUE(ABY_ERROR_DEVICE, -15);
VALUE(ABY_ERROR_TOO_SMALL, -16);
VALUE(ABY_ERROR_CACHE_FULL, -17);

VALUE(ABY_DTYPE_AUTO, 0);
VALUE(ABY_DTYPE_F32, 1);
VALUE(ABY_DTYPE_F16, 2);
VALUE(ABY_DTYPE_BF16, 3);
VALUE(ABY_DTYPE_F8_E4M3, 4);
VALUE(ABY_DTYPE_F8_E8M0, 5);
VALUE(ABY_DTYPE_I8, 6);
VALUE(ABY_DTYPE_U8, 7);
VALUE(ABY_DTYPE_I32, 8);
VALUE(ABY_DTYPE_I64, 9);
VALUE(ABY_DTYPE_Q4_0, 20);
VALUE(ABY_DTYPE_Q4_1, 21);
VALUE(ABY_DTYPE_Q5_0, 22);
VALUE(ABY_DTYPE_Q5_1, 23);
VALUE(ABY_DTYPE_Q8_0, 24);
VALUE(ABY_DTYPE_Q2_K, 25);
VALUE(ABY_DTYPE_Q3_K, 26);
VALUE(ABY_DTYPE_Q4_K, 27);
VALUE(ABY_DTYPE_Q5_K, 28);
VALUE(ABY_DTYPE_Q6_K, 29);
VALUE(ABY_DTYPE_IQ4_NL, 30);
VALUE(ABY_DTYPE_IQ4_XS, 31);
VALUE(ABY_DTYPE_MXFP4, 32);

VALUE(ABY_STAGE_READ, 0);
VALUE(ABY_STAGE_WEIGHTS, 1);

VALUE(ABY_TOKENIZE_DEFAULT, 0);
VALUE(ABY_TOKENIZE_ADD_BOS, 1);
VALUE(ABY_TOKENIZE_PLAIN, 2);

VALUE(ABY_DETOKENIZE_DEFAULT, 0);
VALUE(ABY_DETOKENIZE_SKIP_SPECIAL, 1);

VALUE(ABY_KEEP_DEFAULT, 0);
VALUE(ABY_KEEP_HIDDEN, 1);
VALUE(ABY_KEEP_HIDDEN_LAYERS, 2);
VALUE(ABY_KEEP_ROUTES, 4);

VALUE(ABY_OUTPUT_LOGITS, 0);
VALUE(ABY_OUTPUT_HIDDEN, 1);
VALUE(ABY_OUTPUT_ROUTE_INDEX, 2);
VALUE(ABY_OUTPUT_ROUTE_WEIGHT, 3);
VALUE(ABY_OUTPUT_CACHE_C_KV, 4);
VALUE(ABY_OUTPUT_CACHE_K_ROPE, 5);
VALUE(ABY_OUTPUT_CACHE_K, 6);
VALUE(ABY_OUTPUT_CACHE_V, 7);
VALUE(ABY_OUTPUT_MTP_LOGITS, 8);
VALUE(ABY_OUTPUT_MTP_HIDDEN, 9);

VALUE(ABY_EVENT_PROMPT, 0);
VALUE(ABY_EVENT_TOKEN, 1);
VALUE(ABY_EVENT_END, 2);

VALUE(ABY_TEXT_CONTENT, 0);
VALUE(ABY_TEXT_REASONING, 1);

VALUE(ABY_CONSTRAINT_JSON_SCHEMA, 1);
VALUE(ABY_CONSTRAINT_REGEX, 2);
VALUE(ABY_CONSTRAINT_GRAMMAR, 3);

VALUE(ABY_FINISH_NONE, 0);
VALUE(ABY_FINISH_STOP, 1);
VALUE(ABY_FINISH_LENGTH, 2);
VALUE(ABY_FINISH_CANCELLED, 3);
VALUE(ABY_FINISH_CONTEXT, 4);

VALUE(ABY_LOGPROBS_NONE, 0);
VALUE(ABY_LOGPROBS_MODEL, 1);

PINNED(seed_random, ABY_SEED_RANDOM == UINT64_MAX);
PINNED(no_limit, ABY_NO_LIMIT == UINT64_MAX);

VALUE(ABY_SCORING_SOFTMAX, 0);
VALUE(ABY_SCORING_SIGMOID, 1);

VALUE(ABY_TOPK_GREEDY, 0);
VALUE(ABY_TOPK_GROUP_LIMITED_GREEDY, 1);
VALUE(ABY_TOPK_NOAUX_TC, 2);

FIELD(aby_tensor, struct_size, 0, 4);
FIELD(aby_tensor, dtype, 4, 4);
FIELD(aby_tensor, name, 8, 8);
FIELD(aby_tensor, data, 16, 8);
FIELD(aby_tensor, bytes, 24, 8);
FIELD(aby_tensor, rank, 32, 4);
FIELD(aby_tensor, reserved, 36, 4);
FIELD(aby_tensor, shape, 40, 32);
SIZE(aby_tensor, 72);

FIELD(aby_array, struct_size, 0, 4);
FIELD(aby_array, dtype, 4, 4);
FIELD(aby_array, data, 8, 8);
FIELD(aby_array, rank, 16, 4);
FIELD(aby_array, reserved, 20, 4);
FIELD(aby_array, shape, 24, 32);
SIZE(aby_array, 56);

FIELD(aby_backend_info, struct_size, 0, 4);
FIELD(aby_backend_info, device_count, 4, 4);
FIELD(aby_backend_info, name, 8, 8);
SIZE(aby_backend_info, 16);

FIELD(aby_device_options, struct_size, 0, 4);
FIELD(aby_device_options, index, 4, 4);
FIELD(aby_device_options, backend, 8, 8);
FIELD(aby_device_options, threads, 16, 4);
FIELD(aby_device_options, reserved, 20, 4);
SIZE(aby_device_options, 24);

FIELD(aby_device_info, struct_size, 0, 4);
FIELD(aby_device_info, threads, 4, 4);
FIELD(aby_device_info, backend, 8, 8);
FIELD(aby_device_info, name, 16, 8);
FIELD(aby_device_info, isa, 24, 8);
FIELD(aby_device_info, memory_bytes, 32, 8);
SIZE(aby_device_info, 40);

FIELD(aby_model_options, struct_size, 0, 4);
FIELD(aby_model_options, threads, 4, 4);
FIELD(aby_model_options, device, 8, 8);
FIELD(aby_model_options, backend, 16, 8);
FIELD(aby_model_options, activations, 24, 4);
FIELD(aby_model_options, cache_dtype, 28, 4);
FIELD(aby_model_options, cache_tokens, 32, 8);
FIELD(aby_model_options, absorb_below, 40, 4);
FIELD(aby_model_options, mtp, 44, 4);
FIELD(aby_model_options, tokenizer, 48, 8);
FIELD(aby_model_options, progress, 56, 8);
FIELD(aby_model_options, progress_context, 64, 8);
FIELD(aby_model_options, weights, 72, 4);
FIELD(aby_model_options, attention, 76, 4);
FIELD(aby_model_options, packed_cache, 80, 8);
FIELD(aby_model_options, packed_cache_check, 88, 4);
FIELD(aby_model_options, reserved, 92, 4);
FIELD(aby_model_options, warning, 96, 8);
FIELD(aby_model_options, warning_context, 104, 8);
FIELD(aby_model_options, cancel, 112, 8);
SIZE(aby_model_options, 120);

FIELD(aby_model_plan, struct_size, 0, 4);
FIELD(aby_model_plan, layers, 4, 4);
FIELD(aby_model_plan, parameters, 8, 8);
FIELD(aby_model_plan, active_parameters, 16, 8);
FIELD(aby_model_plan, file_bytes, 24, 8);
FIELD(aby_model_plan, weight_bytes, 32, 8);
FIELD(aby_model_plan, mapped_bytes, 40, 8);
FIELD(aby_model_plan, cache_bytes_per_token, 48, 8);
FIELD(aby_model_plan, cache_tokens, 56, 8);
FIELD(aby_model_plan, cache_bytes, 64, 8);
FIELD(aby_model_plan, scratch_bytes, 72, 8);
FIELD(aby_model_plan, total_bytes, 80, 8);
SIZE(aby_model_plan, 88);

FIELD(aby_model_info, struct_size, 0, 4);
FIELD(aby_model_info, layers, 4, 4);
FIELD(aby_model_info, architecture, 8, 8);
FIELD(aby_model_info, attention, 16, 8);
FIELD(aby_model_info, weight_types, 24, 8);
FIELD(aby_model_info, hidden_size, 32, 4);
FIELD(aby_model_info, vocab_size, 36, 4);
FIELD(aby_model_info, heads, 40, 4);
FIELD(aby_model_info, kv_heads, 44, 4);
FIELD(aby_model_info, kv_lora_rank, 48, 4);
FIELD(aby_model_info, rope_dim, 52, 4);
FIELD(aby_model_info, experts, 56, 4);
FIELD(aby_model_info, top_k, 60, 4);
FIELD(aby_model_info, context_length, 64, 4);
FIELD(aby_model_info, mtp_layers, 68, 4);
FIELD(aby_model_info, bos_token, 72, 4);
FIELD(aby_model_info, has_tokenizer, 76, 4);
FIELD(aby_model_info, has_chat_template, 80, 4);
FIELD(aby_model_info, reasons, 84, 4);
FIELD(aby_model_info, activations, 88, 4);
FIELD(aby_model_info, cache_dtype, 92, 4);
FIELD(aby_model_info, parameters, 96, 8);
FIELD(aby_model_info, active_parameters, 104, 8);
FIELD(aby_model_info, file_bytes, 112, 8);
FIELD(aby_model_info, weight_bytes, 120, 8);
FIELD(aby_model_info, mapped_bytes, 128, 8);
FIELD(aby_model_info, cache_bytes_per_token, 136, 8);
FIELD(aby_model_info, cache_tokens, 144, 8);
FIELD(aby_model_info, weight_layouts, 152, 8);
FIELD(aby_model_info, arithmetic, 160, 4);
FIELD(aby_model_info, packed_cache, 164, 4);
FIELD(aby_model_info, tools, 168, 4);
FIELD(aby_model_info, reserved, 172, 4);
SIZE(aby_model_info, 176);

FIELD(aby_profile_part, struct_size, 0, 4);
FIELD(aby_profile_part, reserved, 4, 4);
FIELD(aby_profile_part, name, 8, 8);
FIELD(aby_profile_part, calls, 16, 8);
FIELD(aby_profile_part, seconds, 24, 8);
FIELD(aby_profile_part, flops, 32, 8);
FIELD(aby_profile_part, bytes, 40, 8);
SIZE(aby_profile_part, 48);

FIELD(aby_chat_options, struct_size, 0, 4);
FIELD(aby_chat_options, add_generation_prompt, 4, 4);
FIELD(aby_chat_options, tools_json, 8, 8);
FIELD(aby_chat_options, variables_json, 16, 8);
FIELD(aby_chat_options, chat_template, 24, 8);
FIELD(aby_chat_options, allow_dropped_tools, 32, 4);
FIELD(aby_chat_options, reserved, 36, 4);
SIZE(aby_chat_options, 40);

FIELD(aby_eval_options, struct_size, 0, 4);
FIELD(aby_eval_options, keep, 4, 4);
FIELD(aby_eval_options, logits, 8, 8);
FIELD(aby_eval_options, mtp, 16, 4);
FIELD(aby_eval_options, chunk, 20, 4);
FIELD(aby_eval_options, cancel, 24, 8);
SIZE(aby_eval_options, 32);

FIELD(aby_reply_options, struct_size, 0, 4);
FIELD(aby_reply_options, ignore_eos, 4, 4);
FIELD(aby_reply_options, max_tokens, 8, 8);
FIELD(aby_reply_options, seed, 16, 8);
FIELD(aby_reply_options, temperature, 24, 4);
FIELD(aby_reply_options, top_p, 28, 4);
FIELD(aby_reply_options, min_p, 32, 4);
FIELD(aby_reply_options, top_k, 36, 4);
FIELD(aby_reply_options, logprobs, 40, 4);
FIELD(aby_reply_options, plain, 44, 4);
FIELD(aby_reply_options, chunk, 48, 4);
FIELD(aby_reply_options, reserved, 52, 4);
FIELD(aby_reply_options, stop_tokens, 56, 8);
FIELD(aby_reply_options, stop_token_count, 64, 8);
FIELD(aby_reply_options, mask, 72, 8);
FIELD(aby_reply_options, mask_count, 80, 8);
FIELD(aby_reply_options, constraint, 88, 8);
SIZE(aby_reply_options, 96);

FIELD(aby_events, struct_size, 0, 4);
FIELD(aby_events, reserved, 4, 4);
FIELD(aby_events, count, 8, 8);
FIELD(aby_events, kind, 16, 8);
FIELD(aby_events, token, 24, 8);
FIELD(aby_events, logprob, 32, 8);
FIELD(aby_events, text_kind, 40, 8);
FIELD(aby_events, text_begin, 48, 8);
FIELD(aby_events, text, 56, 8);
FIELD(aby_events, finish_reason, 64, 8);
FIELD(aby_events, prompt_tokens, 72, 8);
FIELD(aby_events, prompt_total, 80, 8);
FIELD(aby_events, completion_tokens, 88, 8);
FIELD(aby_events, reasoning_tokens, 96, 8);
SIZE(aby_events, 104);

FIELD(aby_moe_route_args, struct_size, 0, 4);
FIELD(aby_moe_route_args, tokens, 4, 4);
FIELD(aby_moe_route_args, experts, 8, 4);
FIELD(aby_moe_route_args, top_k, 12, 4);
FIELD(aby_moe_route_args, n_group, 16, 4);
FIELD(aby_moe_route_args, topk_group, 20, 4);
FIELD(aby_moe_route_args, scoring, 24, 4);
FIELD(aby_moe_route_args, topk_method, 28, 4);
FIELD(aby_moe_route_args, norm_topk_prob, 32, 4);
FIELD(aby_moe_route_args, routed_scaling_factor, 36, 4);
FIELD(aby_moe_route_args, logits, 40, 8);
FIELD(aby_moe_route_args, bias, 48, 8);
FIELD(aby_moe_route_args, index, 56, 8);
FIELD(aby_moe_route_args, weight, 64, 8);
SIZE(aby_moe_route_args, 72);

FIELD(aby_experts_desc, struct_size, 0, 4);
FIELD(aby_experts_desc, experts, 4, 4);
FIELD(aby_experts_desc, hidden, 8, 4);
FIELD(aby_experts_desc, inter, 12, 4);
FIELD(aby_experts_desc, shared_inter, 16, 4);
FIELD(aby_experts_desc, dtype, 20, 4);
FIELD(aby_experts_desc, compute, 24, 4);
FIELD(aby_experts_desc, scale_dtype, 28, 4);
FIELD(aby_experts_desc, block_n, 32, 4);
FIELD(aby_experts_desc, block_k, 36, 4);
FIELD(aby_experts_desc, gate, 40, 8);
FIELD(aby_experts_desc, up, 48, 8);
FIELD(aby_experts_desc, down, 56, 8);
FIELD(aby_experts_desc, gate_scale, 64, 8);
FIELD(aby_experts_desc, up_scale, 72, 8);
FIELD(aby_experts_desc, down_scale, 80, 8);
FIELD(aby_experts_desc, shared_gate, 88, 8);
FIELD(aby_experts_desc, shared_up, 96, 8);
FIELD(aby_experts_desc, shared_down, 104, 8);
FIELD(aby_experts_desc, shared_gate_scale, 112, 8);
FIELD(aby_experts_desc, shared_up_scale, 120, 8);
FIELD(aby_experts_desc, shared_down_scale, 128, 8);
SIZE(aby_experts_desc, 136);

FIELD(aby_moe_experts_args, struct_size, 0, 4);
FIELD(aby_moe_experts_args, tokens, 4, 4);
FIELD(aby_moe_experts_args, top_k, 8, 4);
FIELD(aby_moe_experts_args, reserved, 12, 4);
FIELD(aby_moe_experts_args, x, 16, 8);
FIELD(aby_moe_experts_args, index, 24, 8);
FIELD(aby_moe_experts_args, weight, 32, 8);
FIELD(aby_moe_experts_args, out, 40, 8);
SIZE(aby_moe_experts_args, 48);

FIELD(aby_mla_desc, struct_size, 0, 4);
FIELD(aby_mla_desc, heads, 4, 4);
FIELD(aby_mla_desc, kv_lora_rank, 8, 4);
FIELD(aby_mla_desc, qk_nope_head_dim, 12, 4);
FIELD(aby_mla_desc, qk_rope_head_dim, 16, 4);
FIELD(aby_mla_desc, v_head_dim, 20, 4);
FIELD(aby_mla_desc, dtype, 24, 4);
FIELD(aby_mla_desc, compute, 28, 4);
FIELD(aby_mla_desc, kv_b, 32, 8);
SIZE(aby_mla_desc, 40);

FIELD(aby_mla_attend_args, struct_size, 0, 4);
FIELD(aby_mla_attend_args, sequences, 4, 4);
FIELD(aby_mla_attend_args, row_begin, 8, 8);
FIELD(aby_mla_attend_args, context, 16, 8);
FIELD(aby_mla_attend_args, block_table, 24, 8);
FIELD(aby_mla_attend_args, table_stride, 32, 4);
FIELD(aby_mla_attend_args, blocks, 36, 4);
FIELD(aby_mla_attend_args, cache_dtype, 40, 4);
FIELD(aby_mla_attend_args, scale, 44, 4);
FIELD(aby_mla_attend_args, absorb_below, 48, 4);
FIELD(aby_mla_attend_args, reserved, 52, 4);
FIELD(aby_mla_attend_args, cache, 56, 8);
FIELD(aby_mla_attend_args, q, 64, 8);
FIELD(aby_mla_attend_args, out, 72, 8);
SIZE(aby_mla_attend_args, 80);
