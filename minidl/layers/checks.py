"""What layers check of their fields and inputs, each with advice in the message."""

from __future__ import annotations

from typing import Any

from minidl.errors import DtypeError, ShapeError
from minidl.graph import Spec
from minidl.graph.spec import is_float, normalize_axis

_IMAGES = {
    3: ("sequences with channels", "(batch, channels, length)", "[1, 100]"),
    4: ("images with channels", "(batch, channels, height, width)", "[1, 28, 28]"),
}


def check_numbers(name: str, value: Any, least: int) -> None:
    """Raise ValueError if a number in a field is less than ``least``."""
    if isinstance(value, tuple):
        for each in value:
            check_numbers(name, each, least)
    elif isinstance(value, int) and value < least:
        raise ValueError(f"{name}: it is at least {least}, got {value}")


def check_float(x: Spec) -> None:
    """Raise DtypeError, with advice, if ``x`` is not of a float dtype."""
    if not is_float(x.dtype):
        raise DtypeError(
            f"it takes floats, not {x.dtype}; convert and scale the data first "
            f"(x.astype('float32') / 255 for images), or put an 'embedding' before it if these "
            f"are indices"
        )


def check_inner_axis(axis: int, x: Spec) -> None:
    """Raise ShapeError if ``axis`` is none of ``x``, or the batch, whose samples stay apart."""
    if normalize_axis(axis, x.ndim) == 0:
        raise ShapeError(f"axis {axis} of {x.shape} is the batch; choose one behind it")


def check_images(x: Spec, ndim: int = 4) -> None:
    """Raise ShapeError or DtypeError, with advice, unless x is a batch of images or sequences."""
    if x.ndim != ndim:
        what, shape, example = _IMAGES[ndim]
        raise ShapeError(
            f"it takes {what}, of shape {shape}, not {x.shape}; put a 'reshape' before it if the "
            f"numbers are there in another shape ({{ type = 'reshape', shape = {example} }})"
        )
    check_float(x)


def check_sequence(x: Spec) -> None:
    """Raise DtypeError or ShapeError unless ``x`` is float of shape (batch, time, features)."""
    check_float(x)
    if x.ndim != 3:
        raise ShapeError(f"it takes sequences, of shape (batch, time, features), not {x.shape}")


def check_padding_mask(mask: Spec, x: Spec) -> None:
    """Raise ShapeError unless ``mask`` has an element for each step of the sequences ``x``."""
    if mask.shape != x.shape[:2]:
        raise ShapeError(
            f"the padding mask has shape {mask.shape}, but the sequences have "
            f"(batch, time) = {x.shape[:2]}"
        )
