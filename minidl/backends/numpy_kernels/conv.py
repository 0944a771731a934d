"""Kernels of the numpy backend for convolutions: windows laid out as columns, and one product.

The columns are made in two steps. The first shifts the image sideways: a strip for each place
along a window, holding what the windows see there in each row. The second shifts the strips
down, which moves runs of whole grids. They are made for some samples at a time, so that they stay
in the cache, in one of two orders: with channels first, one product serves all samples of a
block; with samples first, the product is written straight into the result, which is better where
the columns are few.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minidl.backends.base import kernel

Pair = tuple[int, int]
Block = tuple[slice, slice]
"""Samples, and rows of the grid."""

_BLOCK = 1 << 20
"""Elements of the columns that are made at a time."""


@kernel("numpy", "conv2d")
def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
    out: np.ndarray,
) -> np.ndarray:
    """The weight times the columns, block by block."""
    plan = _plan(x.shape, out.shape, w.shape[2:], stride, padding, dilation, groups)
    weights, room = plan.weights(w), _Room(x.dtype)
    for block in plan.blocks():
        strips = plan.strips(x, block, room)
        if plan.depthwise:
            _weigh(plan, strips, w, plan.part(out, block))
            continue
        columns = plan.columns(strips, block, room)
        if plan.samples_first and plan.is_whole(block):
            np.matmul(weights, columns, out=plan.load(out, block))
        else:
            plan.store(room.matmul(weights, columns), out, block)
    return out


@kernel("numpy", "conv_transpose2d")
def conv_transpose2d(
    x: np.ndarray,
    w: np.ndarray,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
    out: np.ndarray,
) -> np.ndarray:
    """The transposed weight times the grid makes columns, which are added into the image.

    With a stride of 1 it is a convolution with the turned kernel. That makes columns of the grid,
    which is quicker than adding those of the image up unless the grid has more channels.
    """
    plan = _plan(out.shape, x.shape, w.shape[2:], stride, padding, dilation, groups)
    if stride == (1, 1) and x.shape[1] <= out.shape[1]:
        by_group = w.reshape(groups, plan.outputs, *w.shape[1:]).swapaxes(1, 2)
        turned = np.ascontiguousarray(by_group[..., ::-1, ::-1])
        turned = turned.reshape(out.shape[1], plan.outputs, *w.shape[2:])
        down, along = ((k - 1) * d for k, d in zip(w.shape[2:], dilation, strict=True))
        (top, bottom), (left, right) = padding
        around = (down - top, down - bottom), (along - left, along - right)
        return conv2d(
            x, turned, stride=stride, padding=around, dilation=dilation, groups=groups, out=out
        )
    weights, room = plan.weights(w).swapaxes(-1, -2), _Room(x.dtype)
    out[...] = 0
    for block in plan.blocks():
        columns = room.matmul(weights, plan.load(x, block))
        plan.add_strips(plan.strips_of(columns, block, room), out, block)
    return out


@kernel("numpy", "conv2d_weight_gradient")
def conv2d_weight_gradient(
    x: np.ndarray,
    g: np.ndarray,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
    out: np.ndarray,
) -> np.ndarray:
    """The grid times the transposed columns, summed over blocks."""
    plan = _plan(x.shape, g.shape, kernel_size, stride, padding, dilation, groups, summed=True)
    out[...] = 0
    total, room = plan.weights(out), _Room(x.dtype)
    for block in plan.blocks():
        strips = plan.strips(x, block, room)
        if plan.depthwise:
            _correlate(plan, strips, plan.part(g, block), out)
            continue
        columns = plan.columns(strips, block, room)
        part = np.matmul(plan.load(g, block), columns.swapaxes(-1, -2))
        total += part.sum(axis=0) if plan.samples_first else part
    return out


class _Room:
    """Arrays that a kernel works in, kept from block to block: fresh memory costs page faults."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self._held: dict[str, np.ndarray] = {}

    def take(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return the array of that name; what it held is lost."""
        size = math.prod(shape)
        held = self._held.get(name)
        if held is None or held.size < size:
            held = self._held[name] = np.empty(size, self.dtype)
        return held[:size].reshape(shape)

    def matmul(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return a @ b, where a is broadcast over b."""
        out = self.take("product", (*b.shape[:-2], a.shape[-2], b.shape[-1]))
        return (np.multiply if a.shape[-1] == 1 else np.matmul)(a, b, out=out)


def _weigh(plan: _Plan, strips: np.ndarray, w: np.ndarray, out: np.ndarray) -> None:
    """Convolve one channel in and out of each group: rows of the kernel times all strips.

    Rows of the image where no window begins are computed too, so that whole channels are one run.
    """
    channels, breadth, samples, height, width = strips.shape
    flat = strips.reshape(channels, breadth, -1)
    total = np.matmul(w[:, :, 0], flat)[:, 0]
    for p in range(1, plan.kernel[0]):
        shift = p * plan.dilation[0] * width
        total[:, : total.shape[1] - shift] += np.matmul(w[:, :, p], flat[..., shift:])[:, 0]
    out[...] = total.reshape(channels, samples, height, width)[:, :, plan.begins(out.shape[2])]


def _correlate(plan: _Plan, strips: np.ndarray, grid: np.ndarray, out: np.ndarray) -> None:
    """Add to the weight of each channel the products of strips and grid: as ``_weigh`` does."""
    channels, breadth, samples, height, width = strips.shape
    flat = strips.reshape(channels, breadth, -1)
    spread = np.zeros((channels, samples, height, width), grid.dtype)
    spread[:, :, plan.begins(grid.shape[2])] = grid
    column = spread.reshape(channels, -1, 1)
    for p in range(plan.kernel[0]):
        shift = p * plan.dilation[0] * width
        part = np.matmul(flat[..., shift:], column[:, : column.shape[1] - shift])
        out[:, 0, p] += part[..., 0]


@lru_cache(maxsize=256)
def _plan(
    image: tuple[int, ...],
    grid: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
    summed: bool = False,
) -> _Plan:
    """Choose the order for some shapes; ``summed`` where the product sums over samples."""
    channels, outputs = image[1], grid[1]
    depth = channels // groups * kernel_size[0] * kernel_size[1]
    depthwise = groups > 1 and channels == outputs == groups
    pointwise = kernel_size == (1, 1) and stride == (1, 1) and grid[2:] == image[2:]
    few = not depthwise and (pointwise or depth * groups <= outputs)
    return _Plan(
        batch=image[0],
        channels=channels,
        image=(image[2], image[3]),
        grid=(grid[2], grid[3]),
        groups=groups,
        outputs=outputs // groups,
        kernel=kernel_size,
        stride=stride,
        dilation=dilation,
        origin=(padding[0][0], padding[1][0]),
        depthwise=depthwise,
        samples_first=few and (not summed or depth <= grid[2] * grid[3]),
    )


@dataclass(frozen=True)
class _Plan:
    """How images and grids of given shapes are cut into blocks and laid out.

    Blocks of both are viewed with channels before samples, whatever their order in memory.

    Attributes
    ----------
    image, grid : (int, int)
        Their sizes.
    outputs : int
        Channels of the grid in one group.
    origin : (int, int)
        Rows and columns of zeros before the image; negative where it is cut.
    depthwise : bool
        Whether each group has one channel of the image and one of the grid.
    """

    batch: int
    channels: int
    image: Pair
    grid: Pair
    groups: int
    outputs: int
    kernel: Pair
    stride: Pair
    dilation: Pair
    origin: Pair
    depthwise: bool
    samples_first: bool

    def blocks(self) -> Iterator[Block]:
        """Yield samples and rows of the grid whose columns are made together."""
        row = max(self.channels * self.kernel[0] * self.kernel[1] * self.grid[1], 1)
        rows = min(max(_BLOCK // row, 1), self.grid[0])
        many = max(_BLOCK // (row * self.grid[0]), 1)
        for sample in range(0, self.batch, many):
            samples = slice(sample, min(sample + many, self.batch))
            for first in range(0, self.grid[0], rows):
                yield samples, slice(first, min(first + rows, self.grid[0]))

    def begins(self, rows: int) -> slice:
        """Return the rows of the strips where windows begin."""
        return slice(0, (rows - 1) * self.stride[0] + 1, self.stride[0])

    def is_whole(self, block: Block) -> bool:
        """Whether a block has all rows."""
        return block[1] == slice(0, self.grid[0])

    def weights(self, w: np.ndarray) -> np.ndarray:
        """Return a weight as (groups, outputs, elements of a window)."""
        return w.reshape(self.groups, self.outputs, self._depth)

    # -- the grid ----------------------------------------------------------------------------

    def part(self, grid: np.ndarray, block: Block) -> np.ndarray:
        """View a block of a grid, channels before samples."""
        samples, rows = block
        return grid[samples, :, rows].swapaxes(0, 1)

    def load(self, grid: np.ndarray, block: Block) -> np.ndarray:
        """Return a block of a grid as a factor of a product."""
        part = grid[block[0], :, block[1]]
        if self.samples_first:
            return part.reshape(part.shape[0], self.groups, self.outputs, -1)
        return part.swapaxes(0, 1).reshape(self.groups, self.outputs, -1)

    def store(self, product: np.ndarray, out: np.ndarray, block: Block) -> None:
        """Write a product into its block of a grid."""
        part = self.part(out, block)
        part[...] = product.reshape(part.shape)

    # -- strips: (channels, kernel width, samples, rows of the padded image, grid width) -------

    def strips(self, x: np.ndarray, block: Block, room: _Room) -> np.ndarray:
        """Return the image shifted sideways, once for each column of a window."""
        samples, rows = block
        image = x[samples].swapaxes(0, 1)
        source, target = self._vertical(rows)
        if self._is_plain and target == slice(0, self._height(rows)):
            return image[:, None, :, source]
        strips = self._empty_strips(block, room)
        strips[:, :, :, : target.start] = 0
        strips[:, :, :, target.stop :] = 0
        for q in range(self.kernel[1]):
            columns, seen = self._horizontal(q)
            strip = strips[:, q, :, target]
            strip[..., : seen.start] = 0
            strip[..., seen.stop :] = 0
            strip[..., seen] = image[..., source, columns]
        return strips

    def add_strips(self, strips: np.ndarray, out: np.ndarray, block: Block) -> None:
        """Add strips to the columns of the image that they stand for."""
        samples, rows = block
        image = out[samples].swapaxes(0, 1)
        target, source = self._vertical(rows)
        for q in range(self.kernel[1]):
            columns, seen = self._horizontal(q)
            part = image[..., target, columns]
            np.add(part, strips[:, q, :, source, seen], out=part)

    def _empty_strips(self, block: Block, room: _Room) -> np.ndarray:
        samples, rows = block
        count, shape = samples.stop - samples.start, (self._height(rows), self.grid[1])
        if self.samples_first:
            strips = room.take("strips", (count, self.channels, self.kernel[1], *shape))
            return np.moveaxis(strips, 0, 2)
        return room.take("strips", (self.channels, self.kernel[1], count, *shape))

    # -- columns: (groups, elements of a window, samples · windows), or samples first ----------

    def columns(self, strips: np.ndarray, block: Block, room: _Room) -> np.ndarray:
        """Return strips shifted down, once for each row of a window."""
        samples, rows = block
        count, height = samples.stop - samples.start, rows.stop - rows.start
        channel, column, sample, row, element = strips.strides
        shape = (self.channels, *self.kernel, count, height, self.grid[1])
        by_place = (self.dilation[0] * row, column)
        steps = (self.stride[0] * row, element)
        seen = as_strided(strips, shape, (channel, *by_place, sample, *steps))
        length = height * self.grid[1]
        if self.samples_first:
            seen = np.moveaxis(seen, 3, 0)
            final: tuple[int, ...] = (count, self.groups, self._depth, length)
        else:
            final = (self.groups, self._depth, count * length)
        if seen.flags.c_contiguous:
            return seen.reshape(final)
        columns = room.take("columns", seen.shape)
        columns[...] = seen
        return columns.reshape(final)

    def strips_of(self, columns: np.ndarray, block: Block, room: _Room) -> np.ndarray:
        """Return the strips that columns add up to."""
        samples, rows = block
        count, height = samples.stop - samples.start, rows.stop - rows.start
        places, windows = (self.channels, *self.kernel), (height, self.grid[1])
        if self.samples_first:
            shaped = np.moveaxis(columns.reshape(count, *places, *windows), 0, 3)
        else:
            shaped = columns.reshape(*places, count, *windows)
        if self.kernel[0] == 1 and self.stride[0] == 1:
            return shaped[:, 0]
        strips = self._empty_strips(block, room)
        if self.stride[0] > 1:
            strips[...] = 0
        strips[:, :, :, height:] = 0
        strips[:, :, :, self.begins(height)] = shaped[:, 0]
        for p in range(1, self.kernel[0]):
            start = p * self.dilation[0]
            seen = slice(start, start + (height - 1) * self.stride[0] + 1, self.stride[0])
            target = strips[:, :, :, seen]
            np.add(target, shaped[:, p], out=target)
        return strips

    # -- places ------------------------------------------------------------------------------

    @property
    def _depth(self) -> int:
        """Elements in a window of one group."""
        return self.channels // self.groups * self.kernel[0] * self.kernel[1]

    @property
    def _is_plain(self) -> bool:
        """Whether the only strip is the image as it is."""
        fits = self.origin[1] == 0 and self.grid[1] == self.image[1]
        return self.kernel[1] == self.stride[1] == 1 and fits

    def _height(self, rows: slice) -> int:
        """Return how many rows of the padded image some rows of the grid reach."""
        reach = (self.kernel[0] - 1) * self.dilation[0] + 1
        return (rows.stop - rows.start - 1) * self.stride[0] + reach

    def _vertical(self, rows: slice) -> tuple[slice, slice]:
        """Return the rows of the image that rows of the grid reach, and where in the strips."""
        first = rows.start * self.stride[0] - self.origin[0]
        low = max(first, 0)
        high = max(min(first + self._height(rows), self.image[0]), low)
        return slice(low, high), slice(low - first, high - first)

    def _horizontal(self, q: int) -> tuple[slice, slice]:
        """Return the columns of the image that place ``q`` of windows sees, and which windows."""
        step, shift = self.stride[1], q * self.dilation[1] - self.origin[1]
        low = max(-(shift // step), 0)
        high = max(min((self.image[1] - 1 - shift) // step + 1, self.grid[1]), low)
        start = low * step + shift
        stop = start + (high - low - 1) * step + 1 if high > low else start
        return slice(start, stop, step), slice(low, high)
