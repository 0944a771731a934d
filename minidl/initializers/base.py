"""What an initialiser is."""

from __future__ import annotations

from collections.abc import Callable

from minidl.component import C, Component, component
from minidl.graph import Tensor


class Initializer(Component):
    """First values for a parameter. Subclass it and decorate it with :func:`initializer`."""

    kind = "initializer"

    def __call__(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        """Return the values, of ``shape`` and ``dtype``.

        Parameters
        ----------
        key : Tensor
            Random key (see ``ops.random_key``): the same key, the same values.
        shape : tuple of int
            Weights are (out, in, ...).

        Raises
        ------
        ShapeError
            If it has no values for this shape.
        """
        raise NotImplementedError

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ShapeError if it has no values for ``shape``; override where that can be.

        A layer asks when it declares a parameter, so that the error names the layer.
        """


def initializer(name: str) -> Callable[[C], C]:
    """Declare an initialiser and register it under ``name``."""
    return component("initializer", name)
