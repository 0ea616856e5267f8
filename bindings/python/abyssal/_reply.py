"""Replies, whole or as a stream of events."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, AsyncIterator, Callable, Deque, Generator, Iterator, List, NamedTuple, Optional, Type

from . import _abyssal
from ._arrays import Tokens, as_tokens
from ._check import no_pickle, unsigned
from ._constraint import Constraint, Mask, Schema, as_mask, constraint_text
from ._errors import Busy, InvalidArgument, StateError
from ._worker import Worker

__all__ = ["Event", "Reply", "Stream", "Usage"]

# Between two tokens of a small model the interpreter's data leave the core's caches: it is left alone for some tokens.
_AHEAD = 1000  # microseconds
_RANDOM_SEED = _NO_LIMIT = 2**64 - 1  # of the C API


@dataclass(frozen=True)
class Usage:
    """Tokens that a reply took."""

    prompt_tokens: int
    """Prompt tokens evaluated; those found in the cache of a sequence that was passed in are not counted."""
    completion_tokens: int
    """Tokens drawn, an end-of-sequence token included."""
    reasoning_tokens: int
    """Of those, tokens of the reasoning, markers included."""


@dataclass
class Reply:
    """A finished reply."""

    content: str = ""
    """The answer."""
    reasoning: str = ""
    """What came between <think> and </think>; "" for generate(), which does not tell them apart."""
    tokens: List[int] = field(default_factory=list)
    """The new tokens, without the one that ended the reply."""
    finish_reason: str = ""
    """"stop" (end of sequence, a stop token, or a constraint that has all it can have), "length" (max_tokens),
    "context" (the model's context, or the whole cache, is full), "cancelled"."""
    usage: Usage = Usage(0, 0, 0)
    seed: int = field(default=0, compare=False)
    """What it was drawn with: given again, it gives the same reply. Replies that say the same are equal without it."""
    logprobs: List[float] = field(default_factory=list)
    """Of each of the tokens, where they were asked for."""

    @property
    def text(self) -> str:
        """Reasoning and content together."""
        return self.reasoning + self.content

    def _add(self, event: "Event") -> None:
        if event.text_kind == "reasoning":
            self.reasoning += event.text
        else:
            self.content += event.text
        if event.kind == "token":
            self.tokens.append(event.token)
            if event.logprob is not None:
                self.logprobs.append(event.logprob)
        elif event.kind == "end":
            self.finish_reason = event.finish_reason or ""
            self.usage = event.usage


class Event(NamedTuple):
    """What happened to a reply. src/generation.cpp makes them, with the fields in this order."""

    kind: str
    """"prompt" (a part of the prompt was evaluated), "token" (a token was drawn), or "end"."""
    text: str
    """New text: whole characters; may be empty while a character or a marker is incomplete."""
    text_kind: str
    """"content" or "reasoning"."""
    token: int
    """The token drawn; for "end" the one that ended the reply; -1 if there is none."""
    logprob: Optional[float]
    """Of the token, of softmax(logits), before temperature, filters, mask and constraint; None if not asked for."""
    finish_reason: Optional[str]
    """For "end": "stop", "length", "context" or "cancelled"; else None."""
    prompt_done: int
    """Prompt tokens evaluated so far, of prompt_total."""
    prompt_total: int
    completion_tokens: int
    """Tokens drawn so far, an end-of-sequence token included."""
    reasoning_tokens: int
    """Of those, tokens of the reasoning, markers included."""

    @property
    def usage(self) -> Usage:
        """The counts so far."""
        return Usage(self.prompt_done, self.completion_tokens, self.reasoning_tokens)


class Stream:
    """A reply while it is written: an iterator of events, ended by one of kind "end". For `for`, and for `async for`.

    With `for`, events are computed in the calling thread, without the GIL. With `async for`, they are computed on a
    thread of the model's own, and the event loop runs on; replies of one model take turns. Cancelling the task cancels
    the reply: CancelledError goes on when the running step has ended, within a moment, and the sequence is free then.
    `await stream` gathers the events into a Reply, as reply() does.

    Where tokens take less than a millisecond, those of that time are computed in one step, ahead of the events that are
    read. A stream onto a sequence of the caller's is never ahead, nor is one that begins with a mask: see set_mask().

    An error of a step, such as CacheFull, leaves the reply as it was: the next event may be asked for again.

    Messages and text are rendered and tokenized with the first step, so that this does not block an event loop either:
    errors in them are raised there.

    Until the reply has ended, calls that would change its sequence raise Busy. Leaving the loop early and calling
    close(), or dropping the stream, ends it; the sequence keeps the prompt and the tokens so far. cancel() and close()
    may come from any thread; one thread, or one task, iterates; another one gets Busy.
    """

    def __init__(
        self,
        begin: Callable[[], _abyssal.Generation],
        worker: Worker,
        on_end: Optional[Callable[[], None]] = None,
        *,
        ahead: bool = False,
    ) -> None:
        self._begin: Optional[Callable[[], _abyssal.Generation]] = begin
        self._worker = worker
        self._on_end = on_end
        self._microseconds = _AHEAD if ahead else 0
        self._raw: Optional[_abyssal.Generation] = None
        self._seed: Optional[int] = None
        self._events: Deque[Event] = deque()  # that nobody has read
        self._beginning = threading.Lock()
        self._stepped = False
        self._ended = False
        self._cancelled = False

    def _begun(self) -> _abyssal.Generation:
        raw = self._raw
        if raw is not None:
            return raw
        if not self._beginning.acquire(blocking=False):  # not waited for: a signal's handler may have interrupted it
            raise Busy("the reply is begun by a call on another thread")
        try:
            raw, begin = self._raw, self._begin
            if raw is not None:
                return raw
            if begin is None:
                raise StateError("the reply is closed")
            raw = begin()
            self._seed = raw.seed()
            self._raw = raw
            self._begin = None  # it holds the text and the model
        finally:
            self._beginning.release()
        if self._cancelled or self._ended:  # while it began, by another thread
            raw.cancel()
        return raw

    def _next_event(self) -> Event:
        while True:
            try:
                return self._events.popleft()
            except IndexError:
                pass
            raw = self._begun()
            self._stepped = True
            raw.step(self._microseconds, self._events)

    def _step(self) -> Optional[Event]:
        """The next event, or None after the last: StopIteration cannot pass through a future."""
        if self._ended:
            return None
        try:
            event = self._next_event()
        except Exception:
            if self._ended:  # closed by another thread meanwhile
                return None
            raise  # the reply is as before the step, which may be tried again
        except BaseException:
            self.close()  # Ctrl-C and its like
            raise
        if event.kind == "end":
            self.close()
        return event

    def __iter__(self) -> Iterator[Event]:
        while (event := self._step()) is not None:
            yield event

    def __next__(self) -> Event:
        event = self._step()
        if event is None:
            raise StopIteration
        return event

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self._events:
            event = self._step()  # it is computed
        else:
            try:
                event = await self._worker.run(self._step, self.cancel)
            except Exception:
                raise
            except BaseException:
                self.close()  # the task was cancelled
                raise
        if event is None:
            raise StopAsyncIteration
        return event

    @property
    def seed(self) -> int:
        """What the reply is drawn with: given again, it gives the same one. Known once it has begun (the first event,
        or at once where tokens were given); before that StateError is raised."""
        if self._seed is None:
            raise StateError("the reply has not begun: ask for the first event, then for the seed")
        return self._seed

    def set_mask(self, mask: Optional[Mask]) -> None:
        """Allows some tokens only, from the next one drawn until the mask is set again; None lifts it.

        mask: a bool for each id, [vocab_size]: whether it may be drawn. It holds for end-of-sequence tokens too, and
        comes before top_k, top_p and min_p. Between two events, from the thread or task that iterates; before the first
        it begins the reply.

        The next token is the one after the last event read: a stream may set masks where it is not ahead of its events.
        That is a stream onto a sequence of the caller's (Sequence.generate, chat(sequence=...)), or one that has a mask
        from its beginning: mask=, or set_mask, also of None, before its first event.
        Raises InvalidArgument (another length, or no id is allowed; the mask before stays), Busy, StateError (the reply
        has ended, or the stream goes ahead).
        """
        if self._ended:
            raise StateError("the reply is closed")
        if self._stepped and self._microseconds:
            raise StateError(
                "tokens of this reply are drawn ahead of the events that were read; to change masks between events, "
                "begin it with one (mask=, or set_mask before the first event), or use a sequence of your own"
            )
        self._microseconds = 0
        self._begun().set_mask(as_mask(mask))

    def cancel(self) -> None:
        """Ends the reply at the next step, with finish_reason "cancelled"; interrupts a running one. Events that are
        computed already come first. Any thread."""
        self._cancelled = True
        raw = self._raw
        if raw is not None and not self._ended:
            raw.cancel()

    def close(self) -> None:
        """Ends the iteration and lets go of the sequence. May be called more than once."""
        self._ended = True
        self._begin = None
        raw = self._raw
        if raw is not None:
            raw.cancel()
            raw.close()
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()

    async def aclose(self) -> None:
        """As close(), for contextlib.aclosing and its like. Does not wait: closing takes no time."""
        self.close()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    async def __aenter__(self) -> "Stream":
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_ended", True):
            self.close()

    def __reduce__(self) -> Any:
        return no_pickle(self)

    def reply(self) -> Reply:
        """Runs to the end and gathers what is still to come into a Reply."""
        reply = Reply()
        try:
            for event in self:
                reply._add(event)
        finally:
            self.close()
        reply.seed = self._seed or 0
        return reply

    async def _async_reply(self) -> Reply:
        reply = Reply()
        try:
            async for event in self:
                reply._add(event)
        finally:
            self.close()
        reply.seed = self._seed or 0
        return reply

    def __await__(self) -> Generator[Any, None, Reply]:
        return self._async_reply().__await__()


def _number(value: Optional[float], name: str, expected: str) -> float:
    if value is None:
        return -1.0
    if value < 0:
        raise InvalidArgument(f"{name} is {value}; expected {expected}")
    return float(value)


def _seed(seed: Optional[int]) -> int:
    number = _RANDOM_SEED if seed is None else unsigned(seed, 64, "seed")
    if seed is not None and number == _RANDOM_SEED:
        raise InvalidArgument(f"seed is {number}; expected 0 to {_RANDOM_SEED - 1}, or None for a random one")
    return number


def reply_options(
    *,
    max_tokens: Optional[int],
    temperature: Optional[float],
    top_p: Optional[float],
    top_k: Optional[int],
    min_p: Optional[float],
    seed: Optional[int],
    logprobs: bool,
    ignore_eos: bool,
    stop_tokens: Tokens,
    plain: bool,
    chunk: int,
    json_schema: Optional[Schema],
    regex: Optional[str],
    grammar: Optional[str],
    constraint: Optional[Constraint],
    mask: Optional[Mask],
) -> _abyssal.ReplyOptions:
    """The options of a reply; None stands for the checkpoint's own sampling, a random seed, or no limit."""
    kind, text = constraint_text(json_schema, regex, grammar, constraint)
    return _abyssal.ReplyOptions(
        max_tokens=_NO_LIMIT if max_tokens is None else unsigned(max_tokens, 64, "max_tokens"),
        temperature=_number(temperature, "temperature", "0 (greedy) or more"),
        top_p=_number(top_p, "top_p", "0 to 1"),
        top_k=-1 if top_k is None else unsigned(top_k, 31, "top_k"),
        min_p=_number(min_p, "min_p", "0 to 1"),
        seed=_seed(seed),
        logprobs=bool(logprobs),
        ignore_eos=bool(ignore_eos),
        stop_tokens=as_tokens(stop_tokens),
        plain=bool(plain),
        chunk=unsigned(chunk, 32, "chunk"),
        constraint=None if constraint is None else constraint._raw,
        constraint_kind=kind,
        constraint_text=text,
        mask=as_mask(mask),
    )


def shared_prefix(known: _abyssal.Ints, wanted: _abyssal.Ints) -> int:
    """How many tokens from the start need not be evaluated again. The last one wanted does: for its logits."""
    have, want = memoryview(known), memoryview(wanted)
    most = min(len(have), len(want) - 1)
    return next((i for i in range(most) if have[i] != want[i]), most)
