"""Shapes and dtypes: the same elements, arranged or typed otherwise."""

from __future__ import annotations

from minidl.graph.op import op, sample
from minidl.graph.spec import broadcast_shapes, check_dtype, is_float
from minidl.errors import ShapeError


@op("astype", view=True, samples=[sample((2, 3), dtype="float64")])
class astype:
    """Conversion to another dtype.

    z = x, as dtype
    """

    def normalize(x, /, dtype):
        return {"dtype": check_dtype(dtype)}

    def infer(x, /, dtype):
        return x.with_dtype(dtype)

    def forward(xp, x, *, dtype):
        return xp.astype(x, getattr(xp, dtype), copy=False)

    def backward(g, z, x, *, dtype):
        return g.astype(x.dtype) if is_float(x.dtype) else None


@op("reshape", view=True, samples=[sample((2, 6), shape=(3, 4)), sample((2, 6), shape=(-1,))])
class reshape:
    """The same elements, in row-major order, in another shape; one length may be -1."""

    def normalize(x, /, shape):
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        known = 1
        for length in shape:
            known *= length if length != -1 else 1
        if shape.count(-1) == 1 and known and x.size % known == 0:
            shape = tuple(x.size // known if n == -1 else n for n in shape)
        return {"shape": shape}

    def infer(x, /, shape):
        result = x.with_shape(shape)
        if -1 in shape or result.size != x.size:
            raise ShapeError(f"shape {x.shape} has {x.size} elements and cannot become {shape}")
        return result

    def forward(xp, x, *, shape):
        return xp.reshape(x, shape)

    def backward(g, z, x, *, shape):
        return g.reshape(x.shape)


@op("broadcast_to", view=True, samples=[sample((3, 1), shape=(2, 3, 4))])
class broadcast_to:
    """The value repeated along new axes and axes of length 1."""

    def normalize(x, /, shape):
        return {"shape": tuple(shape)}

    def infer(x, /, shape):
        if broadcast_shapes(x.shape, shape) != shape:
            raise ShapeError(f"shape {x.shape} does not broadcast to {shape}")
        return x.with_shape(shape)

    def forward(xp, x, *, shape):
        return xp.broadcast_to(x, shape)

    def backward(g, z, x, *, shape):
        return g
