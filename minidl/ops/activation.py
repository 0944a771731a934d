"""Activation functions: of single elements, and the softmax family along an axis.

Those that multiply by a gate are in :mod:`minidl.ops.gated`.
"""

from __future__ import annotations

from minidl.errors import GraphError
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import normalize_axis
from minidl.ops.elementwise import exp, where
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


@op(
    "leaky_relu",
    elementwise=True,
    floating=True,
    scalar="where(x > 0, x, negative_slope * x)",
    kink="at 0 the gradient is negative_slope",
    kinks=(0.0,),
    samples=[
        sample(Draw((3, 4), kinks=(0.0,))),
        *(sample(Draw((3, 4), kinks=(0.0,)), negative_slope=slope) for slope in (0.2, 1.5, -0.3)),
        sample(Draw((), kinks=(0.0,))),
        sample((0, 3)),
    ],
)
class leaky_relu:
    """Rectified linear unit that lets a little through below 0.

    z = x where x > 0, else negative_slope * x

    Maas, Hannun & Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.
    """

    def infer(x, /, *, negative_slope=0.01):
        return x

    def normalize(x, /, *, negative_slope=0.01):
        return {"negative_slope": float(negative_slope)}

    def forward(xp, x, *, negative_slope):
        return xp.where(x > 0, x, x * negative_slope)

    def backward(g, z, x, *, negative_slope):
        return where(x > 0, g, g * negative_slope)


@op(
    "prelu",
    elementwise=True,
    floating=True,
    scalar="where(x > 0, x, a * x)",
    domains=((-2, 2), (0.05, 0.5)),
    kink="at x = 0 the gradient by x is a, by a it is 0",
    kinks=(0.0,),
)
class prelu:
    """Rectified linear unit whose slope below 0 is a value: learned, say.

    z = x where x > 0, else a * x

    He, Zhang, Ren & Sun, "Delving deep into rectifiers", 2015.
    """

    def forward(xp, x, a):
        return xp.where(x > 0, x, a * x)

    def backward(g, z, x, a):
        return g * where(x > 0, 1, a), g * where(x > 0, 0, x)


@op(
    "elu",
    elementwise=True,
    floating=True,
    scalar="maximum(x, 0) + alpha * expm1(minimum(x, 0))",
    kink="at 0 the gradient is alpha",
    samples=[
        sample(Draw((3, 4), kinks=(0.0,))),
        *(sample(Draw((3, 4), kinks=(0.0,)), alpha=alpha) for alpha in (0.5, 2)),
        sample(Draw((), kinks=(0.0,))),
        sample((0, 3)),
    ],
)
class elu:
    """Exponential linear unit.

    z = x where x > 0, else alpha * (e^x − 1)

    Clevert, Unterthiner & Hochreiter, "Fast and accurate deep network learning by exponential
    linear units", 2016.
    """

    def infer(x, /, *, alpha=1.0):
        return x

    def normalize(x, /, *, alpha=1.0):
        return {"alpha": float(alpha)}

    def forward(xp, x, *, alpha):
        zero = xp.zeros_like(x)
        return xp.maximum(x, zero) + alpha * xp.expm1(xp.minimum(x, zero))

    def backward(g, z, x, *, alpha):
        return g * where(x > 0, 1, z + alpha)


_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


@op(
    "selu",
    kink="at 0 the gradient is 1.758…, as below 0",
    samples=[sample(Draw((3, 4), kinks=(0.0,))), sample(Draw((), kinks=(0.0,))), sample((0, 3))],
)
class selu:
    """Scaled exponential linear unit: it draws signals to mean 0 and variance 1.

    z = 1.0507… * elu(x, alpha=1.6732…)

    Klambauer, Unterthiner, Mayr & Hochreiter, "Self-normalizing neural networks", 2017.
    """

    def compose(x, /):
        return _SELU_SCALE * elu(x, alpha=_SELU_ALPHA)


@op(
    "softplus",
    autocast="float32",
    elementwise=True,
    floating=True,
    scalar="where(beta * x > threshold, x, log1p(exp(minimum(beta * x, threshold))) / beta)",
    kink="where beta * x = threshold the value jumps by ln(1 + e^−threshold) / beta; "
    "the gradient there is that from below",
    samples=[
        sample((3, 4)),
        sample((3, 4), beta=3.0),
        sample(Draw((3, 4), kinks=(1.0,)), beta=2.0, threshold=2.0),
        sample([-1e4, -30.0, 30.0, 1e4]),
        sample(()),
        sample((0, 3)),
    ],
)
class softplus:
    """Smooth rectified linear unit.

    z = ln(1 + e^(beta * x)) / beta where beta * x <= threshold, else x

    Parameters
    ----------
    x : Tensor
        Of any size: no power overflows.
    beta : float
        The greater, the nearer to ``relu``; not 0.
    threshold : float
        Beyond it the value is x itself.

    Raises
    ------
    GraphError
        If beta is 0.
    """

    def infer(x, /, *, beta=1.0, threshold=20.0):
        return x

    def normalize(x, /, *, beta=1.0, threshold=20.0):
        if beta == 0:
            raise GraphError("softplus: beta must not be 0")
        return {"beta": float(beta), "threshold": float(threshold)}

    def forward(xp, x, *, beta, threshold):
        scaled = beta * x
        power = xp.exp(xp.minimum(scaled, xp.full_like(scaled, threshold)))
        return xp.where(scaled > threshold, x, xp.log1p(power) / beta)

    def backward(g, z, x, *, beta, threshold):
        scaled = x if beta == 1 else beta * x
        return g * where(scaled > threshold, 1, sigmoid(scaled))


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


@op("softmax", autocast="float32", floating=True, samples=_SAMPLES)
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


@op("log_softmax", autocast="float32", floating=True, samples=_SAMPLES)
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
