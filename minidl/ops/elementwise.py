"""Arithmetic, element by element: inputs broadcast against each other."""

from __future__ import annotations

from minidl.graph.op import op


@op("add", elementwise=True, function="add", notation="a + b", scalar="a + b")
class add:
    """Sum.

    z = a + b
    """

    def backward(g, z, a, b):
        return g, g


@op("subtract", elementwise=True, function="subtract", notation="a - b", scalar="a - b")
class subtract:
    """Difference.

    z = a - b
    """

    def backward(g, z, a, b):
        return g, -g


@op("multiply", elementwise=True, function="multiply", notation="a * b", scalar="a * b")
class multiply:
    """Product, element by element.

    z = a * b
    """

    def backward(g, z, a, b):
        return g * b, g * a


@op("negative", elementwise=True, function="negative", notation="-x", scalar="-x")
class negative:
    """Negation.

    z = -x
    """

    def backward(g, z, x):
        return -g


@op("exp", elementwise=True, function="exp", floating=True, scalar="exp(x)")
class exp:
    """Exponential.

    z = e^x
    """

    def backward(g, z, x):
        return g * z


@op(
    "relu",
    elementwise=True,
    scalar="where(x > 0, x, 0)",
    kink="at 0 the gradient is 0",
    kinks=(0.0,),
)
class relu:
    """Rectified linear unit.

    z = max(x, 0)
    """

    def forward(xp, x):
        return xp.where(x > 0, x, xp.zeros_like(x))

    def backward(g, z, x):
        return g * (x > 0)


@op("greater", elementwise=True, function="greater", notation="a > b", scalar="a > b",
    no_gradient="its output is boolean")
class greater:
    """Whether a > b, element by element."""

    def infer(a, b, /):
        from minidl.graph.op import broadcast
        return broadcast(a, b).with_dtype("bool")
