"""Layers that arrange the elements of each sample otherwise; the batch axis stays in front."""

from __future__ import annotations

import math
from typing import Annotated

from annotated_types import Ge

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import Spec, Tensor, sample
from minidl.graph.spec import normalize_axis
from minidl.layers.base import Layer, layer


@layer("flatten")
class Flatten(Layer):
    """Join all axes from one on into one: (batch, 1, 28, 28) becomes (batch, 784).

    Attributes
    ----------
    start_axis : int
        The first axis that is joined; those before it stay.
    """

    samples = (sample((2, 3, 4)), sample((2, 3, 4, 2), start_axis=2))

    start_axis: Annotated[int, Ge(1)] = 1

    def build(self, x: Spec) -> None:
        normalize_axis(self.start_axis, x.ndim)

    def forward(self, x: Tensor) -> Tensor:
        kept, joined = x.shape[: self.start_axis], x.shape[self.start_axis :]
        return x.reshape(*kept, math.prod(joined))


@layer("reshape")
class Reshape(Layer):
    """The elements of each sample, in row-major order, in another shape.

    Attributes
    ----------
    shape : tuple of int
        Shape of a sample, without the batch axis; one length may be -1. An empty one makes each
        sample a single number.
    """

    samples = (sample((2, 6), shape=[3, 2]), sample((2, 3, 4), shape=[2, -1]))

    shape: tuple[int, ...]

    def check_fields(self) -> None:
        if self.shape.count(-1) > 1:
            raise ValueError(f"shape: one length may be -1, not several, got {list(self.shape)}")
        wrong = [length for length in self.shape if length < -1]
        if wrong:
            raise ValueError(f"shape: a length is at least 0, or -1, got {wrong[0]}")

    def build(self, x: Spec) -> None:
        _resolve(self.shape, x.shape)

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *_resolve(self.shape, x.shape))


@layer("permute")
class Permute(Layer):
    """The axes of each sample in another order; the batch stays in front.

    z[n, j, i] = x[n, i, j]   (for axes [2, 1])

    Sequences are (batch, time, features) where recurrent layers and attention take them, and
    (batch, channels, length) where convolutions and pooling do: ``axes = [2, 1]`` turns each into
    the other.

    Attributes
    ----------
    axes : tuple of int
        Which axis of the input comes first behind the batch, which next …; counted as PyTorch's
        ``permute`` counts them, so that 1 is the first behind the batch. Each occurs once.
    """

    samples = (sample((2, 3, 4), axes=[2, 1]), sample((2, 3, 4, 5), axes=[-1, 1, 2]))

    axes: tuple[int, ...]

    def build(self, x: Spec) -> None:
        self._order(x.ndim)

    def forward(self, x: Tensor) -> Tensor:
        return ops.permute_dims(x, self._order(x.ndim))

    def _order(self, ndim: int) -> tuple[int, ...]:
        order = (0, *(normalize_axis(axis, ndim) for axis in self.axes))
        if sorted(order) != list(range(ndim)):
            raise ShapeError(
                f"axes are those behind the batch, 1 to {ndim - 1}, each once, "
                f"not {list(self.axes)}"
            )
        return order


@layer("slice")
class Slice(Layer):
    """A part of each sample along one axis: the first steps of a sequence, some of the features.

    z = x[:, start:stop]   (for axis 1)

    So a network can take several inputs out of the one that a dataset has.

    Attributes
    ----------
    start, stop : int
        The first element that is kept, and the first behind them; default 0, and all to the end.
        Negative numbers count from the end.
    axis : int
        Default 1. Not 0, the batch.
    """

    samples = (sample((2, 4), stop=3), sample((2, 3, 5), start=1, stop=-1, axis=-1))

    start: int = 0
    stop: int | None = None
    axis: int = 1

    def build(self, x: Spec) -> None:
        axis = normalize_axis(self.axis, x.ndim)
        if axis == 0:
            raise ShapeError(f"axis {self.axis} is the batch; take parts along another axis")
        first, behind, length = self._range(x.shape[axis])
        if not 0 <= first < behind <= length:
            stop = "" if self.stop is None else self.stop
            raise ShapeError(
                f"the part {self.start}:{stop} does not lie within axis {axis} of length {length}"
            )

    def forward(self, x: Tensor) -> Tensor:
        axis = normalize_axis(self.axis, x.ndim)
        first, behind, _ = self._range(x.shape[axis])
        return x[(*(slice(None),) * axis, slice(first, behind))]

    def _range(self, length: int) -> tuple[int, int, int]:
        """Return where the part begins and ends, and the length of the axis."""
        stop = length if self.stop is None else self.stop
        first, behind = (n + length if n < 0 else n for n in (self.start, stop))
        return first, behind, length


def _resolve(wanted: tuple[int, ...], batch: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a sample, with -1 replaced, that ``batch`` is brought to."""
    if not batch:
        raise ShapeError("it takes a batch, of shape (batch, ...), not a single number")
    size = math.prod(batch[1:])
    known = math.prod(length for length in wanted if length != -1)
    free = -1 in wanted
    if (known == 0 or size % known) if free else known != size:
        raise ShapeError(
            f"a sample of shape {batch[1:]} has {size} elements and cannot become {wanted}"
        )
    return tuple(size // known if length == -1 else length for length in wanted)
