"""What the tests of the Python package share: the conformance checkpoints, their expected values, and backends."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import pathlib

import numpy as np

import abyssal

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
CONFORMANCE = DATA / "conformance"
CHECKPOINTS = sorted(folder.name for folder in CONFORMANCE.iterdir() if folder.is_dir())
WITH_MTP = ("tiny-v3", "tiny-v3-fp8")
_BUILT = ROOT / "build" / "lib" / "libabyssal_deferred.so"
DEFERRED = os.environ.get("ABYSSAL_DEFERRED") or (str(_BUILT) if _BUILT.exists() else None)
BACKENDS = [backend.name for backend in abyssal.backends()] + ([DEFERRED] if DEFERRED else [])

HIDDEN_LIMIT = 2e-5
LOGITS_LIMIT = 1e-4
RESOLVED_GAP = 1e-3  # between the two best logits, that float32 arithmetic resolves


def checkpoint(name: str) -> pathlib.Path:
    return CONFORMANCE / name


_CARRIERS = {"F32": "<f4", "I32": "<i4", "F16": "<f2", "BF16": "<u2", "F8_E4M3": "u1"}


def read_safetensors(path: pathlib.Path) -> "dict[str, tuple[np.ndarray, str]]":
    """A file's tensors as pairs of the array of their bits and the name of their type. Read here: the package of that
    name is not to be had for every interpreter that runs these tests."""
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    tensors = {}
    for name, entry in json.loads(content[8:begin]).items():
        if name != "__metadata__":
            first, last = (begin + offset for offset in entry["data_offsets"])
            bits = np.frombuffer(content[first:last], _CARRIERS[entry["dtype"]])
            tensors[name] = (bits.reshape(entry["shape"]), entry["dtype"])
    return tensors


@functools.lru_cache(maxsize=None)
def expected(name: str) -> "dict[str, np.ndarray]":
    """Reference values of a checkpoint."""
    tensors = read_safetensors(checkpoint(name) / "expected.safetensors")
    assert {dtype for _, dtype in tensors.values()} <= {"F32", "I32"}
    return {tensor: values for tensor, (values, _) in tensors.items()}


@functools.lru_cache(maxsize=None)
def open_model(name: str, backend: str = BACKENDS[0], **options: object) -> abyssal.Model:
    """A model that the tests share, by default on the best backend: they must not change it."""
    return abyssal.Model.open(checkpoint(name), backend=backend, cache_tokens=2048, **options)


def prompt(name: str, which: str) -> np.ndarray:
    return expected(name)[f"{which}.input_ids"]


def relative_error(x: np.ndarray, reference: np.ndarray) -> float:
    """|x - reference| / |reference| over the whole tensor."""
    assert x.shape == reference.shape
    difference = np.linalg.norm(x.astype(np.float64) - reference)
    return float(difference / max(np.linalg.norm(reference.astype(np.float64)), 1e-300))


def raw_tensors(name: str) -> "dict[str, tuple[np.ndarray, str]]":
    """A checkpoint's tensors as pairs of the array of their bits and the name of their type."""
    tensors = {}
    for shard in sorted(checkpoint(name).glob("model*.safetensors")):
        tensors.update(read_safetensors(shard))
    return tensors


def config(name: str) -> "dict[str, object]":
    return json.loads((checkpoint(name) / "config.json").read_text())


def bf16_bits(values: np.ndarray) -> np.ndarray:
    """float32 to bfloat16, rounded to the nearest even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16_bits(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


class Ticks:
    """Counts how often the loop came to fire a timer of 5 ms."""

    async def __aenter__(self):
        self.count = 0
        self._task = asyncio.ensure_future(self._run())
        return self

    async def _run(self):
        while True:
            await asyncio.sleep(0.005)
            self.count += 1

    async def __aexit__(self, *error):
        self._task.cancel()
