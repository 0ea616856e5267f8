"""What a model writes: sequences, and replies by generate and chat."""

from __future__ import annotations

from typing import Any, Literal, Mapping, Optional, Union, overload

from . import _abyssal
from ._arrays import Tokens, as_tokens
from ._check import utf8
from ._constraint import Constraint, Mask, Schema, constraint_text
from ._errors import InvalidArgument
from ._reply import Reply, Stream, reply_options, shared_prefix
from ._sequence import Sequence
from ._text import ADD_BOS, Messages, chat_text
from ._worker import Worker

__all__ = ["Writer"]


class Writer:
    """A Model's sequences and replies."""

    _raw: _abyssal.Model
    _worker: Worker

    def sequence(self) -> Sequence:
        """An empty sequence of this model."""
        return Sequence._wrap(_abyssal.Sequence(self._raw), self._worker)

    def constraint(
        self,
        *,
        json_schema: Optional[Schema] = None,
        regex: Optional[str] = None,
        grammar: Optional[str] = None,
    ) -> Constraint:
        """Compiles a constraint once, for any number of replies of this model: one of json_schema, regex and grammar,
        as in generate. The first one of a model takes longer.

        Raises InvalidArgument (it does not compile, with the reason), EncodingError, StateError (no tokenizer).
        """
        kind, text = constraint_text(json_schema, regex, grammar)
        if kind == 0:
            raise InvalidArgument("nothing is given; expected one of json_schema, regex, grammar")
        return Constraint._wrap(_abyssal.Constraint(self._raw, kind, text))

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
        seed: Optional[int] = ...,
        logprobs: bool = ...,
        ignore_eos: bool = ...,
        stop_tokens: Tokens = ...,
        plain: bool = ...,
        chunk: int = ...,
        json_schema: Optional[Schema] = ...,
        regex: Optional[str] = ...,
        grammar: Optional[str] = ...,
        constraint: Optional[Constraint] = ...,
        mask: Optional[Mask] = ...,
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
        seed: Optional[int] = ...,
        logprobs: bool = ...,
        ignore_eos: bool = ...,
        stop_tokens: Tokens = ...,
        plain: bool = ...,
        chunk: int = ...,
        json_schema: Optional[Schema] = ...,
        regex: Optional[str] = ...,
        grammar: Optional[str] = ...,
        constraint: Optional[Constraint] = ...,
        mask: Optional[Mask] = ...,
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
        stream: bool = False,
    ) -> Union[Reply, Stream]:
        """Continues a prompt.

        prompt: text (tokenized with the BOS token if the checkpoint asks for one), or token ids [n].
        max_tokens: most new tokens; None: as many as the context holds; 0: the prompt is evaluated, and nothing drawn.
        temperature: 0: greedy, ties to the lower id. 1: off. None: the checkpoint's own (1 if it has none).
        top_p: keep the likeliest tokens of this total probability, 0 to 1. 1: off. None: the checkpoint's own.
        top_k: keep this many tokens. 0: off. None: the checkpoint's own.
        min_p: keep tokens at least this share as likely as the likeliest, 0 to 1. 0: off. None: the checkpoint's own.
        seed: the same seed gives the same reply. None: another one each time, which Reply.seed and Stream.seed tell.
        logprobs: tell the log-probability of each token, before temperature, filters, mask and constraint.
        ignore_eos: end-of-sequence tokens do not end the reply.
        stop_tokens: further tokens that end the reply.
        plain: False tells the reasoning between <think> and </think> from the content.
        chunk: prompt tokens of one step; 0: as Sequence.eval has it.
        json_schema, regex, grammar: one of them binds the content, so that it is a JSON value of a schema (a dict, or
            JSON text), matches an expression (Rust's syntax, the whole content) or is a text of a Lark grammar. The
            reply ends when it is complete, with finish_reason "stop" unless max_tokens comes first. Reasoning that the
            prompt opens is free of it where plain is False.
        constraint: the same, compiled before: see Model.constraint.
        mask: which tokens may be drawn, a bool for each id, [vocab_size]. None: all. See Stream.set_mask.
        stream: return a Stream of events, for `for` or `async for`, instead of the finished Reply. A text is tokenized
            with the Stream's first step. Ctrl-C interrupts both.

        Raises InvalidArgument (such as a schema that does not compile, with the reason), ContextFull (the prompt never
        fits), CacheFull (no free blocks now: a stream may be asked for the next event again), EncodingError, StateError
        (text or a constraint without a tokenizer, or no token passes both constraint and mask).
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
        raw, sequence = self._raw.share(), self.sequence()  # a stream goes on when the model is closed

        def begin() -> _abyssal.Generation:
            tokens = raw.tokenize(utf8(prompt), ADD_BOS) if isinstance(prompt, str) else as_tokens(prompt)
            return _abyssal.Generation(sequence._raw, tokens, options)

        started = Stream(begin, self._worker, sequence.close, ahead=mask is None)
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
        allow_dropped_tools: bool = ...,
        sequence: Optional[Sequence] = ...,
        max_tokens: Optional[int] = ...,
        temperature: Optional[float] = ...,
        top_p: Optional[float] = ...,
        top_k: Optional[int] = ...,
        min_p: Optional[float] = ...,
        seed: Optional[int] = ...,
        logprobs: bool = ...,
        ignore_eos: bool = ...,
        stop_tokens: Tokens = ...,
        chunk: int = ...,
        json_schema: Optional[Schema] = ...,
        regex: Optional[str] = ...,
        grammar: Optional[str] = ...,
        constraint: Optional[Constraint] = ...,
        mask: Optional[Mask] = ...,
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
        allow_dropped_tools: bool = ...,
        sequence: Optional[Sequence] = ...,
        max_tokens: Optional[int] = ...,
        temperature: Optional[float] = ...,
        top_p: Optional[float] = ...,
        top_k: Optional[int] = ...,
        min_p: Optional[float] = ...,
        seed: Optional[int] = ...,
        logprobs: bool = ...,
        ignore_eos: bool = ...,
        stop_tokens: Tokens = ...,
        chunk: int = ...,
        json_schema: Optional[Schema] = ...,
        regex: Optional[str] = ...,
        grammar: Optional[str] = ...,
        constraint: Optional[Constraint] = ...,
        mask: Optional[Mask] = ...,
        stream: Literal[True],
    ) -> Stream: ...

    def chat(
        self,
        messages: Messages,
        *,
        tools: Optional[Any] = None,
        chat_template: Optional[str] = None,
        variables: Optional[Mapping[str, Any]] = None,
        allow_dropped_tools: bool = False,
        sequence: Optional[Sequence] = None,
        max_tokens: Optional[int] = None,
        temperature: Optional[float] = None,
        top_p: Optional[float] = None,
        top_k: Optional[int] = None,
        min_p: Optional[float] = None,
        seed: Optional[int] = None,
        logprobs: bool = False,
        ignore_eos: bool = False,
        stop_tokens: Tokens = (),
        chunk: int = 0,
        json_schema: Optional[Schema] = None,
        regex: Optional[str] = None,
        grammar: Optional[str] = None,
        constraint: Optional[Constraint] = None,
        mask: Optional[Mask] = None,
        stream: bool = False,
    ) -> Union[Reply, Stream]:
        """Answers messages, such as [{"role": "user", "content": "Hi"}], with the checkpoint's chat template.

        messages, tools, chat_template, variables, allow_dropped_tools: as in render_chat.
        sequence: a sequence of this model to write onto; the tokens that it shares with the prompt from the start
            are not computed again, the others are forgotten. Keep one for a conversation. None: a new one.
        Sampling, logprobs, max_tokens, chunk, constraints, mask and stream: as in generate. The Reply has reasoning and
        content apart; events say in text_kind what their text is.
        Raises TemplateError, StateError (no tokenizer or no chat template), Unsupported (the template has no place for
        tools), ContextFull, CacheFull, InvalidArgument, Busy (another reply is being written onto the sequence).
        """
        text = chat_text(messages, tools, chat_template, variables)
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
            plain=False,
            chunk=chunk,
            json_schema=json_schema,
            regex=regex,
            grammar=grammar,
            constraint=constraint,
            mask=mask,
        )
        raw, target = self._raw.share(), self.sequence() if sequence is None else sequence

        def begin() -> _abyssal.Generation:
            tokens = raw.tokenize(raw.render_chat(*text, True, bool(allow_dropped_tools)), 0)
            shared = 0
            if sequence is not None:
                shared = shared_prefix(sequence._raw.tokens(), tokens)
                sequence.truncate(shared)
            return _abyssal.Generation(target._raw, memoryview(tokens)[shared:], options)

        own = sequence is None
        started = Stream(begin, self._worker, target.close if own else None, ahead=own and mask is None)
        return started if stream else started.reply()
