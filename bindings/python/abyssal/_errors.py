"""Exceptions, one class per status family of the C API."""

from __future__ import annotations

from typing import Dict, Type

__all__ = [
    "Busy",
    "CacheFull",
    "Cancelled",
    "ContextFull",
    "DeviceError",
    "EncodingError",
    "Error",
    "FormatError",
    "InternalError",
    "InvalidArgument",
    "IoError",
    "NoMemory",
    "NotFound",
    "StateError",
    "TemplateError",
    "Unsupported",
]


class Error(RuntimeError):
    """Base of every error that Abyssal raises. Its text says what was wrong, where, and what was expected."""

    status: int = -1
    """The C API's status, a negative number that is pinned forever."""
    code: str = "ABY_ERROR_UNKNOWN"
    """The name of the status."""


class InternalError(Error):
    """A bug in Abyssal. Please report the text."""

    status = -1
    code = "ABY_ERROR_INTERNAL"


class InvalidArgument(Error, ValueError):
    """A value out of range, or a contradiction between arguments."""

    status = -2
    code = "ABY_ERROR_INVALID_ARGUMENT"


class NoMemory(Error, MemoryError):
    """Host or device memory is exhausted."""

    status = -4
    code = "ABY_ERROR_NO_MEMORY"


class NotFound(Error, FileNotFoundError):
    """A file, tensor, backend or device does not exist."""

    status = -5
    code = "ABY_ERROR_NOT_FOUND"


class IoError(Error, OSError):
    """The operating system could not read or map a file."""

    status = -6
    code = "ABY_ERROR_IO"


class FormatError(Error, ValueError):
    """A file is damaged, truncated or contradicts itself."""

    status = -7
    code = "ABY_ERROR_FORMAT"


class Unsupported(Error, NotImplementedError):
    """Valid, but this build cannot do it (architecture, dtype, option)."""

    status = -8
    code = "ABY_ERROR_UNSUPPORTED"


class Cancelled(Error):
    """Cancelled by the caller; the state is as before the call."""

    status = -9
    code = "ABY_ERROR_CANCELLED"


class Busy(Error):
    """The object is in use by a call on another thread, or a reply is being written onto the sequence."""

    status = -10
    code = "ABY_ERROR_BUSY"


class ContextFull(Error):
    """The tokens never fit: into the model's context, or the whole cache."""

    status = -11
    code = "ABY_ERROR_CONTEXT_FULL"


class TemplateError(Error, ValueError):
    """The chat template, or the messages given to it, are in error."""

    status = -12
    code = "ABY_ERROR_TEMPLATE"


class EncodingError(Error, ValueError):
    """Text is not valid UTF-8."""

    status = -13
    code = "ABY_ERROR_ENCODING"


class StateError(Error):
    """The object is not in a state that allows this call (closed, result not kept, no tokenizer, ...)."""

    status = -14
    code = "ABY_ERROR_STATE"


class DeviceError(Error):
    """The backend or its device failed."""

    status = -15
    code = "ABY_ERROR_DEVICE"


class CacheFull(Error):
    """The cache has no blocks free now: try again when other sequences have ended."""

    status = -17
    code = "ABY_ERROR_CACHE_FULL"


_BY_STATUS: Dict[int, Type[Error]] = {
    kind.status: kind
    for kind in (
        InternalError,
        InvalidArgument,
        NoMemory,
        NotFound,
        IoError,
        FormatError,
        Unsupported,
        Cancelled,
        Busy,
        ContextFull,
        TemplateError,
        EncodingError,
        StateError,
        DeviceError,
        CacheFull,
    )
}


def make_error(status: int, name: str, text: str) -> Error:
    """The exception for a status: of its own class, or a plain Error for a status that this version does not name."""
    kind = _BY_STATUS.get(status)
    if kind is not None:
        return kind(text)
    error = Error(text)
    error.status = status
    error.code = name
    return error
