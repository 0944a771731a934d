"""Activations that multiply by a gate: x times something between 0 and 1 that depends on x."""

from __future__ import annotations

import math

from minidl.errors import GraphError, ShapeError
from minidl.graph.op import op, sample
from minidl.graph.spec import normalize_axis
from minidl.ops.activation import sigmoid, softplus, tanh
from minidl.ops.elementwise import clip, erf, exp, square, where
from minidl.ops.joining import split

_ROOT_HALF = math.sqrt(0.5)
_DENSITY = 1 / math.sqrt(2 * math.pi)
_TANH_SCALE = math.sqrt(2 / math.pi)
_TANH_CUBIC = 0.044715


@op(
    "gelu_erf",
    elementwise=True,
    floating=True,
    scalar="0.5 * x * (1 + erf(0.7071067811865476 * x))",
)
class gelu_erf:
    """x times the probability that a standard normal number is below it.

    z = x * Φ(x) = x / 2 * (1 + erf(x / √2))

    Hendrycks & Gimpel, "Gaussian error linear units", 2016.
    """

    def forward(xp, x):
        return 0.5 * x * (1 + erf.run(xp, _ROOT_HALF * x))

    def backward(g, z, x):
        below = 0.5 * (1 + erf(_ROOT_HALF * x))
        return g * (below + x * (_DENSITY * exp(-0.5 * square(x))))


@op(
    "gelu_tanh",
    elementwise=True,
    floating=True,
    scalar="0.5 * x * (1 + tanh(0.7978845608028654 * x * (1 + 0.044715 * x * x)))",
)
class gelu_tanh:
    """The approximation of ``gelu`` by a tanh.

    z = x / 2 * (1 + tanh(√(2/π) * (x + 0.044715 * x³)))

    Hendrycks & Gimpel, "Gaussian error linear units", 2016.
    """

    def forward(xp, x):
        return 0.5 * x * (1 + xp.tanh(_TANH_SCALE * x * (1 + _TANH_CUBIC * x * x)))

    def backward(g, z, x):
        # beyond ±10 the tanh is ±1 in every dtype, and x² may overflow
        near = clip(x, -10, 10)
        squared = square(near)
        t = tanh(_TANH_SCALE * near * (1 + _TANH_CUBIC * squared))
        slope = _TANH_SCALE * (1 + 3 * _TANH_CUBIC * squared)
        return g * (0.5 * (1 + t) + 0.5 * near * ((1 - t * t) * slope))


@op("gelu", samples=[sample((3, 4)), sample((3, 4), approximate="tanh"), sample((0, 3))])
class gelu:
    """Gaussian error linear unit.

    z = x * Φ(x), where Φ is the normal distribution function

    Parameters
    ----------
    x : Tensor
        Of any size.
    approximate : {"none", "tanh"}
        Whether Φ is exact, by ``gelu_erf``, or approximated, by ``gelu_tanh``.

    Raises
    ------
    GraphError
        If ``approximate`` is neither.
    """

    def compose(x, /, *, approximate="none"):
        if approximate not in ("none", "tanh"):
            raise GraphError(f"approximate is 'none' or 'tanh', not {approximate!r}")
        return gelu_erf(x) if approximate == "none" else gelu_tanh(x)


@op("silu", elementwise=True, floating=True, scalar="x / (1 + exp(-x))")
class silu:
    """Sigmoid linear unit, also called swish.

    z = x * σ(x)

    Elfwing, Uchibe & Doya, "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning", 2018.
    """

    def forward(xp, x):
        return x * (1 / (1 + xp.exp(-x)))

    def backward(g, z, x):
        s = sigmoid(x)
        return g * (s * (1 + x * (1 - s)))


@op(
    "mish",
    elementwise=True,
    floating=True,
    scalar="x * tanh(log1p(exp(minimum(x, 20))))",
)
class mish:
    """x times the tanh of its softplus.

    z = x * tanh(ln(1 + e^x))

    Misra, "Mish: a self regularized non-monotonic activation function", 2020.
    """

    def forward(xp, x):
        # beyond 20 the tanh is 1 in every dtype
        power = xp.exp(xp.minimum(x, xp.full_like(x, 20.0)))
        return x * xp.tanh(xp.log1p(power))

    def backward(g, z, x):
        t = tanh(softplus(x))
        return g * (t + x * ((1 - t * t) * sigmoid(x)))


@op(
    "hardswish",
    elementwise=True,
    floating=True,
    scalar="x * minimum(maximum(x + 3, 0), 6) / 6",
    kink="at −3 the gradient is 0, at 3 it is 1",
    domains=((-5, 5),),
    kinks=(-3.0, 3.0),
)
class hardswish:
    """``silu`` with straight lines in the place of its sigmoid.

    z = x * min(max(x + 3, 0), 6) / 6

    Howard et al., "Searching for MobileNetV3", 2019.
    """

    def forward(xp, x):
        return x * (xp.clip(x + 3, 0, 6) / 6)

    def backward(g, z, x):
        inner = where(x < 3, x / 3 + 0.5, 1)
        return g * where(x > -3, inner, 0)


_HALVES = [
    sample((3, 4)),
    sample((4, 3), axis=0),
    sample((2, 4, 3), axis=-2),
    sample((0, 2)),
]


@op("glu", samples=_HALVES)
class glu:
    """Gated linear unit: the first half along an axis times the sigmoid of the second.

    z = a * σ(b), where [a, b] = x

    Dauphin, Fan, Auli & Grangier, "Language modeling with gated convolutional networks", 2017.

    Parameters
    ----------
    x : Tensor
        Of any size.
    axis : int
        What is halved; its length must be even.

    Raises
    ------
    ShapeError
        If there is no such axis or its length is odd.
    """

    def compose(x, /, *, axis=-1):
        a, b = _halves(x, axis)
        return a * sigmoid(b)


@op("swiglu", samples=_HALVES)
class swiglu:
    """Gated linear unit with ``silu``: that of the first half along an axis times the second.

    z = silu(a) * b, where [a, b] = x

    Shazeer, "GLU variants improve transformer", 2020.

    Parameters
    ----------
    x : Tensor
        Of any size.
    axis : int
        What is halved; its length must be even.

    Raises
    ------
    ShapeError
        If there is no such axis or its length is odd.
    """

    def compose(x, /, *, axis=-1):
        a, b = _halves(x, axis)
        return silu(a) * b


def _halves(x, axis):
    axis = normalize_axis(axis, x.ndim)
    if x.shape[axis] % 2:
        raise ShapeError(
            f"axis {axis} of shape {x.shape} has {x.shape[axis]} elements, which cannot be halved"
        )
    return split(x, 2, axis=axis)
