"""Sequences: tokens that were evaluated, their cache, and the results."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Tuple, Type
from typing import Sequence as Many

from . import _abyssal
from ._arrays import Tokens, as_tokens, copy_tokens
from ._check import no_pickle, unsigned
from ._constraint import Constraint, Mask, Schema
from ._errors import InvalidArgument
from ._reply import Stream, reply_options
from ._signature import arguments_of
from ._worker import Worker

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["OUTPUTS", "Sequence", "eval_batch", "eval_batch_async"]

OUTPUTS = {
    "logits": 0,
    "hidden": 1,
    "route_index": 2,
    "route_weight": 3,
    "cache_c_kv": 4,
    "cache_k_rope": 5,
    "cache_k": 6,
    "cache_v": 7,
    "mtp_logits": 8,
    "mtp_hidden": 9,
}
"""Kinds of Sequence.output, with the C API's numbers."""

_KEEP_HIDDEN, _KEEP_HIDDEN_LAYERS, _KEEP_ROUTES = 1, 2, 4


def _eval_options(
    logits: int = 1,
    hidden: bool = False,
    hidden_layers: bool = False,
    routes: bool = False,
    mtp: bool = False,
    chunk: int = 0,
) -> _abyssal.EvalOptions:
    keep = _KEEP_HIDDEN if hidden else 0
    keep |= _KEEP_HIDDEN_LAYERS if hidden_layers else 0
    keep |= _KEEP_ROUTES if routes else 0
    return _abyssal.EvalOptions(
        keep=keep, logits=unsigned(logits, 64, "logits"), mtp=bool(mtp), chunk=unsigned(chunk, 32, "chunk")
    )


