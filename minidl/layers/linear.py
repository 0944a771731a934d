"""Layers that multiply by a weight."""

from __future__ import annotations

import math
from dataclasses import field
from functools import partial
from typing import Annotated

from annotated_types import Ge

from minidl.component import make
from minidl.errors import ShapeError
from minidl.graph import Spec, Tensor, sample
from minidl.initializers import Initializer
from minidl.layers.base import Layer, layer
from minidl.layers.checks import check_float


@layer("linear")
class Linear(Layer):
    """Affine map of the last axis, as in PyTorch.

    z = x @ W.T + b

    ∂L/∂W = (∂L/∂z).T @ x,  ∂L/∂b = Σ ∂L/∂z over samples,  ∂L/∂x = ∂L/∂z @ W

    Input: float, shape (batch, ..., in). Output: shape (batch, ..., units).
    Parameters: ``weight`` W of shape (units, in), ``bias`` b of shape (units,).

    An image or a sequence keeps its other axes; put a ``flatten`` before this layer to feed it
    whole.

    Attributes
    ----------
    units : int
        Length of the last axis of the output.
    bias : bool
        Whether b is added.
    init : Initializer
        First values of the weight; default ``glorot_uniform``.
    bias_init : Initializer
        First values of the bias; default ``zeros``.
    """

    samples = (
        sample((3, 4), units=2),
        sample((3, 4), units=2, bias=False),
        sample((2, 3, 4), units=5),
    )

    units: Annotated[int, Ge(1)]
    bias: bool = True
    init: Initializer = field(default_factory=partial(make, "initializer", "glorot_uniform"))
    bias_init: Initializer = field(default_factory=partial(make, "initializer", "zeros"))

    def build(self, x: Spec) -> None:
        check_float(x)
        if x.ndim < 2:
            raise ShapeError(
                f"it takes a batch of vectors, of shape (batch, ..., features), not {x.shape}; "
                f"put {{ type = 'reshape', shape = [1] }} before it if each sample is one number"
            )
        self.parameter("weight", (self.units, x.shape[-1]), self.init, symbol="W")
        if self.bias:
            self.parameter("bias", (self.units,), self.bias_init, symbol="b")

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
        z = rows @ weight.T
        if bias is not None:
            z = z + bias
        return z if x.ndim == 2 else z.reshape(*x.shape[:-1], self.units)
