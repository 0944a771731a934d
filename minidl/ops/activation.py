"""Activation functions: of single elements, and the softmax family along an axis."""

from __future__ import annotations

from minidl.graph.op import op, sample
from minidl.graph.spec import normalize_axis
from minidl.ops.elementwise import exp
from minidl.ops.reduction import refuse_empty


@op("tanh", elementwise=True, function="tanh", floating=True, scalar="tanh(x)")
class tanh:
    """Hyperbolic tangent.

    z = (e^x − e^−x) / (e^x + e^−x)
    """

    def backward(g, z, x):
        return g * (1 - z * z)


@op(
    "sigmoid",
    elementwise=True,
    floating=True,
    notation="σ(x)",
    scalar="1 / (1 + exp(-x))",
)
class sigmoid:
    """Logistic function; exact to the last digits in both tails.

    z = 1 / (1 + e^−x)
    """

    def forward(xp, x):
        return 1 / (1 + xp.exp(-x))

    def backward(g, z, x):
        return g * (z * (1 - z))


@op(
    "relu",
    elementwise=True,
    scalar="maximum(x, 0)",
    kink="at 0 the gradient is 0",
    kinks=(0.0,),
)
class relu:
    """Rectified linear unit; NaN stays NaN.

    z = max(x, 0)
    """

    def forward(xp, x):
        return xp.maximum(x, xp.zeros_like(x))

    def backward(g, z, x):
        return g * (x > 0)


def _along(x, /, axis=-1):
    return {"axis": normalize_axis(axis, x.ndim)}


def _same(x, /, axis=-1):
    refuse_empty(x, (axis,))
    return x


def _softmax_flops(z, x, *, axis):
    return 5 * x.size


_SAMPLES = [
    sample((3, 4)),
    sample((3, 4), axis=0),
    sample((2, 3, 4), axis=-2),
    sample((3, 1)),
    sample((5,)),
    sample((0, 3)),
    sample([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4]]),
]


@op("softmax", floating=True, samples=_SAMPLES)
class softmax:
    """Softmax along an axis: positive numbers that sum to 1.

    z = e^(x − m) / Σ e^(x − m), where m = max(x)

    Parameters
    ----------
    x : Tensor
        Scores, of any size: the greatest is subtracted first. A row of −∞ alone, or with a +∞
        in it, has no softmax and gives NaN.
    axis : int
        What each sum runs over.

    Raises
    ------
    ShapeError
        If there is no such axis or it has length 0.
    """

    normalize = _along
    infer = _same
    flops = _softmax_flops

    def forward(xp, x, *, axis):
        powers = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
        return powers / xp.sum(powers, axis=axis, keepdims=True)

    def backward(g, z, x, *, axis):
        return z * (g - (g * z).sum(axis=axis, keepdims=True))


@op("log_softmax", floating=True, samples=_SAMPLES)
class log_softmax:
    """Logarithm of the softmax along an axis, right where the softmax itself would be 0.

    z = x − m − ln Σ e^(x − m), where m = max(x)

    Parameters
    ----------
    x : Tensor
        Scores, of any size: the greatest is subtracted first. A row of −∞ alone, or with a +∞
        in it, has no softmax and gives NaN.
    axis : int
        What each sum runs over.

    Raises
    ------
    ShapeError
        If there is no such axis or it has length 0.
    """

    normalize = _along
    infer = _same
    flops = _softmax_flops

    def forward(xp, x, *, axis):
        shifted = x - xp.max(x, axis=axis, keepdims=True)
        return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))

    def backward(g, z, x, *, axis):
        return g - exp(z) * g.sum(axis=axis, keepdims=True)
