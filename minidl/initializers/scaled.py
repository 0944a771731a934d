"""Initialisers that keep the variance of signals as they pass through many layers.

They scale a draw by the fans of a weight of shape (out, in, ...): fan_in is ``in`` and fan_out is
``out``, each times the size of the remaining axes (a convolution's kernel).
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from annotated_types import Ge

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import Tensor
from minidl.initializers.base import Initializer, initializer

Nonlinearity = Literal["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a weight of shape (out, in, ...).

    Raises
    ------
    ShapeError
        If the shape has fewer than two axes.
    """
    if len(shape) < 2:
        raise ShapeError(
            f"a weight of shape (out, in, ...) is needed, not {tuple(shape)}; "
            f"choose another initialiser, such as 'zeros' or 'uniform'"
        )
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def gain_of(nonlinearity: Nonlinearity, negative_slope: float = 0.0) -> float:
    """Return by how much the scale must grow for the variance to survive a nonlinearity.

    ======================  =====================
    linear, sigmoid         1
    tanh                    5/3
    relu                    √2
    leaky_relu              √(2 / (1 + slope²))
    selu                    3/4
    ======================  =====================

    The values are those of PyTorch's ``calculate_gain``.
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + negative_slope**2))
    fixed = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    return fixed[nonlinearity]


class Scaled(Initializer):
    """Base of those whose standard deviation follows from the shape."""

    def std(self, shape: tuple[int, ...]) -> float:
        """Return the standard deviation for a weight of ``shape``."""
        raise NotImplementedError

    def check_shape(self, shape: tuple[int, ...]) -> None:
        fans(shape)

    def draw_uniform(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        """Draw from U(−√3 std, √3 std), whose standard deviation is std."""
        bound = math.sqrt(3) * self.std(shape)
        return ops.uniform(key, shape=shape, low=-bound, high=bound, dtype=dtype)

    def draw_normal(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        """Draw from N(0, std²)."""
        return ops.normal(key, shape=shape, mean=0.0, std=self.std(shape), dtype=dtype)


class Glorot(Scaled):
    """Base of the two by Glorot and Bengio: std = gain · √(2 / (fan_in + fan_out))."""

    gain: Annotated[float, Ge(0)] = 1.0

    def std(self, shape: tuple[int, ...]) -> float:
        """Return gain · √(2 / (fan_in + fan_out))."""
        fan_in, fan_out = fans(shape)
        return self.gain * math.sqrt(2 / max(fan_in + fan_out, 1))


class Kaiming(Scaled):
    """Base of the two by He et al.: std = gain / √fan."""

    mode: Literal["fan_in", "fan_out"] = "fan_in"
    nonlinearity: Nonlinearity = "relu"
    negative_slope: float = 0.0

    def check_fields(self) -> None:
        if self.negative_slope and self.nonlinearity != "leaky_relu":
            raise ValueError(
                f"negative_slope has a meaning for leaky_relu alone, not for {self.nonlinearity}"
            )

    def std(self, shape: tuple[int, ...]) -> float:
        """Return gain / √fan."""
        fan = fans(shape)[0 if self.mode == "fan_in" else 1]
        return gain_of(self.nonlinearity, self.negative_slope) / math.sqrt(max(fan, 1))


@initializer("glorot_uniform")
class GlorotUniform(Glorot):
    """U(−a, a) with a = gain · √(6 / (fan_in + fan_out)).

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010. PyTorch calls it ``xavier_uniform_``.

    Attributes
    ----------
    gain : float
        Factor for the nonlinearity that follows, at least 0.
    """

    def __call__(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        return self.draw_uniform(key, shape, dtype)


@initializer("glorot_normal")
class GlorotNormal(Glorot):
    """N(0, std²) with std = gain · √(2 / (fan_in + fan_out)).

    Glorot and Bengio, 2010. PyTorch calls it ``xavier_normal_``.

    Attributes
    ----------
    gain : float
        Factor for the nonlinearity that follows, at least 0.
    """

    def __call__(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        return self.draw_normal(key, shape, dtype)


@initializer("kaiming_uniform")
class KaimingUniform(Kaiming):
    """U(−a, a) with a = gain · √(3 / fan).

    He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015.

    Attributes
    ----------
    mode : {"fan_in", "fan_out"}
        Whether the variance is kept going forward or backward.
    nonlinearity : str
        What follows the layer; it decides the gain (see :func:`gain_of`).
    negative_slope : float
        Slope of a ``leaky_relu`` below 0; it has no meaning for others.
    """

    def __call__(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        return self.draw_uniform(key, shape, dtype)


@initializer("kaiming_normal")
class KaimingNormal(Kaiming):
    """N(0, std²) with std = gain / √fan.

    He, Zhang, Ren and Sun, 2015.

    Attributes
    ----------
    mode : {"fan_in", "fan_out"}
        Whether the variance is kept going forward or backward.
    nonlinearity : str
        What follows the layer; it decides the gain (see :func:`gain_of`).
    negative_slope : float
        Slope of a ``leaky_relu`` below 0; it has no meaning for others.
    """

    def __call__(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        return self.draw_normal(key, shape, dtype)


@initializer("orthogonal")
class Orthogonal(Initializer):
    """gain times an orthogonal matrix: it keeps lengths going forward and backward.

    A weight of shape (out, in, ...) is drawn as a matrix of ``out`` rows, whose rows are
    orthonormal, or its columns where there are fewer of them. Saxe, McClelland and Ganguli, "Exact
    solutions to the nonlinear dynamics of learning in deep linear neural networks", 2014.

    Attributes
    ----------
    gain : float
        Factor for the nonlinearity that follows, at least 0.
    """

    gain: Annotated[float, Ge(0)] = 1.0

    def check_shape(self, shape: tuple[int, ...]) -> None:
        fans(shape)

    def __call__(self, key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
        matrix = (shape[0], math.prod(shape[1:]))
        drawn = ops.orthogonalize(ops.normal(key, shape=matrix, dtype="float64"))
        return (self.gain * drawn).reshape(shape).astype(dtype)
