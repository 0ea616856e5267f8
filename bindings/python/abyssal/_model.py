"""Models: open a checkpoint, and everything that is done with it."""

from __future__ import annotations

import json
import os
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Literal,
    Mapping,
    Optional,
    Tuple,
    Type,
    Union,
    overload,
)

from . import _abyssal
from ._arrays import DTYPE_NAMES, Tensors, Tokens, as_tensors, as_tokens, dtype_number
from ._check import choice, no_pickle, unsigned, utf8
from ._device import Device
from ._errors import InvalidArgument, StateError
from ._info import ModelInfo, ModelPlan, ProfilePart
from ._reply import Reply, Stream, generation_options, shared_prefix
from ._sequence import Sequence
from ._worker import Worker

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Model", "Progress"]

Progress = Callable[[str, int, int], Any]
"""progress(stage, done, total): stage is "read" or "weights", done and total are bytes. A true result cancels."""

_STAGES = ("read", "weights")
_WEIGHTS = ("stored", "int8", "int4")
_ATTENTION = {"auto": 0, "absorbed": 1, "expanded": 2}
_ADD_BOS, _PLAIN = 1, 2
_SKIP_SPECIAL = 1

Path = Union[str, bytes, "os.PathLike[str]"]
Messages = Union[str, Iterable[Mapping[str, Any]]]


def _raw_progress(progress: Optional[Progress]) -> Optional[Callable[[int, int, int], bool]]:
    if progress is None:
        return None
    callback = progress
    return lambda stage, done, total: bool(
        callback(_STAGES[stage] if 0 <= stage < len(_STAGES) else "unknown", done, total)
    )


def _options(
    device: Optional[Device],
    backend: Optional[str],
    threads: int,
    activations: str,
    cache_dtype: str,
    cache_tokens: int,
    absorb_below: int,
    mtp: bool,
    tokenizer: Optional[Path],
    progress: Optional[Progress],
    weights: str,
    attention: str,
    packed_cache: Optional[Path] = None,
    packed_cache_check: bool = False,
) -> _abyssal.ModelOptions:
    if device is not None and backend is not None:
        raise InvalidArgument("device and backend are both given; a device has its backend")
    if attention not in _ATTENTION:
        raise InvalidArgument(f"attention is {attention!r}; expected one of {', '.join(_ATTENTION)}")
    return _abyssal.ModelOptions(
        device=None if device is None else device._raw,
        backend=backend,
        threads=unsigned(threads, 32, "threads"),
        activations=dtype_number(activations, "activations"),
        cache_dtype=dtype_number(cache_dtype, "cache_dtype"),
        cache_tokens=unsigned(cache_tokens, 64, "cache_tokens"),
        absorb_below=unsigned(absorb_below, 32, "absorb_below"),
        mtp=bool(mtp),
        tokenizer=None if tokenizer is None else os.fsencode(tokenizer),
        progress=_raw_progress(progress),
        weights=choice(weights, _WEIGHTS, "weights"),
        packed_cache=None if packed_cache is None else os.fsencode(packed_cache),
        packed_cache_check=bool(packed_cache_check),
        attention=_ATTENTION[attention],
    )


