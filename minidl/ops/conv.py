"""Convolutions: sums over windows of an image, their transposes and the gradient by the weight.

Three ops are each other's gradients: ``conv2d`` maps an image to a grid of windows,
``conv_transpose2d`` maps a grid back to an image, ``conv2d_weight_gradient`` correlates the two.
In all of them a weight has the shape (channels of the grid, channels of the image / groups,
height, width), and padding is kept as ((top, bottom), (left, right)).
"""

from __future__ import annotations

import operator
from typing import Any

from minidl.errors import DtypeError, ShapeError
from minidl.graph.op import op, sample
from minidl.graph.spec import Spec, is_float
from minidl.ops.shape import expand_dims, squeeze

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]

_LENGTHS = {3: "length", 4: "height, width"}
_SIDES = {
    1: ("padding of a sequence", "a number", "((before, after),)"),
    2: ("padding", "a number", "(height, width)", "((top, bottom), (left, right))"),
}


def _attributes(w, stride, padding, dilation, groups):
    """Return the attributes of a convolution in canonical form."""
    steps, reach = pair(stride, "stride", 1), pair(dilation, "dilation", 1)
    if w.ndim != 4:
        raise ShapeError(f"takes a weight of shape (out, in, height, width), not {w.shape}")
    return {
        "stride": steps,
        "padding": padding_pairs(padding, w.shape[2:], steps, reach),
        "dilation": reach,
        "groups": operator.index(groups),
    }


