"""Work for event loops: done on a thread beside the loop's."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Callable, List, TypeVar

if TYPE_CHECKING:
    import asyncio

__all__ = ["Worker"]

_Result = TypeVar("_Result")


class Worker:
    """One thread for the asynchronous calls of one model, begun with the first of them and ended with the worker.

    A device does one step at a time: more threads would only wait for each other, in no order. With one, replies take
    turns.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, "abyssal")
        self._process = os.getpid()

    async def run(self, step: Callable[[], _Result], cancel: Callable[[], None]) -> _Result:
        """What step returns or raises. When the task that waits for it is cancelled, cancel is called, and when the
        step has ended, the task ends: what the step works on is free."""
        import asyncio

        if self._process != os.getpid():
            return step()  # a forked process lacks the thread, and the library refuses its objects there at once
        running = self._threads.submit(_last_call, [step])
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            if not running.cancelled():
                cancel()
                await _end_of(running)
            raise


def _last_call(only: List[Callable[[], _Result]]) -> _Result:
    """Calls what is in the list, and has let go of it before anybody learns the result: who drops a stream or a sequence
    then is the last that holds it, and it ends at once."""
    return only.pop()()


def _end_of(running: "Future[Any]") -> "asyncio.Future[None]":
    """Done when the step is, whatever comes of it."""
    import asyncio

    loop = asyncio.get_running_loop()
    end: "asyncio.Future[None]" = loop.create_future()

    def settle() -> None:
        if not end.done():
            end.set_result(None)

    def tell(_: "Future[Any]") -> None:
        try:
            loop.call_soon_threadsafe(settle)
        except RuntimeError:
            pass  # the loop was closed meanwhile: nobody waits

    running.add_done_callback(tell)
    return end
