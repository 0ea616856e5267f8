"""Devices: where models run."""

from __future__ import annotations

from types import TracebackType
from typing import Any, List, Optional, Type

from . import _abyssal
from ._check import no_pickle, unsigned
from ._errors import StateError
from ._info import BackendInfo, DeviceInfo

__all__ = ["Device", "backends"]


def backends() -> List[BackendInfo]:
    """The backends built into the library, best first."""
    return [BackendInfo(name, count) for name, count in _abyssal.backends()]


class Device:
    """A device of a backend, with its worker threads or streams.

    backend: a name of backends(), the path of a backend module (it holds a '/'), or None for the best one present.
    threads: worker threads of a CPU backend, the calling thread included; 0: one per core.
    index: which of the backend's devices.

    Any thread may use it; calls that run work on one device from several threads are served one after the other.
    Raises NotFound if there is no such backend or device; the text lists those that there are.
    """

    def __init__(self, backend: Optional[str] = None, threads: int = 0, index: int = 0) -> None:
        self._raw = _abyssal.Device(backend, unsigned(index, 32, "index"), unsigned(threads, 32, "threads"))

    @classmethod
    def _wrap(cls, raw: _abyssal.Device) -> "Device":
        device = cls.__new__(cls)
        device._raw = raw
        return device

    @property
    def info(self) -> DeviceInfo:
        """What the device is."""
        return DeviceInfo(**self._raw.info())

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._raw.closed

    def close(self) -> None:
        """Lets go of the device. Models that run on it keep it. May be called more than once, from any thread."""
        self._raw.close()

    def __enter__(self) -> "Device":
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
            return "<abyssal.Device, closed>"
        try:
            info = self.info
        except StateError:
            return "<abyssal.Device of another process>"
        return f"<abyssal.Device {info.backend}: {info.name}>"

    def __reduce__(self) -> Any:
        return no_pickle(self)