class Sequence:
    """Tokens and the cache of their evaluation. Made by Model.sequence().

    One thread at a time uses a sequence (another one gets Busy); cancel() and close() may come from any thread.
    Sequences of one model may run on different threads. While a reply is written onto a sequence, calls that would
    change it raise Busy, until the reply has ended or its stream is closed.
    """

    def __init__(self) -> None:
        raise TypeError("sequences are made by Model.sequence()")

    @classmethod
    def _wrap(cls, raw: _abyssal.Sequence, worker: Worker) -> "Sequence":
        sequence = cls.__new__(cls)
        sequence._raw = raw
        sequence._worker = worker
        return sequence

    _raw: _abyssal.Sequence
    _worker: Worker

    def eval(
        self,
        tokens: Tokens,
        *,
        logits: int = 1,
        hidden: bool = False,
        hidden_layers: bool = False,
        routes: bool = False,
        mtp: bool = False,
        chunk: int = 0,
    ) -> None:
        """Appends tokens to the sequence and evaluates them.

        tokens: [n] integers, n >= 1, 0 to vocab_size - 1.
        logits: of how many of the last tokens logits are computed; more than there are: all.
        hidden: keep the hidden state after the final norm of all n tokens.
        hidden_layers: keep also the embedding and the output of every layer.
        routes: keep the experts and weights of each MoE layer.
        mtp: run the multi-token-prediction layer too; every evaluation of the sequence must then ask for it.
        chunk: tokens of one pass; 0: 1024, or 512 where 1024 would need over 288 MiB of scratch.

        Ctrl-C interrupts it within a moment; the sequence is then as before, as after any error.
        Raises InvalidArgument (a token outside the vocabulary, no tokens), ContextFull (they never fit), CacheFull (no
        free blocks now, may be tried again), Cancelled, Busy, StateError, and BufferError while a view of this
        sequence's results is alive (see output()).
        """
        self._raw.eval(as_tokens(tokens), _eval_options(logits, hidden, hidden_layers, routes, mtp, chunk))

    @arguments_of(eval)
    async def eval_async(self, tokens: Tokens, **options: Any) -> None:
        """As eval(), for event loops: done on the model's own thread, where it takes turns with the replies and the
        other evaluations of the model, while the loop runs on.

        The tokens are copied first. Cancelling the task cancels the evaluation: CancelledError goes on when it has
        ended, within a moment, and the sequence is as before and free.
        """
        copy, raw_options = copy_tokens(tokens), _eval_options(**options)
        await self._worker.run(lambda: self._raw.eval(copy, raw_options), raw_options.cancel)

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """Logits of the last rows asked for, float32 [rows, vocab_size]: a new array, owned by the caller."""
        return self.output("logits")

    @property
    def hidden(self) -> npt.NDArray[np.float32]:
        """Hidden state after the final norm, float32 [n, hidden_size] of the last evaluation's n tokens, if it was
        asked to keep them: a new array, owned by the caller."""
        return self.output("hidden")

    def output(self, kind: str, layer: int = -1, *, copy: bool = True) -> npt.NDArray[Any]:
        """A result of the last evaluation (of n tokens), or cached rows (of all tokens).

        ================  =======================================================================================
        "logits"          float32 [rows, vocab_size] of the last rows asked for
        "hidden"          float32 [n, hidden_size]: layer -1 after the final norm; 0 the embedding; L the output of
                          layer L, 1 to layers - 1
        "route_index"     int32 [n, top_k] experts of MoE layer `layer` (0-based), ascending
        "route_weight"    float32 [n, top_k] in the order of the experts
        "cache_c_kv"      float32 [length, kv_lora_rank], cached latent rows of layer `layer` (0-based)
        "cache_k_rope"    float32 [length, rope_dim] after RoPE, interleaved order
        "cache_k"         float32 [length, kv_heads, head_dim] after RoPE (grouped-query attention)
        "cache_v"         float32 [length, kv_heads, head_dim]
        "mtp_logits"      float32 [rows, vocab_size]: row r predicts the token after the next one
        "mtp_hidden"      float32 [pairs, hidden_size] of the MTP layer, before its head's norm
        ================  =======================================================================================

        copy=True returns a new array, owned by the caller. copy=False returns a read-only view of the library's
        memory, without a copy; it keeps the sequence's memory alive. While a view is alive, whatever would overwrite
        it raises BufferError: eval, truncate and replies on this sequence, Model.update, and another cache output of
        the same sequence where the view is of one. Delete the view (and all arrays made from it) first.
        Raises StateError if the result was not kept or does not exist for this model.
        """
        number = OUTPUTS.get(kind)
        if number is None:
            raise InvalidArgument(f"kind is {kind!r}; expected one of {', '.join(OUTPUTS)}")
        return self._raw.output(number, layer, copy)

    def __len__(self) -> int:
        """Number of tokens; 0 after the model's weights were replaced."""
        return self._raw.length()

    def __bool__(self) -> bool:
        """True, also when it is empty."""
        return True

    @property
    def length(self) -> int:
        """Number of tokens; 0 after the model's weights were replaced."""
        return self._raw.length()

    @property
    def tokens(self) -> npt.NDArray[np.int32]:
        """The tokens, int32 [length]: a new array. The last one of a reply is evaluated with what comes next."""
        import numpy as np

        return np.asarray(self._raw.tokens())

    def truncate(self, length: int) -> None:
        """Forgets all tokens from position length on, and the results of the last evaluation.
        Raises InvalidArgument if length is more than there are, BufferError while a view is alive."""
        self._raw.truncate(unsigned(length, 64, "length"))

    def fork(self) -> "Sequence":
        """A second sequence with the same tokens. Its cache is shared until one of the two writes (copy on write);
        results are not carried over."""
        return Sequence._wrap(self._raw.fork(), self._worker)

    def cancel(self) -> None:
        """Makes the evaluation that runs now raise Cancelled soon, in its own thread. May be called from any thread.
        Where none runs it does nothing; a reply is cancelled by its Stream."""
        self._raw.cancel()

    def generate(
        self,
        tokens: Tokens = (),
        *,
        max_tokens: Optional[int] = None,
        temperature: Optional[float] = None,
        top_p: Optional[float] = None,
        top_k: Optional[int] = None,
        min_p: Optional[float] = None,
        seed: Optional[int] = None,
        logprobs: bool = False,
        ignore_eos: bool = False,
        stop_tokens: Tokens = (),
        plain: bool = True,
        chunk: int = 0,
        json_schema: Optional[Schema] = None,
        regex: Optional[str] = None,
        grammar: Optional[str] = None,
        constraint: Optional[Constraint] = None,
        mask: Optional[Mask] = None,
    ) -> Stream:
        """Appends prompt tokens and writes a reply onto this sequence; the options are those of Model.generate.

        tokens: [n] integers; n may be 0 if the sequence has logits of its last token, or ends with a reply.
        plain: False tells the reasoning between <think> and </think> from the content.
        Returns a Stream of events, for `for` or `async for`; Stream.reply() gathers them. It is never ahead: the
        sequence is where the last event says. Until the reply has ended or the stream is closed, calls that would
        change the sequence raise Busy. After it the sequence holds the prompt and all tokens of the reply.
        """
        options = reply_options(
            max_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            min_p=min_p,
            seed=seed,
            logprobs=logprobs,
            ignore_eos=ignore_eos,
            stop_tokens=stop_tokens,
            plain=plain,
            chunk=chunk,
            json_schema=json_schema,
            regex=regex,
            grammar=grammar,
            constraint=constraint,
            mask=mask,
        )
        stream = Stream(lambda: _abyssal.Generation(self._raw, as_tokens(tokens), options), self._worker)
        stream._begun()  # takes its copy of the tokens
        return stream

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._raw.closed

    def close(self) -> None:
        """Gives the cache back. A running call ends first. May be called more than once, from any thread."""
        self._raw.close()

    def __enter__(self) -> "Sequence":
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
            return "<abyssal.Sequence, closed>"
        return "<abyssal.Sequence>"

    def __reduce__(self) -> Any:
        return no_pickle(self)

    @staticmethod
    def eval_batch(
        sequences: Many["Sequence"],
        tokens: Many[Tokens],
        *,
        logits: int = 1,
        hidden: bool = False,
        hidden_layers: bool = False,
        routes: bool = False,
        mtp: bool = False,
        chunk: int = 0,
    ) -> None:
        """Evaluates several different sequences of one model in shared passes; see abyssal.eval_batch."""
        eval_batch(
            sequences,
            tokens,
            logits=logits,
            hidden=hidden,
            hidden_layers=hidden_layers,
            routes=routes,
            mtp=mtp,
            chunk=chunk,
        )


