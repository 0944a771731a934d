"""Activations: functions applied to each element or along one axis; few have parameters."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import Draw, Spec, Tensor, sample
from minidl.layers.base import Layer, layer
from minidl.layers.checks import check_float, check_inner_axis

_OFF_ZERO = Draw((3, 4), kinks=(0.0,))


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

    def build(self, x: Spec) -> None:
        check_inner_axis(self.axis, x)

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

    def build(self, x: Spec) -> None:
        check_inner_axis(self.axis, x)

    def forward(self, x: Tensor) -> Tensor:
        return ops.log_softmax(x, axis=self.axis)


@layer("leaky_relu")
class LeakyReLU(Layer):
    """z = x where x > 0, else negative_slope * x.

    Attributes
    ----------
    negative_slope : float
        Slope at 0 and below.
    """

    samples = (sample(_OFF_ZERO), sample(_OFF_ZERO, negative_slope=0.2))

    negative_slope: float = 0.01

    def forward(self, x: Tensor) -> Tensor:
        return ops.leaky_relu(x, negative_slope=self.negative_slope)


@layer("prelu")
class PReLU(Layer):
    """z = x where x > 0, else a * x, where the slope a is learned.

    Parameter: ``weight`` a, of shape (num_parameters,). He, Zhang, Ren and Sun, "Delving deep
    into rectifiers", 2015. Weight decay draws a to 0, that is, to ``relu``.

    Attributes
    ----------
    num_parameters : int
        1 for a single slope, or the number of channels, axis 1, for one slope each.
    init : float
        First value of each slope.
    """

    samples = (
        sample(_OFF_ZERO),
        sample(Draw((2, 3, 4), kinks=(0.0,)), num_parameters=3, init=0.1),
    )

    num_parameters: Annotated[int, Ge(1)] = 1
    init: float = 0.25

    def build(self, x: Spec) -> None:
        check_float(x)
        if self.num_parameters > 1 and (x.ndim < 2 or x.shape[1] != self.num_parameters):
            channels = f"{x.shape[1]} channels" if x.ndim > 1 else "no channels"
            raise ShapeError(
                f"num_parameters is {self.num_parameters}, but an input of shape {x.shape} has "
                f"{channels}, axis 1"
            )
        value = {"type": "constant", "value": self.init}
        self.parameter("weight", (self.num_parameters,), value, symbol="a")

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        behind = x.ndim - 2 if self.num_parameters > 1 else 0
        slopes = weight.reshape(-1, *[1] * behind) if behind else weight
        return ops.prelu(x, slopes)


@layer("elu")
class ELU(Layer):
    """z = x where x > 0, else alpha * (e^x − 1).

    Attributes
    ----------
    alpha : float
        −alpha is what it tends to for small x, and alpha its slope at 0.
    """

    samples = (sample(_OFF_ZERO), sample(_OFF_ZERO, alpha=0.5))

    alpha: float = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return ops.elu(x, alpha=self.alpha)


@layer("selu")
class SELU(Layer):
    """z = 1.0507… * elu(x, alpha=1.6732…), which draws signals to mean 0 and variance 1."""

    samples = (sample(_OFF_ZERO),)

    def forward(self, x: Tensor) -> Tensor:
        return ops.selu(x)


@layer("softplus")
class Softplus(Layer):
    """z = ln(1 + e^(beta * x)) / beta, a smooth ``relu``.    ∂L/∂x = ∂L/∂z * σ(beta * x)

    Attributes
    ----------
    beta : float
        The greater, the nearer to ``relu``; not 0.
    threshold : float
        Where beta * x is greater, z is x.
    """

    samples = (sample((3, 4)), sample((3, 4), beta=2.0))

    beta: float = 1.0
    threshold: float = 20.0

    def check_fields(self) -> None:
        if self.beta == 0:
            raise ValueError("beta must not be 0")

    def forward(self, x: Tensor) -> Tensor:
        return ops.softplus(x, beta=self.beta, threshold=self.threshold)


@layer("gelu")
class GELU(Layer):
    """z = x * Φ(x), where Φ is the normal distribution function.

    Attributes
    ----------
    approximate : {"none", "tanh"}
        Whether Φ is exact or approximated by a tanh.
    """

    samples = (sample((3, 4)), sample((3, 4), approximate="tanh"))

    approximate: Literal["none", "tanh"] = "none"

    def forward(self, x: Tensor) -> Tensor:
        return ops.gelu(x, approximate=self.approximate)


@layer("silu")
class SiLU(Layer):
    """z = x * σ(x), also called swish."""

    samples = (sample((3, 4)),)

    def forward(self, x: Tensor) -> Tensor:
        return ops.silu(x)


@layer("mish")
class Mish(Layer):
    """z = x * tanh(ln(1 + e^x))."""

    samples = (sample((3, 4)),)

    def forward(self, x: Tensor) -> Tensor:
        return ops.mish(x)


@layer("hardswish")
class Hardswish(Layer):
    """z = x * min(max(x + 3, 0), 6) / 6, with slope 0 at −3 and 1 at 3."""

    samples = (sample(Draw((3, 4), -5, 5, kinks=(-3.0, 3.0))),)

    def forward(self, x: Tensor) -> Tensor:
        return ops.hardswish(x)


@layer("glu")
class GLU(Layer):
    """z = a * σ(b), where a and b are the two halves of x along an axis.

    Attributes
    ----------
    axis : int
        The axis that is halved; its length must be even.
    """

    samples = (sample((3, 4)), sample((2, 4, 3), axis=1))

    axis: int = -1

    def build(self, x: Spec) -> None:
        check_inner_axis(self.axis, x)

    def forward(self, x: Tensor) -> Tensor:
        return ops.glu(x, axis=self.axis)


@layer("swiglu")
class SwiGLU(Layer):
    """z = silu(a) * b, where a and b are the two halves of x along an axis.

    A gated feed-forward block is ``linear``, this, ``linear``.

    Attributes
    ----------
    axis : int
        The axis that is halved; its length must be even.
    """

    samples = (sample((3, 4)), sample((2, 4, 3), axis=1))

    axis: int = -1

    def build(self, x: Spec) -> None:
        check_inner_axis(self.axis, x)

    def forward(self, x: Tensor) -> Tensor:
        return ops.swiglu(x, axis=self.axis)
