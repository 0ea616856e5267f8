"""Abyssal runs DeepSeek-architecture language models inside your own program.

>>> import abyssal
>>> with abyssal.Model.open("path/to/checkpoint") as model:
...     print(model.chat([{"role": "user", "content": "Hello"}]).content)

Shapes in the documentation are [rows, columns], row-major. Errors are subclasses of abyssal.Error, one per status of
the C API. Calls that work release the GIL.
"""

from __future__ import annotations

from . import _abyssal, ops
from ._constraint import Constraint
from ._device import Device, backends
from ._errors import (
    Busy,
    CacheFull,
    Cancelled,
    ContextFull,
    DeviceError,
    EncodingError,
    Error,
    FormatError,
    InternalError,
    InvalidArgument,
    IoError,
    NoMemory,
    NotFound,
    StateError,
    TemplateError,
    Unsupported,
)
from ._info import BackendInfo, DeviceInfo, ModelInfo, ModelPlan, ProfilePart
from ._model import Model
from ._reply import Event, Reply, Stream, Usage
from ._sequence import Sequence, eval_batch, eval_batch_async

version: str = _abyssal.version()
"""Version of the library, such as "0.1.0"."""
__version__: str = version

__all__ = [
    "BackendInfo",
    "Busy",
    "CacheFull",
    "Cancelled",
    "Constraint",
    "ContextFull",
    "Device",
    "DeviceError",
    "DeviceInfo",
    "EncodingError",
    "Error",
    "Event",
    "FormatError",
    "InternalError",
    "InvalidArgument",
    "IoError",
    "Model",
    "ModelInfo",
    "ModelPlan",
    "NoMemory",
    "NotFound",
    "ProfilePart",
    "Reply",
    "Sequence",
    "StateError",
    "Stream",
    "TemplateError",
    "Unsupported",
    "Usage",
    "backends",
    "eval_batch",
    "eval_batch_async",
    "ops",
    "version",
]
