"""Sizes and amounts of the whole recipe, in one place.

R1_RECIPE_WORK is the folder of everything that is made on the way; R1_RECIPE_SIZE is "full", or "smoke" for a run of a
few minutes that goes through every stage and learns nothing.
"""

from __future__ import annotations

import os
import pathlib
from dataclasses import dataclass

os.environ.setdefault(
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192"
)  # before torch is imported: every shape keeps its kernel

SEED = 20250120
CONTEXT = 1024

MODEL = dict(
    vocab_size=768,
    hidden_size=256,
    intermediate_size=384,
    moe_intermediate_size=128,
    num_hidden_layers=4,
    num_attention_heads=8,
    q_lora_rank=128,
    kv_lora_rank=64,
    qk_nope_head_dim=32,
    qk_rope_head_dim=16,
    v_head_dim=32,
    n_routed_experts=16,
    n_shared_experts=1,
    num_experts_per_tok=2,
    n_group=4,
    topk_group=2,
    routed_scaling_factor=2.5,
    first_k_dense_replace=1,
    rope_theta=10000.0,
    rms_norm_eps=1e-6,
)


COLD_RATE = 4e-3
"""Muon's rate, for matrices; AdamW's is half of it."""
GRPO_RATE = 1e-4
"""AdamW's."""
GRPO_SAMPLES = 8
GRPO_UPDATES = 2
REJECT_SAMPLES = 4
FINAL_RATE = 1e-3
DISTILL_RATE = 4e-3
MTP_RATE = 2e-3
REPLY_LIMIT = 192

STUDENT = dict(
    vocab_size=768,
    hidden_size=128,
    intermediate_size=384,
    num_hidden_layers=5,
    num_attention_heads=4,
    num_key_value_heads=2,
    rope_theta=10000.0,
    rms_norm_eps=1e-6,
)


@dataclass(frozen=True)
class Size:
    """How much of everything: of examples, steps, prompts."""

    merge_examples: int
    examples: int
    held_out: int
    batch_tokens: int
    log_every: int
    cold_steps: int
    grpo_steps: int
    grpo_prompts: int
    reject_problems: int
    final_steps: int
    distill_steps: int
    mtp_steps: int


_SIZES = {
    "full": Size(
        merge_examples=40000,
        examples=450000,
        held_out=1000,
        batch_tokens=8192,
        log_every=50,
        cold_steps=4500,
        grpo_steps=100,
        grpo_prompts=128,
        reject_problems=40000,
        final_steps=1000,
        distill_steps=800,
        mtp_steps=300,
    ),
    "smoke": Size(
        merge_examples=3000,
        examples=4000,
        held_out=24,
        batch_tokens=2048,
        log_every=10,
        cold_steps=30,
        grpo_steps=3,
        grpo_prompts=8,
        reject_problems=500,
        final_steps=10,
        distill_steps=20,
        mtp_steps=10,
    ),
}


def size() -> Size:
    return _SIZES[os.environ.get("R1_RECIPE_SIZE", "full")]


def work() -> pathlib.Path:
    """The folder of intermediate files, made if it is not there."""
    folder = pathlib.Path(os.environ.get("R1_RECIPE_WORK", pathlib.Path(__file__).parent / "work"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def threads() -> int:
    """Threads for training and rollouts."""
    return int(os.environ.get("R1_RECIPE_THREADS", os.cpu_count() or 1))
