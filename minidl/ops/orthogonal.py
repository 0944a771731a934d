"""Orthogonal matrices and quantiles of the normal distribution: what initial values need."""

from __future__ import annotations

import math

from minidl.errors import ShapeError
from minidl.graph.op import Draw, op, sample
from minidl.ops.elementwise import exp, square

_ROOT_TWO_PI = math.sqrt(2 * math.pi)


@op(
    "orthogonalize",
    autocast="float32",
    floating=True,
    no_gradient="it makes initial values, which nothing is differentiated through",
    samples=[
        sample((3, 3)),
        sample((5, 2)),
        sample((2, 5)),
        sample((4, 1)),
        sample((1, 1)),
        sample((0, 3)),
    ],
)
class orthogonalize:
    """A matrix with orthonormal columns, or rows where there are fewer, from any matrix.

    z = Q, where x = Q R, the diagonal of R is positive and Q.T Q = 1

    A matrix of normal numbers becomes one drawn uniformly from all orthogonal ones: Mezzadri, "How
    to generate random matrices from the classical compact groups", 2007.

    Raises
    ------
    ShapeError
        If x is no matrix.
    """

    def infer(x, /):
        if x.ndim != 2:
            raise ShapeError(f"takes a matrix, not a value of shape {x.shape}")
        return x

    def forward(xp, x):
        if x.shape[0] == 0 or x.shape[1] == 0:
            return xp.zeros_like(x)
        wide = x.shape[0] < x.shape[1]
        q, r = xp.linalg.qr(xp.matrix_transpose(x) if wide else x)
        diagonal = xp.linalg.diagonal(r)
        q = q * xp.where(diagonal < 0, -xp.ones_like(diagonal), xp.ones_like(diagonal))
        return xp.asarray(xp.matrix_transpose(q), copy=True) if wide else q

    def flops(z, x):
        return 2 * x.size * min(x.shape)


@op(
    "ndtri",
    autocast="float32",
    floating=True,
    samples=[
        sample(Draw((3, 4), 0.01, 0.99)),
        sample(Draw((), 0.2, 0.8)),
        sample(Draw((0, 3), 0.2, 0.8)),
        sample([1e-3, 0.075, 0.5, 0.925]),
    ],
)
class ndtri:
    """Quantile of the normal distribution: below which number a share p of it lies.

    z = Φ⁻¹(p)

    −∞ at 0, ∞ at 1, NaN outside. By the three rational approximations of M. J. Wichura,
    "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 37
    (1988) 477–484, good to 16 digits. The name is that of PyTorch and SciPy.
    """

    def infer(p, /):
        return p

    def forward(xp, p):
        wide = xp.astype(p, xp.float32) if str(p.dtype).endswith("float16") else p
        middle = wide - 0.5
        centre = middle * _ratio(0.180625 - middle * middle, *_CENTRE)
        share = xp.minimum(wide, 1 - wide)
        distance = xp.sqrt(-xp.log(share))
        near, far = _ratio(distance - 1.6, *_NEAR), _ratio(distance - 5.0, *_FAR)
        tail = xp.where(distance <= 5.0, near, far)
        tail = xp.where(share == 0, xp.full_like(tail, math.inf), tail)
        z = xp.where(xp.abs(middle) <= 0.425, centre, xp.where(middle < 0, -tail, tail))
        return xp.astype(z, p.dtype, copy=False)

    def backward(g, z, p):
        return g * (_ROOT_TWO_PI * exp(0.5 * square(z)))

    def flops(z, p):
        return 40 * p.size


def _ratio(x, numerator, denominator):
    return _polynomial(x, numerator) / _polynomial(x, denominator)


def _polynomial(x, coefficients):
    value = coefficients[0] * x + coefficients[1]
    for coefficient in coefficients[2:]:
        value = value * x + coefficient
    return value


_CENTRE = (
    (
        2.5090809287301226727e3,
        3.3430575583588128105e4,
        6.7265770927008700853e4,
        4.5921953931549871457e4,
        1.3731693765509461125e4,
        1.9715909503065514427e3,
        1.3314166789178437745e2,
        3.3871328727963666080e0,
    ),
    (
        5.2264952788528545610e3,
        2.8729085735721942674e4,
        3.9307895800092710610e4,
        2.1213794301586595867e4,
        5.3941960214247511077e3,
        6.8718700749205790830e2,
        4.2313330701600911252e1,
        1.0,
    ),
)
_NEAR = (
    (
        7.74545014278341407640e-4,
        2.27238449892691845833e-2,
        2.41780725177450611770e-1,
        1.27045825245236838258e0,
        3.64784832476320460504e0,
        5.76949722146069140550e0,
        4.63033784615654529590e0,
        1.42343711074968357734e0,
    ),
    (
        1.05075007164441684324e-9,
        5.47593808499534494600e-4,
        1.51986665636164571966e-2,
        1.48103976427480074590e-1,
        6.89767334985100004550e-1,
        1.67638483018380384940e0,
        2.05319162663775882187e0,
        1.0,
    ),
)
_FAR = (
    (
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        1.24266094738807843860e-3,
        2.65321895265761230930e-2,
        2.96560571828504891230e-1,
        1.78482653991729133580e0,
        5.46378491116411436990e0,
        6.65790464350110377720e0,
    ),
    (
        2.04426310338993978564e-15,
        1.42151175831644588870e-7,
        1.84631831751005468180e-5,
        7.86869131145613259100e-4,
        1.48753612908506148525e-2,
        1.36929880922735805310e-1,
        5.99832206555887937690e-1,
        1.0,
    ),
)
