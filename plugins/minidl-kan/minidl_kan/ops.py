"""B-splines as an op of minidl."""

from __future__ import annotations

from typing import Any

import minidl as md
from minidl.errors import GraphError

_KNOTS = tuple(-1.6 + 0.4 * index for index in range(9))


def _sample(shape: tuple[int, ...], low: float, high: float, count: int, degree: int) -> Any:
    inputs = md.Draw(shape, low, high, kinks=_KNOTS)
    return md.sample(inputs, start=-1.6, step=0.4, count=count, degree=degree)


@md.op(
    "bspline_basis",
    floating=True,
    kink="at a knot the gradient is the one from the right",
    samples=[
        _sample((4, 3), -1, 1, count=5, degree=3),
        _sample((2, 3), -2, 2, count=6, degree=2),
        _sample((5,), -1, 1, count=7, degree=1),
        _sample((2, 2), -1, 1, count=8, degree=0),
        _sample((), -1, 1, count=5, degree=3),
        _sample((0, 2), -1, 1, count=5, degree=3),
    ],
)
class bspline_basis:
    """Every B-spline of one degree on uniform knots, at each element.

    z[..., i] = B_{i,degree}(u),  u = (x − start) / step

    B_{i,0}(u) = 1 if i ≤ u < i + 1 else 0
    B_{i,d}(u) = ((u − i) B_{i,d−1}(u) + (i + d + 1 − u) B_{i+1,d−1}(u)) / d

    ∂L/∂x = Σ_i ∂L/∂z_i (B_{i,degree−1}(u) − B_{i+1,degree−1}(u)) / step

    Parameters
    ----------
    x : float, shape (...)
        Where to evaluate; every B-spline is 0 outside the knots.
    start : float
        The first knot.
    step : float
        Distance between neighbouring knots, greater than 0.
    count : int
        How many B-splines; they stand on ``count + degree + 1`` knots.
    degree : int
        Degree of the pieces; default 3.

    Returns
    -------
    float, shape (..., count)
        Between knot number ``degree`` and knot number ``count`` they sum to 1.

    Raises
    ------
    GraphError
        If ``step``, ``count`` or ``degree`` is out of its range.

    Notes
    -----
    The recursion is that of Cox and de Boor (C. de Boor, A Practical Guide to Splines, 1978,
    chapter X) with knots at the integers. The gradient is a basis of one degree less on the same
    knots, so it can be differentiated again, down to degree 0, where it is 0.
    """

    def normalize(x, /, *, start, step, count, degree=3):
        if not step > 0:
            raise GraphError(f"bspline_basis: step must be greater than 0, not {step}")
        if count < 1 or degree < 0:
            raise GraphError(
                f"bspline_basis: count must be at least 1 and degree at least 0, "
                f"not {count} and {degree}"
            )
        return {
            "start": float(start),
            "step": float(step),
            "count": int(count),
            "degree": int(degree),
        }

    def infer(x, /, *, start, step, count, degree=3):
        return x.with_shape((*x.shape, count))

    def forward(xp, x, *, start, step, count, degree):
        u = xp.expand_dims((x - start) / step, axis=-1)
        i = xp.arange(count + degree, dtype=x.dtype)
        basis = xp.astype((u >= i) & (u < i + 1), x.dtype)
        for d in range(1, degree + 1):
            i = i[:-1]
            basis = ((u - i) * basis[..., :-1] + (i + d + 1 - u) * basis[..., 1:]) / d
        return basis

    def backward(g, z, x, *, start, step, count, degree):
        if degree == 0:
            return 0.0
        lower = bspline_basis(x, start=start, step=step, count=count + 1, degree=degree - 1)
        return (g * (lower[..., :-1] - lower[..., 1:]) / step).sum(axis=-1)
