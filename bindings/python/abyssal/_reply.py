"""Replies, whole or as a stream of events."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Callable, Iterator, List, NamedTuple, Optional, Type

from . import _abyssal
from ._arrays import Tokens, as_tokens
from ._check import unsigned
from ._errors import InvalidArgument

__all__ = ["Event", "Reply", "Stream", "Usage"]

_KINDS = ("prompt", "token", "end")
_TEXT_KINDS = ("content", "reasoning")
_FINISH_REASONS = (None, "stop", "length", "cancelled")


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
    """"stop" (end of sequence, or a stop token), "length" (max_tokens, or the context is full), "cancelled"."""
    usage: Usage = Usage(0, 0, 0)

    @property
    def text(self) -> str:
        """Reasoning and content together."""
        return self.reasoning + self.content


class Event(NamedTuple):
    """One step of a reply."""

    kind: str
    """"prompt" (a part of the prompt was evaluated), "token" (a token was drawn), or "end"."""
    text: str
    """New text: whole characters; may be empty while a character or a marker is incomplete."""
    text_kind: str
    """"content" or "reasoning"."""
    token: int
    """The token drawn; for "end" the one that ended the reply; -1 if there is none."""
    finish_reason: Optional[str]
    """For "end": "stop", "length" or "cancelled"; else None."""
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


def _name(names: "tuple[Optional[str], ...]", number: int) -> Optional[str]:
    return names[number] if 0 <= number < len(names) else "unknown"


class Stream:
    """A reply while it is written: an iterator of events, ended by one of kind "end".

    Leaving the loop early and calling close(), or dropping the stream, ends the reply; the sequence keeps what was
    evaluated. cancel() may be called from any thread; one thread iterates.
    """

    def __init__(self, raw: _abyssal.Generation, on_end: Optional[Callable[[], None]] = None) -> None:
        self._raw = raw
        self._ended = False
        self._on_end = on_end

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if self._ended:
            raise StopIteration
        try:
            kind, text, text_kind, token, finish, done, total, completion, reasoning = self._raw.step()
        except Exception:
            raise  # the reply is as before the step, which may be tried again
        except BaseException:
            self.close()  # Ctrl-C and its like
            raise
        event = Event(
            _name(_KINDS, kind) or "unknown",
            text,
            _name(_TEXT_KINDS, text_kind) or "unknown",
            token,
            _name(_FINISH_REASONS, finish),
            done,
            total,
            completion,
            reasoning,
        )
        if event.kind == "end":
            self.close()
        return event

    def cancel(self) -> None:
        """Ends the reply at the next step, with finish_reason "cancelled"; interrupts a running one. Any thread."""
        if not self._ended:
            self._raw.cancel()

    def close(self) -> None:
        """Ends the iteration and lets go of the sequence. May be called more than once."""
        self._ended = True
        self._raw.cancel()
        self._raw.close()
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_ended", True):
            self.close()

    def reply(self) -> Reply:
        """Runs to the end and gathers what is still to come into a Reply."""
        reply = Reply()
        try:
            for event in self:
                if event.text_kind == "reasoning":
                    reply.reasoning += event.text
                else:
                    reply.content += event.text
                if event.kind == "token":
                    reply.tokens.append(event.token)
                elif event.kind == "end":
                    reply.finish_reason = event.finish_reason or ""
                    reply.usage = event.usage
        finally:
            self.close()
        return reply


def start(
    sequence: _abyssal.Sequence,
    prompt: Tokens,
    *,
    max_tokens: Optional[int],
    temperature: Optional[float],
    top_p: Optional[float],
    top_k: Optional[int],
    min_p: Optional[float],
    seed: int,
    ignore_eos: bool,
    stop_tokens: Tokens,
    plain: bool,
    chunk: int,
    on_end: Optional[Callable[[], None]] = None,
) -> Stream:
    """Starts a reply on a sequence; None stands for the checkpoint's own sampling, or for no limit."""
    if max_tokens is not None and max_tokens == 0:
        raise InvalidArgument("max_tokens is 0; expected at least 1, or None for no limit")
    if temperature is not None and temperature < 0:
        raise InvalidArgument(f"temperature is {temperature}; expected 0 (greedy) or more")
    raw = _abyssal.Generation(
        sequence,
        as_tokens(prompt),
        _abyssal.GenerationOptions(
            max_tokens=unsigned(max_tokens or 0, 64, "max_tokens"),
            temperature=-1.0 if temperature is None else float(temperature),
            top_p=0.0 if top_p is None else float(top_p),
            top_k=0 if top_k is None else unsigned(top_k, 32, "top_k"),
            min_p=0.0 if min_p is None else float(min_p),
            seed=unsigned(seed, 64, "seed"),
            ignore_eos=bool(ignore_eos),
            stop_tokens=as_tokens(stop_tokens),
            plain=bool(plain),
            chunk=unsigned(chunk, 32, "chunk"),
        ),
    )
    return Stream(raw, on_end)
