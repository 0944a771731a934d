"""Initialisers that draw each value from one distribution, whatever the shape."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from minidl import ops
from minidl.graph import Tensor
from minidl.initializers.base import Initializer, initializer


@initializer("uniform")
class Uniform(Initializer):
    """Uniform in [low, high).

    Attributes
    ----------
    low, high : float
        The bounds; ``low`` must not be above ``high``.
    """

    low: float = -0.05
    high: float = 0.05

    def check_fields(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high})")

    def __call__(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        return ops.uniform(key, shape=shape, low=self.low, high=self.high, dtype=dtype)


@initializer("normal")
class Normal(Initializer):
    """Normal, of a mean and a standard deviation.

    Attributes
    ----------
    mean : float
        The mean.
    std : float
        The standard deviation, at least 0.
    """

    mean: float = 0.0
    std: Annotated[float, Ge(0)] = 0.05

    def __call__(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        return ops.normal(key, shape=shape, mean=self.mean, std=self.std, dtype=dtype)
