"""Normalisation: values brought to mean 0 and variance 1, or to mean square 1, over some axes."""

from __future__ import annotations

import math

from minidl.errors import ShapeError
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import Spec, normalize_axes
from minidl.ops.elementwise import sqrt, square
from minidl.ops.reduction import mean, refuse_empty, var


def affine(z, weight, bias, shape):
    """Return z * weight + bias, both of them in ``shape``; None for one that there is not."""
    if weight is not None:
        z = z * (weight if weight.shape == shape else weight.reshape(shape))
    if bias is not None:
        z = z + (bias if bias.shape == shape else bias.reshape(shape))
    return z


def along_channels(x):
    """Return the shape in which a value for each channel broadcasts to ``x``, (N, C, …)."""
    return (x.shape[1], *(1 for _ in x.shape[2:]))


@op(
    "standardize",
    autocast="float32",
    floating=True,
    samples=[
        sample((3, 4), axis=1),
        sample((5, 3), axis=0, eps=0.1),
        sample((3, 2, 4), axis=(0, 2)),
        sample((2, 3, 2, 3), axis=(0, 2, 3), eps=1e-3),
        sample((2, 3, 4), axis=(1, 2), eps=0.1),
        sample((2, 4, 3), axis=1, eps=0.1),
        sample((2, 2, 2, 2), axis=(0, 2), eps=0.1),
        sample((3, 4), axis=(0, 1)),
        sample((3, 1), axis=1, eps=1.0),
        sample((0, 4), axis=1),
        sample((3, 4), axis=1, centred=False),
        sample((2, 3, 4), axis=(1, 2), centred=False, eps=0.1),
        sample((3, 4), axis=0, centred=False, eps=1e-7),
    ],
)
class standardize:
    """Mean 0 and variance 1 over axes; without ``centred`` mean square 1 alone.

    z = (x − μ) / √(σ² + eps)

    μ and σ² are mean and variance over the axes; without ``centred`` μ = 0, so that σ² is the
    mean square. It is computed in two passes, with what rounding took from the mean taken off
    afterwards: a mean of 1e5 costs no digits, neither here nor in the gradient.

    Parameters
    ----------
    x : Tensor
        Integers are converted to float32.
    axis : int or tuple of int
        What mean and variance are taken over; default the last axis.
    eps : float
        Added to the variance.
    centred : bool
        Whether the mean is subtracted.

    Raises
    ------
    ShapeError
        If there is no such axis, or no element along it.
    """

    def normalize(x, /, *, axis=-1, eps=1e-5, centred=True):
        axes = normalize_axes(axis, x.ndim)
        return {"axis": axes, "eps": float(eps), "centred": bool(centred)}

    def infer(x, /, *, axis=-1, eps=1e-5, centred=True):
        refuse_empty(x, axis)
        return x

    def forward(xp, x, *, axis, eps, centred):
        over = {"axis": axis, "keepdims": True}
        if centred:
            x = x - xp.mean(x, **over)
            x = x - xp.mean(x, **over)
        return x / xp.sqrt(xp.mean(x * x, **over) + eps)

    def backward(g, z, x, *, axis, eps, centred):
        over = {"axis": axis, "keepdims": True}
        if centred:
            g = g - mean(g, **over)
        spread = var(x, **over) if centred else mean(square(x), **over)
        return norm_gradient(g, z, 1 / sqrt(spread + eps), axis=axis)

    def flops(z, x, *, axis, eps, centred):
        return (7 if centred else 4) * x.size


@op(
    "norm_gradient",
    autocast="float32",
    floating=True,
    notation="r * (g - z * mean(g * z, axis=axis, keepdims=True))",
    samples=[
        sample((3, 4), (3, 4), (3, 1), axis=1),
        sample((5, 3), (5, 3), (1, 3), axis=0),
        sample((2, 3, 2, 3), (2, 3, 2, 3), (1, 3, 1, 1), axis=(0, 2, 3)),
        sample((2, 2, 2, 2), (2, 2, 2, 2), (1, 2, 1, 2), axis=(0, 2)),
        sample((3, 4), (3, 4), (1, 1), axis=(0, 1)),
        sample((0, 4), (0, 4), (0, 1), axis=1),
    ],
)
class norm_gradient:
    """What is left of g along the sphere on which z has mean square 1, scaled by r.

    z' = r * (g − z * mean(g * z))

    It is the gradient of x * r, where r = 1/√(mean(x²) + eps), in one pass over memory: the
    gradient of every normalisation.

    Parameters
    ----------
    g, z : Tensor
        The gradient that arrives and the normalised value, of one shape.
    r : Tensor
        By what z was scaled: of length 1 along ``axis``.
    axis : int or tuple of int
        What was normalised over.

    Raises
    ------
    ShapeError
        If the shapes do not go together so.
    """

    def normalize(g, z, r, /, *, axis):
        return {"axis": normalize_axes(axis, g.ndim)}

    def infer(g, z, r, /, *, axis):
        scale = tuple(1 if i in axis else n for i, n in enumerate(g.shape))
        if z.shape != g.shape or r.shape != scale:
            raise ShapeError(
                f"g of shape {g.shape} needs z of the same shape and r of shape {scale}, "
                f"not {z.shape} and {r.shape}"
            )
        refuse_empty(g, axis)
        return g

    def forward(xp, g, z, r, *, axis):
        return r * (g - z * xp.mean(g * z, axis=axis, keepdims=True))

    def backward(h, _, g, z, r, *, axis):
        of_g = mean(g * z, axis=axis, keepdims=True)
        of_h = mean(h * z, axis=axis, keepdims=True)
        return norm_gradient(h, z, r, axis=axis), -r * (h * of_g + g * of_h), h * (g - z * of_g)

    def flops(z, g, normalized, r, *, axis):
        return 5 * g.size


