"""What there is: backends, devices, models and the memory that they need."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BackendInfo", "DeviceInfo", "ModelInfo", "ModelPlan", "ProfilePart"]


@dataclass(frozen=True)
class BackendInfo:
    """What a backend offers."""

    name: str
    """As given to ``backend=``: "cpu", "reference", ..."""
    device_count: int
    """Its devices; 0 when the hardware is missing."""


@dataclass(frozen=True)
class DeviceInfo:
    """What a device is."""

    backend: str
    """Name of its backend."""
    name: str
    """Such as the processor's model name."""
    isa: str
    """Instruction sets in use, such as "avx2 avx512 avx512_bf16"."""
    threads: int
    """Worker threads, the calling one included; 0 for a device that has none."""
    memory_bytes: int
    """Memory of the device that this process may use; 0 if unknown."""


@dataclass(frozen=True)
class ModelPlan:
    """Memory that a model will need, in bytes, and its sizes, known before any weight is read."""

    layers: int
    parameters: int
    """All weights, without the MTP layer unless it was asked for."""
    active_parameters: int
    """Weights that one token uses, embedding and head not counted."""
    file_bytes: int
    """Of the checkpoint's tensors that will be used."""
    weight_bytes: int
    """Memory of the prepared weights, mapped files included."""
    mapped_bytes: int
    """Part of weight_bytes that stays in the mapped files."""
    cache_bytes_per_token: int
    cache_tokens: int
    """Most tokens that the cache of all sequences together holds."""
    cache_bytes: int
    """Of the cache when it is full."""
    scratch_bytes: int
    """Most temporary memory of one pass."""
    total_bytes: int
    """weight_bytes + cache_bytes + scratch_bytes."""


@dataclass(frozen=True)
class ModelInfo:
    """What a model is."""

    architecture: str
    """model_type of its config: "deepseek_v3", "qwen2", ..."""
    attention: str
    """"mla" or "gqa"."""
    weight_types: str
    """Types of the stored weights, such as "f8_e4m3 bf16 f32"."""
    weight_layouts: str
    """Weights that are not held as they are stored, with their bits a weight as stored and in memory, such as "q2_k as
    q4_g16_bias (2.62 to 8.00 bits), bf16 as q8 (16.00 to 8.50 bits)"; "" if there are none."""
    layers: int
    hidden_size: int
    vocab_size: int
    heads: int
    kv_heads: int
    """Key-value heads of grouped-query attention; 0 for MLA."""
    kv_lora_rank: int
    """0 for grouped-query attention."""
    rope_dim: int
    experts: int
    """n_routed_experts; 0 for dense models."""
    top_k: int
    """num_experts_per_tok."""
    context_length: int
    """max_position_embeddings, in tokens."""
    mtp_layers: int
    """Multi-token-prediction layers that are loaded."""
    bos_token: int
    """-1 if there is none."""
    has_tokenizer: bool
    has_chat_template: bool
    reasons: bool
    """Whether the vocabulary has the markers <think> and </think>."""
    activations: str
    """"f32" or "bf16"."""
    cache_dtype: str
    """"f32", "bf16" or "i8"."""
    parameters: int
    active_parameters: int
    file_bytes: int
    weight_bytes: int
    mapped_bytes: int
    cache_bytes_per_token: int
    cache_tokens: int
    """Most tokens that the cache of all sequences together holds."""
    arithmetic: str
    """What activations are rounded to in products with quantised weights: "i8", "i16" or "f32"."""
    packed_cache: bool
    """Whether weights are mapped from a packed cache."""
    tools: bool
    """Whether the chat template has a place for tools."""


@dataclass(frozen=True)
class ProfilePart:
    """What the evaluations of a model spent on one part of their work; see abyssal.h."""

    name: str
    """"embedding", "norms", "attention projections", "attention", "router", "experts", "mlp", "head" or "sampling"."""
    calls: int
    seconds: float
    flops: int
    """Of its products, two for a multiplication and its addition; 0 for parts that have none."""
    bytes: int
    """Of the weights and cached rows that those products must read, each counted once a call."""