def _raw_batch(
    sequences: Many[Sequence], tokens: Many[Tokens], convert: Callable[[Tokens], Any]
) -> Tuple[List[_abyssal.Sequence], List[Any]]:
    if len(sequences) != len(tokens):
        raise InvalidArgument(f"{len(sequences)} sequences, but tokens of {len(tokens)}")
    return [sequence._raw for sequence in sequences], [convert(part) for part in tokens]


def eval_batch(
    sequences: Many[Sequence],
    tokens: Many[Tokens],
    *,
    logits: int = 1,
    hidden: bool = False,
    hidden_layers: bool = False,
    routes: bool = False,
    mtp: bool = False,
    chunk: int = 0,
) -> None:
    """Evaluates several different sequences of one model in shared passes: sequence i gets tokens[i].

    tokens: one array of [n_i] integers for each sequence. The options are those of Sequence.eval; chunk counts the
    tokens of all sequences in a pass. The results equal those of each sequence alone.
    Raises what Sequence.eval raises, and then no sequence has changed.
    """
    raws, arrays = _raw_batch(sequences, tokens, as_tokens)
    _abyssal.eval_batch(raws, arrays, _eval_options(logits, hidden, hidden_layers, routes, mtp, chunk))


async def eval_batch_async(
    sequences: Many[Sequence],
    tokens: Many[Tokens],
    *,
    logits: int = 1,
    hidden: bool = False,
    hidden_layers: bool = False,
    routes: bool = False,
    mtp: bool = False,
    chunk: int = 0,
) -> None:
    """As eval_batch(), for event loops: see Sequence.eval_async. Cancelling the task cancels the evaluation of all."""
    own = list(sequences)
    raws, copies = _raw_batch(own, tokens, copy_tokens)
    options = _eval_options(logits, hidden, hidden_layers, routes, mtp, chunk)
    worker = own[0]._worker if own else Worker()
    await worker.run(lambda: _abyssal.eval_batch(raws, copies, options), options.cancel)