@op(
    "layer_norm",
    samples=[
        sample((3, 4), (4,), (4,)),
        sample((2, 3, 4), (3, 4), (3, 4), eps=0.1),
        sample((2, 3, 4), (4,), (4,)),
        sample((0, 4), (4,), (4,)),
    ],
)
class layer_norm:
    """Layer normalisation: each sample by its own mean and variance over the last axes.

    z = γ * (x − μ) / √(σ² + eps) + β

    Ba, Kiros & Hinton, "Layer normalization", 2016.

    Parameters
    ----------
    x : Tensor
        Of any shape (…, features).
    weight, bias : Tensor
        γ and β, of one shape: that of the last axes of x, over which μ and σ² are taken.
    eps : float
        Added to the variance.

    Raises
    ------
    ShapeError
        If weight or bias do not have the shape of the last axes of x.
    """

    def compose(x, weight, bias, /, *, eps=1e-5):
        last = x.shape[x.ndim - weight.ndim :] if weight.ndim <= x.ndim else ()
        if not weight.ndim or weight.shape != last or bias.shape != last:
            raise ShapeError(
                f"layer_norm: weight and bias have the shape of the last axes of x, which is of "
                f"shape {x.shape}; not {weight.shape} and {bias.shape}"
            )
        axes = tuple(range(x.ndim - weight.ndim, x.ndim))
        return affine(standardize(x, axis=axes, eps=eps), weight, bias, last)


@op(
    "rms_norm",
    samples=[
        sample((3, 4), (4,)),
        sample((2, 3, 4), (3, 4), eps=0.1),
        sample((0, 4), (4,)),
    ],
)
class rms_norm:
    """Root mean square normalisation over the last axes; nothing is subtracted.

    z = γ * x / √(mean(x²) + eps)

    Zhang & Sennrich, "Root mean square layer normalization", 2019.

    Parameters
    ----------
    x : Tensor
        Of any shape (…, features).
    weight : Tensor
        γ, of the shape of the last axes of x, over which the mean is taken.
    eps : float, optional
        Added to the mean square; default the distance from 1 to the next number of the dtype.

    Raises
    ------
    ShapeError
        If weight does not have the shape of the last axes of x.
    """

    def compose(x, weight, /, *, eps=None):
        last = x.shape[x.ndim - weight.ndim :] if weight.ndim <= x.ndim else ()
        if not weight.ndim or weight.shape != last:
            raise ShapeError(
                f"rms_norm: weight has the shape of the last axes of x, which is of shape "
                f"{x.shape}; not {weight.shape}"
            )
        axes = tuple(range(x.ndim - weight.ndim, x.ndim))
        return affine(scale_to_one(x, axes, eps), weight, None, last)


def scale_to_one(x, axes, eps):
    """Return ``x`` with mean square 1 over ``axes``; without ``eps`` that of the dtype."""
    eps = _EPSILON.get(x.dtype, _EPSILON["float32"]) if eps is None else eps
    return standardize(x, axis=axes, eps=eps, centred=False)


_EPSILON = {"bfloat16": 2.0**-7, "float16": 2.0**-10, "float32": 2.0**-23, "float64": 2.0**-52}
"""The distance from 1 to the next number."""


