"""Pooling: one number for each window of an image, and the gradients of that."""

from __future__ import annotations

import math
from typing import Any

from minidl.errors import ShapeError
from minidl.graph.leaves import tensor
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import Spec
from minidl.ops.conv import (
    bordered,
    grid_size,
    pair,
    shown_sides,
    side_pairs,
    single,
    times,
    windows,
)
from minidl.ops.shape import expand_dims, squeeze

_FIRST = "of equal maxima in a window the first, row by row, receives the gradient"


def _attributes(x, kernel_size, stride, padding, dilation, ceil_mode):
    """Return the attributes of a pooling in canonical form; ceil_mode becomes padding."""
    if x.ndim != 4:
        raise ShapeError(f"takes images of shape (batch, channels, height, width), not {x.shape}")
    kernel = pair(kernel_size, "kernel_size", 1)
    steps = kernel if stride is None else pair(stride, "stride", 1)
    reach = pair(dilation, "dilation", 1)
    sides = side_pairs(padding)
    _check_border(sides, padding)
    if ceil_mode:
        axes = zip(x.shape[2:], kernel, steps, sides, reach, strict=True)
        sides = tuple(_stretched(*axis) for axis in axes)
    return {"kernel_size": kernel, "stride": steps, "padding": sides, "dilation": reach}


def _check_border(sides, padding):
    if any(n < 0 for side in sides for n in side):
        raise ShapeError(f"padding {padding} is negative; cut with a slice instead")


