"""Layers that join the outputs of several others, named by ``inputs``."""

from __future__ import annotations

import functools
import operator

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import Spec, Tensor, sample
from minidl.graph.spec import normalize_axis
from minidl.layers.base import Layer, layer


@layer("add")
class Add(Layer):
    """z = x_1 + x_2 + …, of one shape each: how a residual connection ends."""

    samples = (sample((2, 3), (2, 3)), sample((2, 3, 4), (2, 3, 4), (2, 3, 4)))

    def build(self, first: Spec, second: Spec, *others: Spec) -> None:
        check_same_shapes((first, second, *others))

    def forward(self, *xs: Tensor) -> Tensor:
        return functools.reduce(operator.add, xs)


@layer("multiply")
class Multiply(Layer):
    """z = x_1 * x_2 * …: how a gate weighs what goes through.    ∂L/∂x_1 = ∂L/∂z * x_2 * …

    The inputs are of one shape each; but an axis of length 1, other than the batch, is repeated
    to the length that it has in another. So one number can weigh a channel of an image: what
    ``global_avg_pool`` with ``keepdims`` gives, behind a layer or two, by the image itself.
    """

    samples = (
        sample((2, 3), (2, 3)),
        sample((2, 3, 4, 2), (2, 3, 1, 1)),
        sample((2, 3, 1), (2, 1, 4), (2, 3, 4)),
    )

    def build(self, first: Spec, second: Spec, *others: Spec) -> None:
        check_same_shapes((first, second, *others), repeat=True)

    def forward(self, *xs: Tensor) -> Tensor:
        return functools.reduce(operator.mul, xs)


@layer("concat")
class Concat(Layer):
    """The inputs one behind the other along an axis; their other axes must agree.

    Attributes
    ----------
    axis : int
        Default 1: features of vectors, channels of images in NCHW. Not 0, the batch.
    """

    samples = (sample((2, 3), (2, 4)), sample((2, 3, 1), (2, 3, 2), (2, 3, 4), axis=-1))

    axis: int = 1

    def build(self, first: Spec, second: Spec, *others: Spec) -> None:
        axis = normalize_axis(self.axis, first.ndim)
        if axis == 0:
            raise ShapeError(f"axis {self.axis} is the batch; join samples along another axis")
        check_same_shapes((first, second, *others), but=axis)

    def forward(self, *xs: Tensor) -> Tensor:
        return ops.concat(xs, axis=self.axis)


def check_same_shapes(
    specs: tuple[Spec, ...], but: int | None = None, repeat: bool = False
) -> None:
    """Raise ShapeError, naming two shapes and an axis, unless shapes agree on all axes ``but``.

    With ``repeat`` a length of 1 agrees with any, but on the axis of the batch.
    """
    first = specs[0].shape
    for number, (shape, _) in enumerate(specs[1:], start=2):
        if len(shape) != len(first):
            raise ShapeError(
                f"input 1 of shape {first} has {len(first)} axes and input {number} of shape "
                f"{shape} has {len(shape)}"
            )
        for axis, (m, n) in enumerate(zip(first, shape, strict=True)):
            repeated = repeat and axis > 0 and 1 in (m, n)
            if m != n and axis != but and not repeated:
                raise ShapeError(
                    f"input 1 of shape {first} and input {number} of shape {shape} differ on "
                    f"axis {axis}: {m} and {n}"
                )
