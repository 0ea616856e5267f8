"""Models: open a checkpoint, and everything that is done with it."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Dict, List, Mapping, Optional, Type, Union

from . import _abyssal
from ._arrays import DTYPE_NAMES, Tensors, as_tensors
from ._check import no_pickle
from ._device import Device
from ._errors import StateError
from ._info import ModelInfo, ModelPlan, ProfilePart
from ._opening import Path, Progress, model_options
from ._signature import arguments_of
from ._text import Text, json_bytes
from ._worker import Worker
from ._writer import Writer

__all__ = ["Model"]


class Model(Text, Writer):
    """A checkpoint, its weights prepared on a device, and the cache that its sequences share.

    Immutable but for update(), and shared: any thread may call anything on it at any time. Use it as a context
    manager, or close() it; sequences that are still alive keep working and keep its memory.

    Model(path, ...) is the same as Model.open(path, ...).
    """

    _raw: _abyssal.Model
    _worker: Worker

    def __init__(
        self,
        path: Path,
        *,
        device: Optional[Device] = None,
        backend: Optional[str] = None,
        threads: int = 0,
        activations: str = "auto",
        cache_dtype: str = "auto",
        cache_tokens: int = 0,
        absorb_below: int = 0,
        mtp: bool = False,
        tokenizer: Optional[Path] = None,
        progress: Optional[Progress] = None,
        weights: str = "stored",
        packed_cache: Optional[Path] = None,
        packed_cache_check: bool = False,
        attention: str = "auto",
    ) -> None:
        options = model_options(
            device,
            backend,
            threads,
            activations,
            cache_dtype,
            cache_tokens,
            absorb_below,
            mtp,
            tokenizer,
            progress,
            weights,
            attention,
            packed_cache,
            packed_cache_check,
        )
        self._raw = _abyssal.open_model(os.fsencode(path), options)
        self._worker = Worker()

    @classmethod
    @arguments_of(__init__)
    def open(cls, *arguments: Any, **options: Any) -> "Model":
        """Opens a checkpoint: a folder as published (config.json, *.safetensors, tokenizer.json), or a GGUF file.

        device: where to run; None: one is opened from backend and threads (see Device).
        activations: "auto": bfloat16 where most weights are stored in bf16, f16 or f8_e4m3 and none is quantised, else
            float32; and rounded to int8 with a scale for each 32 for products with quantised weights; "f32": float32
            everywhere; "bf16": as "auto" with bfloat16 whatever is stored; "i8", "i16": as "auto" with this rounding for
            quantised weights. With weights="int8", "auto" is "i16". info says what was taken.
        cache_dtype: type of cached rows: "f32", "bf16", "int8" (a scale for each 64 values, k_rope of MLA in bfloat16),
            or "auto": "bf16" for quantised weights unless activations is "f32", else that of activations.
        cache_tokens: most tokens that the cache of all sequences together holds, rounded up to whole blocks of 64. It
            grows on demand. 0: as many as a quarter of the device's memory holds, and at least the smaller of the
            model's context and 32768.
        absorb_below: MLA attention runs in its absorbed form for sequences that bring fewer new tokens than this;
            0: 128. 1: never absorbed. 2**32 - 1: always.
        mtp: load the multi-token-prediction layer too.
        tokenizer: folder with tokenizer.json and tokenizer_config.json; None: the checkpoint's own. Without one the
            model opens, and functions on text raise StateError.
        progress: called as progress(stage, done, total), in bytes, stage "read" or "weights". A true result cancels
            (raises Cancelled); an exception is passed on. Ctrl-C works too.
        weights: "stored": as the checkpoint has them; "int8", "int4": matrices that are stored in f32, f16, bf16 or
            f8_e4m3 are rounded while they are loaded, in groups of 32 that share a scale. As stored stay what is in a
            block format already, the router, norms, embedding and head.
        packed_cache: folder for a file with the weights as the backend arranges them, so that the next opening maps it
            instead of making them again; "" for beside the checkpoint. What is wrong with it is a warning of the
            warnings module. packed_cache_check: read that file whole and compare its hashes.
        attention: form of MLA attention: "auto": by absorb_below; "absorbed" or "expanded" (un-absorbed): that one for
            any number of tokens. With "absorbed" and quantised weights, unless activations is "f32", results on "cpu"
            have the same bits however tokens are cut into calls and passes.

        Raises NotFound, IoError, FormatError (damaged; names file, tensor and offset), Unsupported (architecture),
        NoMemory, Cancelled.
        """
        return cls(*arguments, **options)

    @classmethod
    @arguments_of(__init__)
    async def open_async(cls, *arguments: Any, progress: Optional[Progress] = None, **options: Any) -> "Model":
        """As open(), for event loops: the model is opened on a thread of its own, and the loop runs on.

        progress is called on that thread. Cancelling the task cancels the opening: CancelledError goes on when it has
        ended, within a moment, and nothing is left of it.
        """
        worker, models, stopped = Worker(), [], False

        def report(stage: str, done: int, total: int) -> Any:
            return stopped or (progress is not None and progress(stage, done, total))

        def work() -> None:
            models.append(cls(*arguments, progress=report, **options))

        def stop() -> None:
            nonlocal stopped
            stopped = True

        try:
            await worker.run(work, stop)
        except BaseException:
            for model in models:  # it was open when the cancellation came
                model.close()
            raise
        models[0]._worker = worker
        return models[0]

    @staticmethod
    def plan(
        path: Path,
        *,
        device: Optional[Device] = None,
        backend: Optional[str] = None,
        threads: int = 0,
        activations: str = "auto",
        cache_dtype: str = "auto",
        cache_tokens: int = 0,
        absorb_below: int = 0,
        mtp: bool = False,
        weights: str = "stored",
        attention: str = "auto",
    ) -> ModelPlan:
        """Memory that opening a checkpoint would need, in bytes, and its sizes. Reads config and tensor headers only,
        and checks that every tensor is there with the right shape. Arguments and errors as open()."""
        options = model_options(
            device,
            backend,
            threads,
            activations,
            cache_dtype,
            cache_tokens,
            absorb_below,
            mtp,
            None,
            None,
            weights,
            attention,
        )
        return ModelPlan(**_abyssal.plan_model(os.fsencode(path), options))

    @staticmethod
    def quantize(
        path: Path,
        out: Path,
        *,
        weights: str = "int8",
        threads: int = 0,
        progress: Optional[Progress] = None,
    ) -> None:
        """Writes the checkpoint in a folder anew, into the folder `out`: matrices rounded to "int8" or "int4", the rest as
        it is. The result opens as any checkpoint does; with the same weights= it gives the same results as `path`. Its
        model.safetensors has element types that other programs do not know. Raises as open(), Unsupported for GGUF."""
        options = model_options(None, None, threads, "auto", "auto", 0, 0, False, None, progress, weights, "auto")
        _abyssal.quantize(os.fsencode(path), os.fsencode(out), options)

    @classmethod
    def from_tensors(
        cls,
        config: Union[str, Mapping[str, Any]],
        tensors: Tensors,
        *,
        device: Optional[Device] = None,
        backend: Optional[str] = None,
        threads: int = 0,
        activations: str = "auto",
        cache_dtype: str = "auto",
        cache_tokens: int = 0,
        absorb_below: int = 0,
        mtp: bool = False,
        tokenizer: Optional[Path] = None,
        progress: Optional[Progress] = None,
        weights: str = "stored",
        attention: str = "auto",
    ) -> "Model":
        """Opens a model from arrays in memory, which are copied.

        config: what config.json holds, as a mapping or as its text.
        tensors: arrays by the names of the published checkpoints: numpy arrays, torch tensors, or anything with the
            buffer protocol or __array__. Types: float32, float16, bfloat16 and the fp8 types (as ml_dtypes or torch
            have them). A pair (array, "bf16") gives the type of an array that only carries the bits: "bf16" in
            uint16, "f8_e4m3" and "f8_e8m0" in uint8.
        Other arguments and errors as open().
        """
        options = model_options(
            device,
            backend,
            threads,
            activations,
            cache_dtype,
            cache_tokens,
            absorb_below,
            mtp,
            tokenizer,
            progress,
            weights,
            attention,
        )
        text = config if isinstance(config, str) else dict(config)
        model = cls.__new__(cls)
        model._raw = _abyssal.open_tensors(json_bytes(text, "config"), as_tensors(tensors), options)
        model._worker = Worker()
        return model

    def update(self, tensors: Tensors) -> None:
        """Replaces weights by the tensors given, by name; others stay.

        Shapes must be those of the model; the type may differ; see from_tensors() for what is an array. Every
        sequence of this model is empty afterwards: caches made with the old weights are dropped.
        Raises Busy while an evaluation runs, NotFound for a tensor that the model does not have, FormatError for a
        wrong shape, BufferError while a view of a sequence's results is alive. The model is then unchanged.
        """
        self._raw.update(as_tensors(tensors))

    @property
    def info(self) -> ModelInfo:
        """What the model is."""
        raw = self._raw.info()
        for name in ("activations", "cache_dtype", "arithmetic"):
            raw[name] = DTYPE_NAMES.get(raw[name], "unknown")
        return ModelInfo(**raw)

    @property
    def device(self) -> Device:
        """The device that the model runs on."""
        return Device._wrap(self._raw.device())

    def profile(self, on: bool = True) -> None:
        """Starts measuring the evaluations of this model, from nothing, or stops. Results stay the same bits."""
        self._raw.profile(bool(on))

    @property
    def profile_parts(self) -> List[ProfilePart]:
        """What was measured while the profile was on: every part, also those without a call."""
        return [ProfilePart(**part) for part in self._raw.profile_parts()]

    @property
    def eos_tokens(self) -> List[int]:
        """The tokens that end a reply."""
        return self._raw.eos_tokens()

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._raw.closed

    def close(self) -> None:
        """Lets go of the model. Running calls end first, and sequences that are alive keep its memory. May be called
        more than once, from any thread."""
        self._raw.close()

    def __enter__(self) -> "Model":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if not hasattr(self, "_raw") or self.closed:
            return "<abyssal.Model, closed>"
        try:
            info: Dict[str, Any] = self._raw.info()
        except StateError:
            return "<abyssal.Model of another process>"
        size = f"{info['parameters'] / 1e9:.3g} G parameters"
        return f"<abyssal.Model {info['architecture']}, {info['layers']} layers, {size}>"

    def __reduce__(self) -> Any:
        return no_pickle(self)
