"""Initialisers that draw nothing: every parameter starts at values that are given."""

from __future__ import annotations

from typing import Any

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import Tensor, tensor
from minidl.initializers.base import Initializer, initializer


@initializer("constant")
class Constant(Initializer):
    """The same number everywhere.

    Attributes
    ----------
    value : float
        The number.
    """

    value: float

    def __call__(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        return filled(self.value, shape, dtype)


@initializer("zeros")
class Zeros(Initializer):
    """0 everywhere."""

    def __call__(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        return filled(0, shape, dtype)


@initializer("ones")
class Ones(Initializer):
    """1 everywhere."""

    def __call__(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        return filled(1, shape, dtype)


@initializer("values")
class Values(Initializer):
    """Values that are written out, for worked examples and hand-made networks.

    Attributes
    ----------
    values : list
        Nested lists of numbers, in the parameter's shape: ``[[1, 2], [3, 4]]``.
    """

    values: list[Any]

    def check_fields(self) -> None:
        try:
            shape_of(self.values)
        except ShapeError as error:
            raise ValueError(f"values: {error}") from None

    def __call__(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        self.check_shape(shape)
        return tensor(self.values, dtype=dtype)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        given = shape_of(self.values)
        if given != tuple(shape):
            raise ShapeError(f"the values given have shape {given}, the parameter {tuple(shape)}")


def filled(value: float, shape: tuple[int, ...], dtype: str) -> Tensor:
    """Return ``value`` in every place of ``shape``."""
    return ops.broadcast_to(tensor(value, dtype=dtype), shape)


def shape_of(values: Any) -> tuple[int, ...]:
    """Return the shape of nested lists of numbers.

    Raises
    ------
    ShapeError
        If lists that stand beside each other differ in shape, or hold anything but numbers.
    """
    if not isinstance(values, list):
        if isinstance(values, bool) or not isinstance(values, int | float):
            raise ShapeError(f"{values!r} is not a number")
        return ()
    shapes = [shape_of(part) for part in values]
    for index, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ShapeError(
                f"row 0 has shape {shapes[0]} and row {index} has shape {shape}; "
                f"all must be the same"
            )
    return (len(values), *shapes[0]) if shapes else (0,)
