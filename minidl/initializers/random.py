"""Initialisers that draw each value from one distribution, whatever the shape."""

from __future__ import annotations

import math
from typing import Annotated

from annotated_types import Ge, Gt

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


@initializer("truncated_normal")
class TruncatedNormal(Initializer):
    """Normal, of a mean and a standard deviation, without what lies outside [low, high].

    Each value is a quantile of the normal distribution, of a share drawn uniformly from those
    that belong to the interval; so none is drawn twice, however narrow it is.

    Attributes
    ----------
    mean : float
        The mean, before anything is cut off.
    std : float
        The standard deviation, before anything is cut off; above 0.
    low, high : float, optional
        The bounds, as the ``a`` and ``b`` of PyTorch; default two standard deviations from the
        mean, as in Keras and JAX. ``low`` must be below ``high``.
    """

    mean: float = 0.0
    std: Annotated[float, Gt(0)] = 0.05
    low: float | None = None
    high: float | None = None

    def check_fields(self) -> None:
        low, high = self._bounds()
        if not low < high:
            raise ValueError(f"low ({low}) is not below high ({high})")
        near = min(abs(bound) for bound in self._standard_bounds())
        if near > _FARTHEST and (low > self.mean) == (high > self.mean):
            raise ValueError(
                f"low ({low}) and high ({high}) are both more than {_FARTHEST} standard deviations "
                f"from the mean, where nothing of the distribution is left"
            )

    def __call__(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        low, high = self._standard_bounds()
        # shares near 1 would lose the digits that those near 0 have
        mirrored = low > 0
        if mirrored:
            low, high = -high, -low
        shares = ops.uniform(key, shape=shape, low=_share(low), high=_share(high), dtype="float64")
        drawn = ops.clip(ops.ndtri(shares), low, high)
        drawn = self.mean + (-self.std if mirrored else self.std) * drawn
        return drawn.astype(dtype)

    def _bounds(self) -> tuple[float, float]:
        low = self.mean - 2 * self.std if self.low is None else self.low
        high = self.mean + 2 * self.std if self.high is None else self.high
        return low, high

    def _standard_bounds(self) -> tuple[float, float]:
        low, high = self._bounds()
        return (low - self.mean) / self.std, (high - self.mean) / self.std


_FARTHEST = 35
"""Standard deviations from the mean at which float64 still holds the share that lies beyond."""


def _share(x: float) -> float:
    """Return the share of the standard normal distribution below ``x``."""
    return 0.5 * math.erfc(-x / math.sqrt(2))