def _stretched(n, kernel, stride, sides, dilation):
    """Return the padding of an axis, more at the end for a last window that begins inside."""
    before, after = sides
    span = (kernel - 1) * dilation + 1
    rest = n + before + after - span
    count = -(-rest // stride) + 1
    if (count - 1) * stride >= n + before:
        count -= 1
    return before, max(after, (count - 1) * stride + span - n - before)


def _pooled(x, kernel_size, stride, padding, dilation):
    grid = _check_windows(x.shape[2:], kernel_size, stride, padding, dilation)
    return x.with_shape((*x.shape[:2], *grid))


def _check_windows(size, kernel_size, stride, padding, dilation):
    """Return how many windows there are; raise ShapeError if one sees nothing but padding."""
    grid = grid_size(size, kernel_size, stride, padding, dilation)
    axes = zip(size, grid, kernel_size, stride, padding, dilation, strict=True)
    for n, count, kernel, step, (before, _), reach in axes:
        for start in range(-before, count * step - before, step):
            if not any(0 <= start + k * reach < n for k in range(kernel)):
                raise ShapeError(
                    f"padding {shown_sides(padding)} leaves a window of {times(kernel_size)} "
                    f"without any element of the input of {times(size)}"
                )
    return grid


def _distinct(*shape):
    return Draw(shape, distinct=True)


_MAX_ATTRIBUTES = [
    ((2, 2, 4, 6), {"kernel_size": 2}),
    ((1, 2, 5, 7), {"kernel_size": (3, 2), "stride": 2, "padding": 1}),
    ((1, 2, 6, 6), {"kernel_size": 3, "stride": 1}),
    ((1, 1, 7, 6), {"kernel_size": 2, "dilation": (2, 3), "stride": (1, 2)}),
    ((1, 2, 5, 5), {"kernel_size": 2, "ceil_mode": True}),
    ((1, 2, 7, 7), {"kernel_size": (1, 2), "stride": 3}),
    ((0, 2, 4, 4), {"kernel_size": 2}),
]


@op(
    "max_pool2d",
    floating=True,
    kink=_FIRST,
    samples=[
        *(sample(_distinct(*shape), **options) for shape, options in _MAX_ATTRIBUTES),
    ],
)
class max_pool2d:
    """Greatest element of each window; NaN where one is.

    z[n,c,i,j] = max over p and q of x[n, c, i · s + p · d − top, j · s + q · d − left]

    for a stride s and a dilation d.

    Parameters
    ----------
    x : Tensor of floats, shape (batch, channels, height, width)
    kernel_size : int or (int, int)
        Size of a window.
    stride : int or (int, int), optional
        Steps between windows; default the size of a window.
    padding : int, (int, int) or ((int, int), (int, int))
        −∞ around the image: on all sides, (height, width), or ((top, bottom), (left, right)).
    dilation : int or (int, int)
        Steps within a window.
    ceil_mode : bool
        Whether a last window that begins inside but does not fit counts too.

    Raises
    ------
    ShapeError
        If no window fits, or one would see nothing but padding.
    """

    def normalize(x, /, *, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        return _attributes(x, kernel_size, stride, padding, dilation, ceil_mode)

    def infer(x, /, *, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        return _pooled(x, kernel_size, stride, padding, dilation)

    def forward(xp, x, *, kernel_size, stride, padding, dilation):
        seen = _seen(xp, x, -math.inf, kernel_size, stride, padding, dilation)
        return xp.max(xp.stack(seen), axis=0)

    def backward(g, z, x, **attributes):
        return max_pool2d_gradient(g, x, **attributes)

    def flops(z, x, *, kernel_size, stride, padding, dilation):
        return z.size * kernel_size[0] * kernel_size[1]


def _winner(xp, x, kernel_size, stride, padding, dilation):
    """Return which place of each window holds the maximum: the first of equals, no border."""
    sizes = kernel_size, stride, padding, dilation
    seen = xp.stack(_seen(xp, x, -math.inf, *sizes))
    inside = xp.stack(_seen(xp, xp.ones_like(x), 0.0, *sizes)) > 0
    greatest = ~(seen < xp.max(seen, axis=0)) & inside
    return xp.argmax(xp.astype(greatest, xp.int8), axis=0)


def _seen(xp, x, border, kernel_size, stride, padding, dilation):
    """Return for each place of a window the elements there."""
    grid = grid_size(x.shape[2:], kernel_size, stride, padding, dilation)
    x = bordered(xp, x, padding, border)
    return [x[window] for _, _, window in windows(kernel_size, stride, dilation, grid)]


def _spread(xp, parts, size, kernel_size, stride, padding, dilation):
    """Return an image with the parts, one for each place of a window, added into it."""
    (top, bottom), (left, right) = padding
    first = parts[0]
    shape = (*first.shape[:2], top + size[0] + bottom, left + size[1] + right)
    canvas = xp.zeros(shape, dtype=first.dtype)
    places = windows(kernel_size, stride, dilation, first.shape[2:])
    for part, (_, _, window) in zip(parts, places, strict=True):
        canvas[window] = canvas[window] + part
    return canvas[:, :, top : top + size[0], left : left + size[1]]


@op(
    "max_pool2d_gradient",
    kink=_FIRST,
    samples=[
        sample((2, 2, 2, 3), _distinct(2, 2, 4, 6), kernel_size=2),
        sample((1, 2, 3, 4), _distinct(1, 2, 5, 7), kernel_size=(3, 2), stride=2, padding=1),
        sample((1, 2, 4, 4), _distinct(1, 2, 6, 6), kernel_size=3, stride=1),
        sample((1, 1, 5, 2), _distinct(1, 1, 7, 6), kernel_size=2, dilation=(2, 3), stride=(1, 2)),
        sample((1, 2, 3, 3), _distinct(1, 2, 5, 5), kernel_size=2, ceil_mode=True),
        sample((1, 2, 3, 2), _distinct(1, 2, 7, 7), kernel_size=(1, 2), stride=3),
    ],
)
class max_pool2d_gradient:
    """Numbers put where the maximum of each window is: the gradient of ``max_pool2d``.

    z[n,c,h,w] = Σ g[n,c,i,j] over the windows (i, j) whose maximum is x[n,c,h,w]

    Parameters
    ----------
    g : Tensor of floats
        One element for each window.
    x : Tensor of floats, shape (batch, channels, height, width)
        What was pooled.
    kernel_size, stride, padding, dilation, ceil_mode
        As for ``max_pool2d``.
    """

    def normalize(g, x, /, *, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        return _attributes(x, kernel_size, stride, padding, dilation, ceil_mode)

    def infer(g, x, /, *, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        grid = _pooled(x, kernel_size, stride, padding, dilation)
        if g.shape != grid.shape:
            raise ShapeError(
                f"windows on {x.shape} make a grid of shape {grid.shape}, not {g.shape}"
            )
        return x

    def forward(xp, g, x, **attributes):
        winner = _winner(xp, x, **attributes)
        height, width = attributes["kernel_size"]
        zero = xp.zeros((), dtype=g.dtype)
        parts = [xp.where(winner == place, g, zero) for place in range(height * width)]
        return _spread(xp, parts, x.shape[2:], **attributes)

    def backward(g_z, z, g, x, **attributes):
        return max_pool2d_take(g_z, x, **attributes), None

    def flops(z, g, x, *, kernel_size, stride, padding, dilation):
        return g.size * kernel_size[0] * kernel_size[1]


@op(
    "max_pool2d_take",
    kink=_FIRST,
    samples=[
        sample((2, 2, 4, 6), _distinct(2, 2, 4, 6), kernel_size=2),
        sample((1, 2, 5, 7), _distinct(1, 2, 5, 7), kernel_size=(3, 2), stride=2, padding=1),
        sample((1, 2, 5, 5), _distinct(1, 2, 5, 5), kernel_size=2, ceil_mode=True),
    ],
)
class max_pool2d_take:
    """Elements of one image from where another has the maximum of each window.

    z[n,c,i,j] = v[n,c,h,w] where x[n,c,h,w] is the maximum of the window (i, j)

    Parameters
    ----------
    v, x : Tensor of floats, shape (batch, channels, height, width)
    kernel_size, stride, padding, dilation, ceil_mode
        As for ``max_pool2d``.
    """

    def normalize(v, x, /, *, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        return _attributes(x, kernel_size, stride, padding, dilation, ceil_mode)

    def infer(v, x, /, *, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        if v.shape != x.shape:
            raise ShapeError(f"takes two images of one shape, not {v.shape} and {x.shape}")
        return _pooled(x, kernel_size, stride, padding, dilation)

    def forward(xp, v, x, **attributes):
        winner = _winner(xp, x, **attributes)
        seen = _seen(xp, v, 0.0, **attributes)
        z = xp.zeros_like(seen[0])
        for place, part in enumerate(seen):
            z = xp.where(winner == place, part, z)
        return z

    def backward(g, z, v, x, **attributes):
        return max_pool2d_gradient(g, x, **attributes), None

    def flops(z, v, x, *, kernel_size, stride, padding, dilation):
        return z.size * kernel_size[0] * kernel_size[1]


@op(
    "sum_pool2d",
    floating=True,
    samples=[
        sample((2, 2, 4, 6), kernel_size=2),
        sample((1, 2, 5, 7), kernel_size=(3, 2), stride=2, padding=1),
        sample((1, 2, 6, 6), kernel_size=3, stride=1),
        sample((1, 2, 5, 5), kernel_size=2, ceil_mode=True),
        sample((1, 2, 7, 7), kernel_size=(1, 2), stride=3),
        sample((0, 2, 4, 4), kernel_size=2),
    ],
)
class sum_pool2d:
    """Sum of each window.

    z[n,c,i,j] = Σ_pq x[n, c, i · s + p − top, j · s + q − left],  for a stride s

    Parameters
    ----------
    x : Tensor of floats, shape (batch, channels, height, width)
    kernel_size, stride, padding, ceil_mode
        As for ``max_pool2d``; padding is with zeros.
    """

    def normalize(x, /, *, kernel_size, stride=None, padding=0, ceil_mode=False):
        found = _attributes(x, kernel_size, stride, padding, 1, ceil_mode)
        return {name: value for name, value in found.items() if name != "dilation"}

    def infer(x, /, *, kernel_size, stride=None, padding=0, ceil_mode=False):
        return _pooled(x, kernel_size, stride, padding, (1, 1))

    def forward(xp, x, *, kernel_size, stride, padding):
        seen = _seen(xp, x, 0.0, kernel_size, stride, padding, (1, 1))
        return xp.sum(xp.stack(seen), axis=0)

    def backward(g, z, x, **attributes):
        return sum_pool2d_gradient(g, size=x.shape[2:], **attributes)

    def flops(z, x, *, kernel_size, stride, padding):
        return z.size * kernel_size[0] * kernel_size[1]


@op(
    "sum_pool2d_gradient",
    samples=[
        sample((2, 2, 2, 3), kernel_size=2, size=(4, 6)),
        sample((1, 2, 3, 4), kernel_size=(3, 2), stride=2, padding=1, size=(5, 7)),
        sample((1, 2, 4, 4), kernel_size=3, stride=1, size=(6, 6)),
        sample((1, 2, 3, 3), kernel_size=2, padding=((0, 1), (0, 1)), size=(5, 5)),
        sample((1, 2, 3, 2), kernel_size=(1, 2), stride=3, size=(7, 7)),
    ],
)
class sum_pool2d_gradient:
    """Numbers added to all elements of their window: the gradient of ``sum_pool2d``.

    z[n,c,h,w] = Σ g[n,c,i,j] over the windows (i, j) that x[n,c,h,w] is in

    Parameters
    ----------
    g : Tensor of floats
        One element for each window.
    size : (int, int)
        Height and width of what was pooled.
    kernel_size, stride, padding
        As for ``sum_pool2d``.
    """

    def normalize(g, /, *, size, kernel_size, stride=None, padding=0):
        image = Spec((*g.shape[:2], *pair(size, "size", 1)), g.dtype)
        found = _attributes(image, kernel_size, stride, padding, 1, False)
        return {"size": image.shape[2:]} | {n: v for n, v in found.items() if n != "dilation"}

    def infer(g, /, *, size, kernel_size, stride=None, padding=0):
        image = g.with_shape((*g.shape[:2], *size))
        grid = _pooled(image, kernel_size, stride, padding, (1, 1))
        if g.shape != grid.shape:
            raise ShapeError(f"windows on {size} make a grid of shape {grid.shape}, not {g.shape}")
        return image

    def forward(xp, g, *, size, kernel_size, stride, padding):
        parts = [g] * (kernel_size[0] * kernel_size[1])
        return _spread(xp, parts, size, kernel_size, stride, padding, (1, 1))

    def backward(g_z, z, g, *, size, **attributes):
        return sum_pool2d(g_z, **attributes)

    def flops(z, g, *, size, kernel_size, stride, padding):
        return g.size * kernel_size[0] * kernel_size[1]


@op(
    "avg_pool2d",
    samples=[
        sample((2, 2, 4, 6), kernel_size=2),
        sample((1, 2, 5, 7), kernel_size=(3, 2), stride=2, padding=1),
        sample((1, 2, 5, 7), kernel_size=3, stride=2, padding=1, count_include_pad=False),
        sample((1, 2, 5, 5), kernel_size=2, ceil_mode=True),
    ],
)
class avg_pool2d:
    """Mean of each window.

    z[n,c,i,j] = Σ_pq x[n, c, i · s + p − top, j · s + q − left] / (elements counted)

    Parameters
    ----------
    x : Tensor of floats, shape (batch, channels, height, width)
    kernel_size, stride, padding, ceil_mode
        As for ``max_pool2d``; padding is with zeros.
    count_include_pad : bool
        Whether padding counts. What ``ceil_mode`` adds never does.
    """

    def compose(
        x, /, *, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
    ):
        total = sum_pool2d(
            x, kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode
        )
        kernel, steps = total.attributes["kernel_size"], total.attributes["stride"]
        sides = side_pairs(padding)
        axes = zip(x.shape[2:], total.shape[2:], kernel, steps, sides, strict=True)
        down, along = (_counts(*axis, count_include_pad) for axis in axes)
        if len(set(down)) == len(set(along)) == 1:
            return total / (down[0] * along[0])
        counts = [[float(a * b) for b in along] for a in down]
        return total / tensor(counts, x.dtype, name="counts")


def _counts(n, windows_along, kernel, stride, sides, count_include_pad):
    """Return for each window how many elements count, along one axis."""
    before, after = sides if count_include_pad else (0, 0)
    starts = [i * stride - sides[0] for i in range(windows_along)]
    return [min(s + kernel, n + after) - max(s, -before) for s in starts]


@op(
    "max_pool1d",
    kink=_FIRST,
    samples=[
        sample(_distinct(2, 2, 7), kernel_size=2),
        sample(_distinct(1, 2, 7), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    ],
)
class max_pool1d:
    """Greatest element of each window of a sequence; see ``max_pool2d``.

    z[n,c,i] = max over p of x[n, c, i · s + p · d − before],  for a stride s and a dilation d

    Parameters
    ----------
    x : Tensor of floats, shape (batch, channels, length)
    kernel_size, stride, padding, dilation : int
    ceil_mode : bool
    """

    def compose(x, /, *, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        reach = single(dilation, "dilation", 1)
        image, options = _flat(x, kernel_size, stride, padding, reach, ceil_mode)
        z = max_pool2d(image, dilation=(1, reach), **options)
        return squeeze(z, axis=2)


@op(
    "avg_pool1d",
    samples=[
        sample((2, 2, 7), kernel_size=2),
        sample((1, 2, 7), kernel_size=3, stride=2, padding=1, count_include_pad=False),
    ],
)
class avg_pool1d:
    """Mean of each window of a sequence; see ``avg_pool2d``.

    z[n,c,i] = Σ_p x[n, c, i · s + p − before] / (elements counted),  for a stride s

    Parameters
    ----------
    x : Tensor of floats, shape (batch, channels, length)
    kernel_size, stride, padding : int
    ceil_mode, count_include_pad : bool
    """

    def compose(
        x, /, *, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
    ):
        image, options = _flat(x, kernel_size, stride, padding, 1, ceil_mode)
        z = avg_pool2d(image, count_include_pad=count_include_pad, **options)
        return squeeze(z, axis=2)


def as_image(x: Any) -> Any:
    """Return sequences as images of height 1."""
    if x.ndim != 3:
        raise ShapeError(f"takes sequences of shape (batch, channels, length), not {x.shape}")
    return expand_dims(x, axis=2)


def _flat(
    x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: int, ceil_mode: bool
) -> tuple[Any, dict[str, Any]]:
    """Return sequences as images of height 1, and the options of their pooling as of images."""
    image = as_image(x)
    kernel = single(kernel_size, "kernel_size", 1)
    step = kernel if stride is None else single(stride, "stride", 1)
    (sides,) = side_pairs(padding, 1)
    _check_border((sides,), padding)
    length = x.shape[2]
    full = _stretched(length, kernel, step, sides, dilation) if ceil_mode else sides
    _check_windows((length,), (kernel,), (step,), (full,), (dilation,))
    options = {"kernel_size": (1, kernel), "stride": (1, step), "padding": ((0, 0), sides)}
    return image, {**options, "ceil_mode": ceil_mode}