@op(
    "conv2d",
    autocast="low",
    samples=[
        sample((2, 3, 5, 6), (4, 3, 3, 2)),
        sample((2, 2, 6, 5), (3, 2, 3, 3), stride=2, padding=1),
        sample((1, 2, 7, 6), (2, 2, 3, 2), padding="same", dilation=(1, 2)),
        sample((2, 4, 4, 5), (6, 2, 2, 3), groups=2, padding=(0, 2)),
        sample((2, 3, 5, 5), (6, 1, 3, 3), groups=3, padding=1, stride=(1, 2)),
        sample((2, 3, 4, 4), (5, 3, 1, 1)),
        sample((2, 1, 6, 7), (2, 1, 2, 2), padding=((1, 2), (0, -1)), stride=3),
        sample((2, 2, 5, 5), (2, 2, 1, 2), stride=(3, 2), dilation=2),
        sample((0, 2, 4, 4), (3, 2, 3, 3)),
        sample((1, 1, 1, 1), (1, 1, 1, 1)),
    ],
)
class conv2d:
    """Convolution (cross-correlation, as PyTorch and ONNX have it) of images with a weight.

    z[n,o,i,j] = Σ_cpq x[n, c, i · s + p · d − top, j · s + q · d − left] · w[o,c,p,q]

    for a stride s and a dilation d, with x = 0 outside the image.

    Parameters
    ----------
    x : Tensor of floats, shape (batch, in, height, width)
    w : Tensor of floats, shape (out, in / groups, kernel height, kernel width)
    stride, dilation : int or (int, int)
        Steps between windows, and within a window.
    padding : int, (int, int), ((int, int), (int, int)), "same" or "valid"
        Zeros around the image: the same on all sides, (height, width), or ((top, bottom),
        (left, right)). Negative numbers cut. "same" keeps the size, with the odd zero at the
        end, and needs a stride of 1; "valid" is 0.
    groups : int
        Into how many groups the channels fall; each group of outputs sees its group of inputs.
        With as many groups as inputs it is a depthwise convolution.

    Raises
    ------
    ShapeError
        Where channels, groups or the size of the kernel do not fit.
    """

    def normalize(x, w, /, *, stride=1, padding=0, dilation=1, groups=1):
        return _attributes(w, stride, padding, dilation, groups)

    def infer(x, w, /, *, stride=1, padding=0, dilation=1, groups=1):
        _check_image(x)
        _check_weight(x, w, groups)
        grid = grid_size(x.shape[2:], w.shape[2:], stride, padding, dilation)
        return Spec((x.shape[0], w.shape[0], *grid), x.dtype)

    def forward(xp, x, w, *, stride, padding, dilation, groups):
        out, _, *kernel = w.shape
        grid = grid_size(x.shape[2:], kernel, stride, padding, dilation)
        columns = _columns(xp, x, kernel, stride, padding, dilation, groups, grid)
        weights = xp.reshape(w, (groups, out // groups, columns.shape[2]))
        return xp.reshape(xp.matmul(weights, columns), (x.shape[0], out, *grid))

    def backward(g, z, x, w, *, stride, padding, dilation, groups):
        sizes = x.shape[2:], w.shape[2:], stride, padding, dilation
        same = {"stride": stride, "dilation": dilation, "groups": groups}
        same["padding"] = _exact(*sizes, z.shape[2:])
        by_weight = conv2d_weight_gradient(x, g, kernel_size=w.shape[2:], **same)
        return conv_transpose2d(g, w, **same), by_weight

    def flops(z, x, w, *, stride, padding, dilation, groups):
        return 2 * z.size * (w.size // max(w.shape[0], 1))


@op(
    "conv_transpose2d",
    autocast="low",
    samples=[
        sample((2, 3, 4, 3), (3, 2, 3, 2)),
        sample((2, 2, 3, 4), (2, 3, 3, 3), stride=2, padding=1, output_padding=1),
        sample((1, 2, 4, 3), (2, 2, 2, 3), dilation=(2, 1), padding=(1, 0)),
        sample((2, 4, 3, 3), (4, 1, 2, 2), groups=2, stride=(1, 2)),
        sample((2, 3, 3, 4), (3, 1, 3, 3), groups=3, padding=1),
        sample((2, 3, 4, 4), (3, 5, 1, 1)),
        sample((1, 2, 2, 3), (2, 1, 1, 2), stride=3, output_padding=(2, 1)),
        sample((1, 2, 3, 3), (2, 1, 2, 2), dilation=3, output_padding=(2, 0)),
        sample((0, 2, 3, 3), (2, 3, 2, 2)),
    ],
)
class conv_transpose2d:
    """Transposed convolution: every element of a grid spread over its window of an image.

    z[n, c, i · s + p · d − top, j · s + q · d − left] = Σ x[n,o,i,j] · w[o,c,p,q]

    for a stride s and a dilation d, over all windows that reach the element. It is the gradient
    of ``conv2d`` by its image, for the same stride, padding and dilation.

    Parameters
    ----------
    x : Tensor of floats, shape (batch, in, height, width)
    w : Tensor of floats, shape (in, out / groups, kernel height, kernel width)
    stride, dilation : int or (int, int)
        Steps between windows, and within a window, of the result.
    padding : int, (int, int), ((int, int), (int, int)) or "valid"
        What is cut from the sides of the result; negative numbers add zeros there.
    output_padding : int or (int, int)
        Rows and columns that the result has more at the end, less than the stride or dilation;
        they are taken from the padding after.
    groups : int
        As for ``conv2d``.

    Raises
    ------
    ShapeError
        Where channels, groups or sizes do not fit.
    """

    def normalize(x, w, /, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
        _check_cut(padding)
        found = _attributes(w, stride, padding, dilation, groups)
        more = pair(output_padding, "output_padding", 0)
        for extra, step, reach in zip(more, found["stride"], found["dilation"], strict=True):
            if extra and extra >= max(step, reach):
                raise ShapeError(
                    f"output_padding {extra} must be less than the stride or the dilation, "
                    f"{step} and {reach}"
                )
        sides = zip(found["padding"], more, strict=True)
        found["padding"] = tuple((before, after - extra) for (before, after), extra in sides)
        return found

    def infer(x, w, /, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
        _check_image(x)
        size = _spread_size(x, w, stride, padding, dilation, groups)
        return Spec((x.shape[0], w.shape[1] * groups, *size), x.dtype)

    def forward(xp, x, w, *, stride, padding, dilation, groups):
        batch, channels, *grid = x.shape
        out, *kernel = w.shape[1:]
        weights = xp.reshape(w, (groups, channels // groups, out * kernel[0] * kernel[1]))
        rows = xp.reshape(x, (batch, groups, channels // groups, grid[0] * grid[1]))
        columns = xp.matmul(xp.matrix_transpose(weights), rows)
        columns = xp.reshape(columns, (batch, groups * out, *kernel, *grid))
        full = tuple(
            (n - 1) * s + (k - 1) * d + 1
            for n, k, s, d in zip(grid, kernel, stride, dilation, strict=True)
        )
        canvas = xp.zeros((batch, groups * out, *full), dtype=x.dtype)
        for p, q, window in windows(kernel, stride, dilation, grid):
            canvas[window] = canvas[window] + columns[:, :, p, q, :, :]
        cut = tuple((-before, -after) for before, after in padding)
        return bordered(xp, canvas, cut, 0.0)

    def backward(g, z, x, w, *, stride, padding, dilation, groups):
        same = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        by_weight = conv2d_weight_gradient(g, x, kernel_size=w.shape[2:], **same)
        return conv2d(g, w, **same), by_weight

    def flops(z, x, w, *, stride, padding, dilation, groups):
        return 2 * x.size * (w.size // max(w.shape[0], 1))


@op(
    "conv2d_weight_gradient",
    autocast="low",
    samples=[
        sample((2, 3, 5, 6), (2, 4, 3, 5), kernel_size=(3, 2)),
        sample((2, 2, 6, 5), (2, 3, 3, 3), kernel_size=3, stride=2, padding=1),
        sample((1, 2, 7, 6), (1, 2, 5, 4), kernel_size=(3, 2), dilation=(1, 2)),
        sample((2, 4, 4, 5), (2, 6, 3, 7), kernel_size=(2, 3), groups=2, padding=(0, 2)),
        sample((2, 3, 5, 5), (2, 6, 5, 5), kernel_size=3, groups=3, padding=1),
        sample((2, 3, 4, 4), (2, 2, 4, 4), kernel_size=1),
        sample((0, 2, 4, 4), (0, 3, 2, 2), kernel_size=3),
    ],
)
class conv2d_weight_gradient:
    """Correlation of images with grids: the gradient of ``conv2d`` by its weight.

    z[o,c,p,q] = Σ_nij g[n,o,i,j] · x[n, c, i · s + p · d − top, j · s + q · d − left]

    for a stride s and a dilation d.

    Parameters
    ----------
    x : Tensor of floats, shape (batch, in, height, width)
        The image.
    g : Tensor of floats, shape (batch, out, grid height, grid width)
        One element for each window.
    kernel_size : int or (int, int)
        Size of a window.
    stride, padding, dilation, groups
        As for ``conv2d``.
    """

    def normalize(x, g, /, *, kernel_size, stride=1, padding=0, dilation=1, groups=1):
        kernel = pair(kernel_size, "kernel_size", 1)
        weight = Spec((0, 0, *kernel), x.dtype)
        return {"kernel_size": kernel, **_attributes(weight, stride, padding, dilation, groups)}

    def infer(x, g, /, *, kernel_size, stride=1, padding=0, dilation=1, groups=1):
        _check_image(x)
        _check_image(g)
        _check_groups(x.shape[1], g.shape[1], groups)
        grid = grid_size(x.shape[2:], kernel_size, stride, padding, dilation)
        if g.shape[2:] != grid or g.shape[0] != x.shape[0]:
            raise ShapeError(
                f"windows on an input of shape {x.shape} make a grid of shape "
                f"{(x.shape[0], g.shape[1], *grid)}, not {g.shape}"
            )
        return Spec((g.shape[1], x.shape[1] // groups, *kernel_size), x.dtype)

    def forward(xp, x, g, *, kernel_size, stride, padding, dilation, groups):
        batch, out, *grid = g.shape
        columns = _columns(xp, x, kernel_size, stride, padding, dilation, groups, grid)
        length = grid[0] * grid[1]
        depth, samples = columns.shape[2], batch * length
        rows = xp.reshape(g, (batch, groups, out // groups, length))
        left = xp.reshape(xp.permute_dims(rows, (1, 2, 0, 3)), (groups, out // groups, samples))
        right = xp.reshape(xp.permute_dims(columns, (1, 0, 3, 2)), (groups, samples, depth))
        return xp.reshape(xp.matmul(left, right), (out, x.shape[1] // groups, *kernel_size))

    def backward(g_z, z, x, g, *, kernel_size, stride, padding, dilation, groups):
        same = {"stride": stride, "dilation": dilation, "groups": groups}
        same["padding"] = _exact(x.shape[2:], kernel_size, stride, padding, dilation, g.shape[2:])
        return conv_transpose2d(g, g_z, **same), conv2d(x, g_z, **same)

    def flops(z, x, g, *, kernel_size, stride, padding, dilation, groups):
        return 2 * g.size * (z.size // max(z.shape[0], 1))


@op(
    "conv1d",
    samples=[
        sample((2, 3, 7), (4, 3, 3), stride=2, padding=1),
        sample((2, 4, 6), (4, 1, 3), groups=4, padding="same"),
        sample((1, 2, 8), (3, 2, 2), dilation=3, padding=((2, 0),)),
    ],
)
class conv1d:
    """Convolution of sequences with a weight; see ``conv2d``.

    z[n,o,i] = Σ_cp x[n, c, i · s + p · d − before] · w[o,c,p],  for a stride s and a dilation d

    Parameters
    ----------
    x : Tensor of floats, shape (batch, in, length)
    w : Tensor of floats, shape (out, in / groups, kernel length)
    stride, dilation : int
    padding : int, ((int, int),), "same" or "valid"
        A pair is (before, after).
    groups : int
    """

    def compose(x, w, /, *, stride=1, padding=0, dilation=1, groups=1):
        _check_sequences(x, w)
        step, reach = single(stride, "stride", 1), single(dilation, "dilation", 1)
        (sides,) = padding_pairs(padding, w.shape[2:], (step,), (reach,))
        _check_weight(x, w, groups)
        grid_size(x.shape[2:], w.shape[2:], (step,), (sides,), (reach,))
        z = conv2d(
            expand_dims(x, axis=2),
            expand_dims(w, axis=2),
            stride=(1, step),
            padding=((0, 0), sides),
            dilation=(1, reach),
            groups=groups,
        )
        return squeeze(z, axis=2)


@op(
    "conv_transpose1d",
    samples=[
        sample((2, 3, 4), (3, 2, 3), stride=2, padding=1, output_padding=1),
        sample((2, 4, 3), (4, 1, 2), groups=4, dilation=2),
    ],
)
class conv_transpose1d:
    """Transposed convolution of sequences; see ``conv_transpose2d``.

    z[n, c, i · s + p · d − before] = Σ x[n,o,i] · w[o,c,p],  for a stride s and a dilation d

    Parameters
    ----------
    x : Tensor of floats, shape (batch, in, length)
    w : Tensor of floats, shape (in, out / groups, kernel length)
    stride, dilation, output_padding : int
    padding : int, ((int, int),) or "valid"
        A pair is (before, after).
    groups : int
    """

    def compose(x, w, /, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
        _check_sequences(x, w)
        _check_cut(padding)
        step, reach = single(stride, "stride", 1), single(dilation, "dilation", 1)
        ((before, after),) = padding_pairs(padding, w.shape[2:], (step,), (reach,))
        extra = single(output_padding, "output_padding", 0)
        _spread_size(x, w, (step,), ((before, after - extra),), (reach,), groups)
        z = conv_transpose2d(
            expand_dims(x, axis=2),
            expand_dims(w, axis=2),
            stride=(1, step),
            padding=((0, 0), (before, after)),
            output_padding=(0, extra),
            dilation=(1, reach),
            groups=groups,
        )
        return squeeze(z, axis=2)


# -- sizes -------------------------------------------------------------------------------------


def grid_size(size, kernel, stride, padding, dilation) -> Pair:
    """Return how many windows fit below and beside each other; raise ShapeError if none do."""
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    padded = [n + before + after for n, (before, after) in zip(size, padding, strict=True)]
    if min(kernel) < 1 or any(n < span for n, span in zip(padded, spans, strict=True)):
        words = "" if set(dilation) == {1} else f" with dilation {times(dilation)}"
        border = "" if tuple(padded) == tuple(size) else f" ({times(padded)} with its padding)"
        raise ShapeError(
            f"a kernel of {times(kernel)}{words} does not fit into an input of "
            f"{times(size)}{border}"
        )
    return tuple((n - k) // s + 1 for n, k, s in zip(padded, spans, stride, strict=True))


def _image_size(grid, kernel, stride, padding, dilation) -> Pair:
    return tuple(
        (n - 1) * s + (k - 1) * d + 1 - before - after
        for n, k, s, d, (before, after) in zip(grid, kernel, stride, dilation, padding, strict=True)
    )


def _spread_size(x, w, stride, padding, dilation, groups):
    """Return the size of a transposed convolution; raise ShapeError unless all fits."""
    _check_groups(x.shape[1], w.shape[1] * groups, groups)
    if w.shape[0] != x.shape[1]:
        raise ShapeError(
            f"an input with {x.shape[1]} channels takes a weight of shape "
            f"({x.shape[1]}, out / groups, {_LENGTHS[w.ndim]}), not {w.shape}"
        )
    if min(*x.shape[2:], *w.shape[2:]) < 1:
        raise ShapeError(
            f"takes an input and a kernel that have elements, not {times(x.shape[2:])} and "
            f"{times(w.shape[2:])}"
        )
    size = _image_size(x.shape[2:], w.shape[2:], stride, padding, dilation)
    if min(size) < 1:
        raise ShapeError(
            f"an input of {times(x.shape[2:])} and a kernel of {times(w.shape[2:])} make an "
            f"output of {times(size)} when padding {shown_sides(padding)} is cut from it"
        )
    return size


def _exact(size, kernel, stride, padding, dilation, grid) -> Padding:
    """Return the padding less the rows and columns at the end that no window reaches."""
    left = _image_size(grid, kernel, stride, padding, dilation)
    return tuple(
        (before, after - (n - m)) for (before, after), n, m in zip(padding, size, left, strict=True)
    )


def windows(kernel, stride, dilation, grid):
    """Yield each place (p, q) of a window and the key of the elements there, one a window."""
    for p in range(kernel[0]):
        for q in range(kernel[1]):
            starts = (p * dilation[0], q * dilation[1])
            places = zip(starts, stride, grid, strict=True)
            yield p, q, (..., *(slice(at, at + (n - 1) * s + 1, s) for at, s, n in places))


def bordered(xp: Any, x: Any, padding: Padding, value: float) -> Any:
    """Return images with a border of ``value``; what is negative is cut."""
    inner = [
        slice(max(-before, 0), n - max(-after, 0))
        for n, (before, after) in zip(x.shape[2:], padding, strict=True)
    ]
    x = x[(..., *inner)]
    if all(before <= 0 and after <= 0 for before, after in padding):
        return x
    sides = [(max(before, 0), max(after, 0)) for before, after in padding]
    size = [before + n + after for n, (before, after) in zip(x.shape[2:], sides, strict=True)]
    result = xp.full((*x.shape[:2], *size), value, dtype=x.dtype)
    places = [slice(before, before + n) for n, (before, _) in zip(x.shape[2:], sides, strict=True)]
    result[(..., *places)] = x
    return result


def _columns(xp, x, kernel, stride, padding, dilation, groups, grid):
    """Return what each window sees: (batch, groups, in / groups · kernel, grid)."""
    x = bordered(xp, x, padding, 0.0)
    seen = [x[window] for _, _, window in windows(kernel, stride, dilation, grid)]
    depth = x.shape[1] // groups * kernel[0] * kernel[1]
    return xp.reshape(xp.stack(seen, axis=2), (x.shape[0], groups, depth, grid[0] * grid[1]))


# -- arguments ---------------------------------------------------------------------------------


def pair(value: Any, name: str, least: int) -> Pair:
    """Return one number, or one for height and one for width, as two."""
    given = tuple(value) if isinstance(value, list | tuple) else (value, value)
    if len(given) != 2 or not all(hasattr(n, "__index__") and n >= least for n in given):
        raise ShapeError(f"{name} is a number or a pair of numbers from {least} on, not {value!r}")
    return operator.index(given[0]), operator.index(given[1])


def single(value: Any, name: str, least: int) -> int:
    """Return the one number that a sequence takes."""
    given = tuple(value) if isinstance(value, list | tuple) else (value,)
    if len(given) != 1 or not hasattr(given[0], "__index__") or given[0] < least:
        raise ShapeError(f"{name} of a sequence is one number from {least} on, not {value!r}")
    return operator.index(given[0])


def times(size: Any) -> str:
    """Return a size as in ``5 x 3``."""
    return " x ".join(str(n) for n in size)


def shown_sides(sides: Any) -> Any:
    """Return the padding of a sequence or an image as messages give it."""
    return sides if len(sides) > 1 else sides[0]


def padding_pairs(padding, kernel, stride, dilation) -> tuple[Pair, ...]:
    """Return what is given as padding as (before, after) of each axis of the kernel."""
    named = _named_sides(padding, kernel, stride, dilation)
    return named or side_pairs(padding, len(kernel), ("'same'", "'valid'"))


def _named_sides(padding, kernel, stride, dilation):
    """Return what "same" and "valid" mean along each axis, None for another padding."""
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding != "same":
        return None
    if set(stride) != {1}:
        raise ShapeError(
            f"padding 'same' needs a stride of 1, not {times(stride)}; give it as numbers"
        )
    totals = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def side_pairs(padding: Any, axes: int = 2, names: tuple[str, ...] = ()) -> tuple[Pair, ...]:
    """Return as (before, after) of each axis one number for all, or what each has.

    An axis has a number for both of its sides, or (before, after). ``names`` are other words that
    the message mentions.
    """
    given = (padding,) * axes if hasattr(padding, "__index__") else padding
    try:
        sides = tuple((n, n) if hasattr(n, "__index__") else tuple(n) for n in given)
        if isinstance(given, str) or [len(side) for side in sides] != [2] * axes:
            raise TypeError
        return tuple((operator.index(before), operator.index(after)) for before, after in sides)
    except TypeError:
        subject, *forms, last = *_SIDES[axes], *names
        raise ShapeError(f"{subject} is {', '.join(forms)} or {last}, not {padding!r}") from None


def _check_cut(padding: Any) -> None:
    if padding == "same":
        raise ShapeError("a transposed convolution takes padding as numbers, not 'same'")


def _check_image(x: Spec) -> None:
    if x.ndim != 4:
        raise ShapeError(f"takes images of shape (batch, channels, height, width), not {x.shape}")
    if not is_float(x.dtype):
        raise DtypeError(f"takes floats, not {x.dtype}; convert with astype")


def _check_sequences(x: Any, w: Any) -> None:
    for value in (x, w):
        if value.ndim != 3:
            raise ShapeError(
                f"takes sequences of shape (batch, channels, length) and a weight of "
                f"shape (out, in, length), not {x.shape} and {w.shape}"
            )


def _check_weight(x: Any, w: Any, groups: int) -> None:
    _check_groups(x.shape[1], w.shape[0], groups)
    if w.shape[1] * groups != x.shape[1]:
        raise ShapeError(
            f"an input with {x.shape[1]} channels in {groups} groups takes a weight of shape "
            f"(out, {x.shape[1] // groups}, {_LENGTHS[w.ndim]}), not {w.shape}"
        )


def _check_groups(inputs: int, outputs: int, groups: int) -> None:
    if groups < 1 or inputs % groups or outputs % groups:
        raise ShapeError(f"{inputs} channels in and {outputs} out do not fall into {groups} groups")
