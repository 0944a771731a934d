"""Layers that act in training alone."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Lt

from minidl import ops
from minidl.graph import Spec, Tensor, sample
from minidl.layers.base import Context, Layer, layer
from minidl.layers.checks import check_float


@layer("dropout")
class Dropout(Layer):
    """Set elements to 0 by chance, and scale the others so that the mean stays.

    z = x * m / (1 − p),  m = 0 with probability p, else 1;    ∂L/∂x = ∂L/∂z * m / (1 − p)

    Outside training it does nothing. The mask is a function of the seed, the layer's name and the
    step. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
    2014.

    Attributes
    ----------
    p : float
        Probability that an element is dropped, in [0, 1).
    """

    samples = (sample((4, 5), p=0.3),)

    p: Annotated[float, Ge(0), Lt(1)] = 0.5

    def build(self, x: Spec) -> None:
        check_float(x)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        if not context.training or self.p == 0:
            return x
        return ops.dropout(x, context.random_key(self), p=self.p)
