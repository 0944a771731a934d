"""Activations: functions without parameters, applied to each element or along one axis."""

from __future__ import annotations

from minidl import ops
from minidl.graph import Draw, Tensor, sample
from minidl.layers.base import Layer, layer


@layer("identity")
class Identity(Layer):
    """z = x.    A place-holder, for example the short way round a block."""

    samples = (sample((3, 4)),)

    def forward(self, x: Tensor) -> Tensor:
        return x


@layer("relu")
class ReLU(Layer):
    """z = max(x, 0), with slope 0 at 0."""

    samples = (sample(Draw((3, 4), kinks=(0.0,))),)

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(x)


@layer("sigmoid")
class Sigmoid(Layer):
    """z = 1 / (1 + e^−x), the logistic function σ.    ∂L/∂x = ∂L/∂z * z * (1 − z)"""

    samples = (sample((3, 4)),)

    def forward(self, x: Tensor) -> Tensor:
        return ops.sigmoid(x)


@layer("tanh")
class Tanh(Layer):
    """z = tanh(x).    ∂L/∂x = ∂L/∂z * (1 − z²)"""

    samples = (sample((3, 4)),)

    def forward(self, x: Tensor) -> Tensor:
        return ops.tanh(x)


@layer("softmax")
class Softmax(Layer):
    """z_i = e^(x_i) / Σ_j e^(x_j) along an axis.

    Do not end a model with it under the loss ``cross_entropy``, which takes logits.

    Attributes
    ----------
    axis : int
        The axis whose elements sum to 1.
    """

    samples = (sample((3, 4)), sample((2, 3, 4), axis=1))

    axis: int = -1

    def forward(self, x: Tensor) -> Tensor:
        return ops.softmax(x, axis=self.axis)


@layer("log_softmax")
class LogSoftmax(Layer):
    """z_i = x_i − log Σ_j e^(x_j) along an axis: the logarithm of ``softmax``, kept stable.

    Attributes
    ----------
    axis : int
        The axis over which probabilities sum to 1.
    """

    samples = (sample((3, 4)), sample((2, 3, 4), axis=1))

    axis: int = -1

    def forward(self, x: Tensor) -> Tensor:
        return ops.log_softmax(x, axis=self.axis)