@op(
    "group_norm",
    samples=[
        sample((2, 4, 3), (4,), (4,), num_groups=2),
        sample((2, 6), (6,), (6,), num_groups=3, eps=0.1),
        sample((1, 4, 2, 2), (4,), (4,), num_groups=1),
        sample((0, 4, 2), (4,), (4,), num_groups=2),
    ],
)
class group_norm:
    """Group normalisation: the channels of each sample in groups, by each group's statistics.

    z = γ * (x − μ) / √(σ² + eps) + β

    Wu & He, "Group normalization", 2018.

    Parameters
    ----------
    x : Tensor
        Of shape (N, C, …).
    weight, bias : Tensor
        γ and β, one for each channel.
    num_groups : int
        How many groups of C / num_groups channels, one behind the other.
    eps : float
        Added to the variance.

    Raises
    ------
    ShapeError
        If the number of groups does not divide that of the channels, or there are not as many
        weights as channels.
    """

    def compose(x, weight, bias, /, *, num_groups, eps=1e-5):
        check_channels("group_norm", x, weight, bias)
        return affine(by_groups(x, num_groups, eps), weight, bias, along_channels(x))


def by_groups(x, num_groups, eps):
    """Return ``x``, (N, C, …), standardised over each of ``num_groups`` groups of its channels."""
    if x.ndim < 2 or num_groups < 1 or x.shape[1] % num_groups:
        channels = f"the {x.shape[1]} channels of" if x.ndim > 1 else "the channels, axis 1, of"
        raise ShapeError(f"group_norm: {num_groups} groups do not divide {channels} {x.shape}")
    rows = x.reshape(x.shape[0], num_groups, math.prod(x.shape[1:]) // num_groups)
    return standardize(rows, axis=2, eps=eps).reshape(x.shape)


@op(
    "instance_norm",
    samples=[
        sample((2, 3, 4), (3,), (3,)),
        sample((1, 2, 3, 2), (2,), (2,), eps=0.1),
        sample((0, 2, 3), (2,), (2,)),
    ],
)
class instance_norm:
    """Instance normalisation: each channel of each sample by its own statistics.

    z = γ * (x − μ) / √(σ² + eps) + β

    Ulyanov, Vedaldi & Lempitsky, "Instance normalization: the missing ingredient for fast
    stylization", 2016.

    Parameters
    ----------
    x : Tensor
        Of shape (N, C, …), with at least one axis behind the channels.
    weight, bias : Tensor
        γ and β, one for each channel.
    eps : float
        Added to the variance.

    Raises
    ------
    ShapeError
        If x has fewer than three axes, or there are not as many weights as channels.
    """

    def compose(x, weight, bias, /, *, eps=1e-5):
        check_channels("instance_norm", x, weight, bias)
        return affine(by_instance(x, eps), weight, bias, along_channels(x))


def by_instance(x, eps):
    """Return ``x``, (N, C, L, …), standardised over all axes from the third on."""
    if x.ndim < 3:
        raise ShapeError(f"instance_norm: takes a value of shape (N, C, L, …), not {x.shape}")
    return standardize(x, axis=tuple(range(2, x.ndim)), eps=eps)


@op(
    "batch_norm",
    samples=[
        sample((3, 2), (2,), Draw((2,), 0.5, 2), (2,), (2,)),
        sample((2, 3, 4), (3,), Draw((3,), 0.5, 2), (3,), (3,), eps=0.1),
        sample((0, 2, 1, 1), (2,), Draw((2,), 0.5, 2), (2,), (2,)),
    ],
)
class batch_norm:
    """Batch normalisation by statistics that are given, as at inference.

    z = γ * (x − μ) / √(σ² + eps) + β

    Ioffe & Szegedy, "Batch normalization: accelerating deep network training by reducing internal
    covariate shift", 2015. In training the layer of this name takes μ and σ² from the batch.

    Parameters
    ----------
    x : Tensor
        Of shape (N, C, …).
    mean, var : Tensor
        μ and σ², one for each channel.
    weight, bias : Tensor
        γ and β, one for each channel.
    eps : float
        Added to the variance.

    Raises
    ------
    ShapeError
        If there are not as many of each as channels.
    """

    def compose(x, mean, var, weight, bias, /, *, eps=1e-5):
        check_channels("batch_norm", x, mean, var, weight, bias)
        return by_statistics(x, mean, var, weight, bias, eps)


def by_statistics(x, mean, var, weight, bias, eps):
    """Return ``x``, (N, C, …), normalised by a mean and a variance for each channel."""
    # the mean first: x * scale less mean * scale would cancel where both are large
    rest = x - mean.reshape(along_channels(x))
    scale = 1 / sqrt(var + eps)
    return affine(rest, scale if weight is None else weight * scale, bias, along_channels(x))


def check_channels(name: str, x: Spec, *values: Spec) -> None:
    """Raise ShapeError unless each of ``values`` is one number for each channel of ``x``."""
    if x.ndim < 2:
        raise ShapeError(f"{name}: takes a value of shape (N, C, …), not {x.shape}")
    for value in values:
        if value.shape != (x.shape[1],):
            raise ShapeError(
                f"{name}: {x.shape[1]} channels, axis 1 of {x.shape}, need values of shape "
                f"({x.shape[1]},), not {value.shape}"
            )
