"""Reductions over axes."""

from __future__ import annotations

from minidl.graph.op import op, sample
from minidl.graph.spec import normalize_axes


@op("sum", function="sum", samples=[sample((3, 4)), sample((3, 4), axis=1), sample((2, 3, 4), axis=(0, -1), keepdims=True)])
class sum:
    """Sum over axes.

    z = Σ x
    """

    def normalize(x, /, *, axis=None, keepdims=False):
        return {"axis": normalize_axes(axis, x.ndim), "keepdims": bool(keepdims)}

    def infer(x, /, *, axis=None, keepdims=False):
        return x.with_shape(reduced_shape(x.shape, axis, keepdims))

    def backward(g, z, x, *, axis, keepdims):
        return g.reshape(reduced_shape(x.shape, axis, True))


def reduced_shape(shape, axes, keepdims):
    """Return ``shape`` without ``axes``, or with length 1 there."""
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)
