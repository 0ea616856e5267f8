"""What a model writes: sequences, and replies by generate and chat."""

from __future__ import annotations

from typing import Any, Literal, Mapping, Optional, Union, overload

from . import _abyssal
from ._arrays import Tokens, as_tokens
from ._check import utf8
from ._constraint import Mask, Schema
from ._reply import Reply, Stream, generation_options, shared_prefix
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
        json_schema: Optional[Schema] = ...,
        regex: Optional[str] = ...,
        grammar: Optional[str] = ...,
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
        seed: int = ...,
        ignore_eos: bool = ...,
        stop_tokens: Tokens = ...,
        plain: bool = ...,
        chunk: int = ...,
        json_schema: Optional[Schema] = ...,
        regex: Optional[str] = ...,
        grammar: Optional[str] = ...,
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
        seed: int = 0,
        ignore_eos: bool = False,
        stop_tokens: Tokens = (),
        plain: bool = True,
        chunk: int = 0,
        json_schema: Optional[Schema] = None,
        regex: Optional[str] = None,
        grammar: Optional[str] = None,
        mask: Optional[Mask] = None,
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
        chunk: prompt tokens of one step; 0: as Sequence.eval has it.
        json_schema, regex, grammar: one of them binds the content, so that it is a JSON value of a schema (a dict, or
            JSON text), matches an expression (Rust's syntax, the whole content) or is a text of a Lark grammar. The
            reply ends when it is complete, with finish_reason "stop" unless max_tokens comes first. Reasoning that the
            prompt opens is free of it where plain is False.
        mask: which tokens may be drawn, a bool for each id, [vocab_size]. None: all. See Stream.set_mask.
        stream: return a Stream of events, for `for` or `async for`, instead of the finished Reply. A text is tokenized
            with the Stream's first step. Ctrl-C interrupts both.

        Raises InvalidArgument (such as a schema that does not compile, with the reason), ContextFull, EncodingError,
        StateError (text or a constraint without a tokenizer, or no token passes both constraint and mask).
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
            json_schema=json_schema,
            regex=regex,
            grammar=grammar,
            mask=mask,
        )
        raw, sequence = self._raw.share(), self.sequence()  # a stream goes on when the model is closed

        def begin() -> _abyssal.Generation:
            tokens = raw.tokenize(utf8(prompt), ADD_BOS) if isinstance(prompt, str) else as_tokens(prompt)
            return _abyssal.Generation(sequence._raw, tokens, options, own=True)

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
        json_schema: Optional[Schema] = ...,
        regex: Optional[str] = ...,
        grammar: Optional[str] = ...,
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
        json_schema: Optional[Schema] = ...,
        regex: Optional[str] = ...,
        grammar: Optional[str] = ...,
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
        json_schema: Optional[Schema] = None,
        regex: Optional[str] = None,
        grammar: Optional[str] = None,
        mask: Optional[Mask] = None,
        stream: bool = False,
    ) -> Union[Reply, Stream]:
        """Answers messages, such as [{"role": "user", "content": "Hi"}], with the checkpoint's chat template.

        tools, chat_template, variables: as in render_chat.
        sequence: a sequence of this model to write onto; the tokens that it shares with the prompt from the start
            are not computed again, the others are forgotten. Keep one for a conversation. None: a new one.
        Sampling, max_tokens, chunk, constraints, mask and stream: as in generate. The Reply has reasoning and content apart; events say
        in text_kind what their text is.
        Raises TemplateError, StateError (no tokenizer or no chat template), ContextFull, InvalidArgument.
        """
        text = chat_text(messages, tools, chat_template, variables)
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
            json_schema=json_schema,
            regex=regex,
            grammar=grammar,
            mask=mask,
        )
        raw, target = self._raw.share(), self.sequence() if sequence is None else sequence

        def begin() -> _abyssal.Generation:
            tokens = raw.tokenize(raw.render_chat(*text, True), 0)
            shared = 0
            if sequence is not None:
                shared = shared_prefix(sequence._raw.tokens(), tokens)
                sequence.truncate(shared)
            return _abyssal.Generation(target._raw, memoryview(tokens)[shared:], options, own=sequence is None)

        started = Stream(begin, self._worker, target.close if sequence is None else None)
        return started if stream else started.reply()