def _json(value: Any, what: str) -> bytes:
    if isinstance(value, str):
        return utf8(value)
    try:
        return utf8(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except ValueError as error:
        raise InvalidArgument(f"{what} cannot be written as JSON: {error}") from error


def _chat_text(
    messages: Messages, tools: Optional[Any], chat_template: Optional[str], variables: Optional[Mapping[str, Any]]
) -> Tuple[bytes, Optional[bytes], Optional[bytes], Optional[bytes]]:
    """What render_chat of the C API takes first: messages, tools, variables, template."""
    return (
        _json(messages if isinstance(messages, str) else [dict(message) for message in messages], "messages"),
        None if tools is None else _json(tools, "tools"),
        _json(dict(variables), "variables") if variables else None,
        None if chat_template is None else utf8(chat_template),
    )


class Model:
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
        options = _options(
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
    def open(
        cls,
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
    ) -> "Model":
        """Opens a checkpoint: a folder as published (config.json, *.safetensors, tokenizer.json), or a GGUF file.

        device: where to run; None: one is opened from backend and threads (see Device).
        activations: "auto": float32, but rounded to int8 in blocks of 128 for products with quantised weights; "f32":
            float32 everywhere; "bf16": as "auto" with bfloat16, faster on processors that multiply it, within 1e-2;
            "i8", "i16": as "auto" with this rounding for quantised weights. With weights="int8", "auto" is "i16".
        cache_dtype: type of cached rows: "f32", "bf16", "int8" (a scale for each 64 values, k_rope of MLA in bfloat16),
            or "auto": "bf16" for quantised weights unless activations is "f32", else that of activations.
        cache_tokens: tokens that the cache of all sequences together holds; 0: the smaller of the model's context
            and 32768. Rounded up to whole blocks of 64.
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
        return cls(
            path,
            device=device,
            backend=backend,
            threads=threads,
            activations=activations,
            cache_dtype=cache_dtype,
            cache_tokens=cache_tokens,
            absorb_below=absorb_below,
            mtp=mtp,
            tokenizer=tokenizer,
            progress=progress,
            weights=weights,
            packed_cache=packed_cache,
            packed_cache_check=packed_cache_check,
            attention=attention,
        )

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
        options = _options(
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
        options = _options(None, None, threads, "auto", "auto", 0, 0, False, None, progress, weights, "auto")
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
        options = _options(
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
        model._raw = _abyssal.open_tensors(_json(text, "config"), as_tensors(tensors), options)
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

    def tokenize(self, text: Union[str, bytes], add_bos: bool = False, plain: bool = False) -> npt.NDArray[np.int32]:
        """Token ids of a text, int32 [n], equal to Hugging Face's.

        add_bos: begin with the BOS token if the checkpoint asks for one and the text has none.
        plain: treat markers of special tokens as ordinary text (for text from strangers).
        Raises EncodingError (invalid UTF-8, with its position), StateError (no tokenizer).
        """
        import numpy as np

        flags = (_ADD_BOS if add_bos else 0) | (_PLAIN if plain else 0)
        return np.asarray(self._raw.tokenize(utf8(text), flags))

    def detokenize(self, tokens: Tokens, skip_special: bool = False) -> bytes:
        """The exact bytes of tokens, [n] integers. A token may hold part of a UTF-8 character.

        skip_special: leave special tokens out. Raises InvalidArgument for an id outside the vocabulary.
        """
        return self._raw.detokenize(as_tokens(tokens), _SKIP_SPECIAL if skip_special else 0)

    def decode(self, tokens: Tokens, skip_special: bool = False) -> str:
        """The text of tokens, [n] integers; bytes that are no UTF-8 become U+FFFD."""
        return self.detokenize(tokens, skip_special).decode("utf-8", "replace")

    def render_chat(
        self,
        messages: Messages,
        tools: Optional[Any] = None,
        add_generation_prompt: bool = True,
        chat_template: Optional[str] = None,
        **variables: Any,
    ) -> str:
        """Renders messages with the checkpoint's chat template, as Hugging Face renders them.

        messages: such as [{"role": "user", "content": "Hi"}], or the same as JSON text.
        tools: a list of tools as chat APIs describe them, or JSON text.
        add_generation_prompt: end with the marker that opens the assistant's turn.
        chat_template: used instead of the checkpoint's own.
        variables: further variables of the template, e.g. thinking=True.

        The text holds the BOS marker where the template writes it: tokenize it without add_bos.
        Raises TemplateError (with the template's message), StateError (no template).
        """
        given = _chat_text(messages, tools, chat_template, variables)
        return self._raw.render_chat(*given, bool(add_generation_prompt)).decode("utf-8")

    def sequence(self) -> Sequence:
        """An empty sequence of this model."""
        return Sequence._wrap(_abyssal.Sequence(self._raw), self._worker)

    @overload
    def generate(
        self,
        prompt: Union[str, Tokens],
        *,
        max_tokens: Optional[int] = ...,
        temperature: Optional[float] = ...,
        top_p: Optional[float] = ...,
        top_k: Optional[int] = ...,
        min_p: Optional[float] = ...,
        seed: int = ...,
        ignore_eos: bool = ...,
        stop_tokens: Tokens = ...,
        plain: bool = ...,
        chunk: int = ...,
        stream: Literal[False] = ...,
    ) -> Reply: ...

    @overload
    def generate(
        self,
        prompt: Union[str, Tokens],
        *,
        max_tokens: Optional[int] = ...,
        temperature: Optional[float] = ...,
        top_p: Optional[float] = ...,
        top_k: Optional[int] = ...,
        min_p: Optional[float] = ...,
        seed: int = ...,
        ignore_eos: bool = ...,
        stop_tokens: Tokens = ...,
        plain: bool = ...,
        chunk: int = ...,
        stream: Literal[True],
    ) -> Stream: ...

    def generate(
        self,
        prompt: Union[str, Tokens],
        *,
        max_tokens: Optional[int] = None,
        temperature: Optional[float] = None,
        top_p: Optional[float] = None,
        top_k: Optional[int] = None,
        min_p: Optional[float] = None,
        seed: int = 0,
        ignore_eos: bool = False,
        stop_tokens: Tokens = (),
        plain: bool = True,
        chunk: int = 0,
        stream: bool = False,
    ) -> Union[Reply, Stream]:
        """Continues a prompt.

        prompt: text (tokenized with the BOS token if the checkpoint asks for one), or token ids [n].
        max_tokens: most new tokens; None: as many as the context holds.
        temperature: 0: greedy, ties to the lower id. None: the checkpoint's own (1 if it has none).
        top_p: keep the likeliest tokens of this total probability, 0 to 1. None: the checkpoint's own.
        top_k: keep this many tokens. None: the checkpoint's own.
        min_p: keep tokens at least this share as likely as the likeliest, 0 to 1. None: off.
        seed: the same seed gives the same reply.
        ignore_eos: end-of-sequence tokens do not end the reply.
        stop_tokens: further tokens that end the reply.
        plain: False tells the reasoning between <think> and </think> from the content.
        chunk: prompt tokens of one step; 0: 512.
        stream: return a Stream of events, for `for` or `async for`, instead of the finished Reply. A text is tokenized
            with the Stream's first step. Ctrl-C interrupts both.

        Raises InvalidArgument, ContextFull, EncodingError, StateError (text without a tokenizer).
        """
        options = generation_options(
            max_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            min_p=min_p,
            seed=seed,
            ignore_eos=ignore_eos,
            stop_tokens=stop_tokens,
            plain=plain,
            chunk=chunk,
        )
        raw, sequence = self._raw.share(), self.sequence()  # a stream goes on when the model is closed

        def begin() -> _abyssal.Generation:
            tokens = raw.tokenize(utf8(prompt), _ADD_BOS) if isinstance(prompt, str) else as_tokens(prompt)
            return _abyssal.Generation(sequence._raw, tokens, options)

        started = Stream(begin, self._worker, sequence.close)
        if not isinstance(prompt, str):
            started._begun()  # takes its copy of the tokens, which the caller may change later
        return started if stream else started.reply()

    @overload
    def chat(
        self,
        messages: Messages,
        *,
        tools: Optional[Any] = ...,
        chat_template: Optional[str] = ...,
        variables: Optional[Mapping[str, Any]] = ...,
        sequence: Optional[Sequence] = ...,
        max_tokens: Optional[int] = ...,
        temperature: Optional[float] = ...,
        top_p: Optional[float] = ...,
        top_k: Optional[int] = ...,
        min_p: Optional[float] = ...,
        seed: int = ...,
        ignore_eos: bool = ...,
        stop_tokens: Tokens = ...,
        chunk: int = ...,
        stream: Literal[False] = ...,
    ) -> Reply: ...

    @overload
    def chat(
        self,
        messages: Messages,
        *,
        tools: Optional[Any] = ...,
        chat_template: Optional[str] = ...,
        variables: Optional[Mapping[str, Any]] = ...,
        sequence: Optional[Sequence] = ...,
        max_tokens: Optional[int] = ...,
        temperature: Optional[float] = ...,
        top_p: Optional[float] = ...,
        top_k: Optional[int] = ...,
        min_p: Optional[float] = ...,
        seed: int = ...,
        ignore_eos: bool = ...,
        stop_tokens: Tokens = ...,
        chunk: int = ...,
        stream: Literal[True],
    ) -> Stream: ...

    def chat(
        self,
        messages: Messages,
        *,
        tools: Optional[Any] = None,
        chat_template: Optional[str] = None,
        variables: Optional[Mapping[str, Any]] = None,
        sequence: Optional[Sequence] = None,
        max_tokens: Optional[int] = None,
        temperature: Optional[float] = None,
        top_p: Optional[float] = None,
        top_k: Optional[int] = None,
        min_p: Optional[float] = None,
        seed: int = 0,
        ignore_eos: bool = False,
        stop_tokens: Tokens = (),
        chunk: int = 0,
        stream: bool = False,
    ) -> Union[Reply, Stream]:
        """Answers messages, such as [{"role": "user", "content": "Hi"}], with the checkpoint's chat template.

        tools, chat_template, variables: as in render_chat.
        sequence: a sequence of this model to write onto; the tokens that it shares with the prompt from the start
            are not computed again, the others are forgotten. Keep one for a conversation. None: a new one.
        Sampling, max_tokens, chunk and stream: as in generate. The Reply has reasoning and content apart; events say
        in text_kind what their text is.
        Raises TemplateError, StateError (no tokenizer or no chat template), ContextFull, InvalidArgument.
        """
        text = _chat_text(messages, tools, chat_template, variables)
        options = generation_options(
            max_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            min_p=min_p,
            seed=seed,
            ignore_eos=ignore_eos,
            stop_tokens=stop_tokens,
            plain=False,
            chunk=chunk,
        )
        raw, target = self._raw.share(), self.sequence() if sequence is None else sequence

        def begin() -> _abyssal.Generation:
            tokens = raw.tokenize(raw.render_chat(*text, True), 0)
            shared = 0
            if sequence is not None:
                shared = shared_prefix(sequence._raw.tokens(), tokens)
                sequence.truncate(shared)
            return _abyssal.Generation(target._raw, memoryview(tokens)[shared:], options)

        started = Stream(begin, self._worker, target.close if sequence is None else None)
        return started if stream else started.reply()

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
