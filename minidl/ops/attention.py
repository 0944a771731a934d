"""Attention, and the positions that it needs to be told of."""

from __future__ import annotations

import math
import operator
from typing import Any

from minidl.backends.dtypes import dtype_object
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph.node import Tensor
from minidl.graph.op import Draw, as_tensor, op, sample
from minidl.graph.spec import (
    DEFAULT_FLOAT,
    Spec,
    broadcast_shapes,
    check_dtype,
    is_float,
    normalize_axis,
)
from minidl.ops.activation import softmax
from minidl.ops.creation import arange, ones
from minidl.ops.random import dropout
from minidl.ops.reduction import refuse_empty


@op(
    "masked_softmax",
    autocast="float32",
    promoted=(0,),
    floating=True,
    samples=[
        sample((3, 4), [[True, True, False, True]]),
        sample((2, 3, 3), [[True, False, False], [True, True, False], [True, True, True]]),
        sample((3, 2), [[True, False], [False, False], [True, False]], axis=0),
        sample([[1e4, 0.0, -1e4], [2.0, 1.0, 0.0]], [[True, True, False], [False, False, False]]),
        sample((0, 3), Draw((3,), dtype="bool")),
    ],
)
class masked_softmax:
    """Softmax along an axis of the elements that a mask lets take part; the others become 0.

    z = m e^(x − t) / Σ m e^(x − t), where t = max(x where m)

    A row in which no element takes part, or all that do are −∞, is 0 everywhere, and so is its
    gradient.

    Parameters
    ----------
    x : Tensor
        Scores, of any size. What stands where the mask is false does not matter, even if it is
        infinite or NaN.
    mask : Tensor of bool
        True where an element takes part; broadcast to the shape of x.
    axis : int
        What each sum runs over.

    Raises
    ------
    ShapeError
        If there is no such axis, it has length 0, or the mask does not fit.
    """

    def normalize(x, mask, /, *, axis=-1):
        return {"axis": normalize_axis(axis, x.ndim)}

    def infer(x, mask, /, *, axis=-1):
        if mask.dtype != "bool":
            raise DtypeError(f"the mask must be bool, not {mask.dtype}")
        if _broadcast_or_none(x.shape, mask.shape) != x.shape:
            raise ShapeError(
                f"a mask of shape {mask.shape} does not broadcast to scores of shape {x.shape}"
            )
        refuse_empty(x, (axis,))
        return x

    def forward(xp, x, mask, *, axis):
        none = xp.full((), -math.inf, dtype=x.dtype)
        zero = xp.zeros((), dtype=x.dtype)
        scores = xp.where(mask, x, none)
        top = xp.max(scores, axis=axis, keepdims=True)
        powers = xp.exp(scores - xp.where(top == none, zero, top))
        total = xp.sum(powers, axis=axis, keepdims=True)
        return powers / xp.where(total == 0, xp.ones((), dtype=x.dtype), total)

    def backward(g, z, x, mask, *, axis):
        return z * (g - (g * z).sum(axis=axis, keepdims=True)), None

    def flops(z, x, mask, *, axis):
        return 6 * x.size


@op(
    "scaled_dot_product_attention",
    samples=[
        sample((3, 4), (5, 4), (5, 2)),
        sample((2, 3, 4), (2, 3, 4), (2, 3, 4), is_causal=True),
        sample((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3), scale=0.7),
        sample((2, 3), (4, 3), (4, 2), [[True, False, True, False], [False] * 4]),
        sample((2, 3), (2, 3), (2, 3), [[0.5, -math.inf], [-0.5, 1.0]]),
        sample((1, 4), (1, 4), (1, 4)),
        sample((0, 2, 3), (0, 2, 3), (0, 2, 3)),
    ],
)
class scaled_dot_product_attention:
    """Attention: each query gets the mean of the values, weighted by how its key matches it.

    z = softmax(scale · q @ k.T + mask) @ v

    q has shape (..., L, E), k (..., S, E) and v (..., S, E_v); the result has (..., L, E_v). The
    axes before the last two broadcast. Vaswani et al., "Attention is all you need", NeurIPS 2017.

    A query that no key is open to gets 0, and passes no gradient on, as in PyTorch.

    Parameters
    ----------
    query, key, value : Tensor
        Of one float dtype.
    attn_mask : Tensor, optional
        Broadcast to (..., L, S). Booleans are true where a query may look at a key; floats are
        added to the scores, and −∞ shuts a key out.
    dropout_p : float
        Probability with which a weight is dropped. Give 0 outside training.
    is_causal : bool
        Whether query i may look at keys 0 to i alone; if a mask is given too, both hold.
    scale : float, optional
        Default 1 / √E.
    random_key : Tensor, optional
        From the op ``random_key``; needed if ``dropout_p`` is above 0.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError
        If an input is not of a float dtype, or the mask is of integers.
    """

    def compose(
        query,
        key,
        value,
        /,
        attn_mask=None,
        dropout_p=0.0,
        is_causal=False,
        scale=None,
        *,
        random_key=None,
    ):
        scores_shape = _check_attention(query.spec, key.spec, value.spec)
        if dropout_p and random_key is None:
            raise GraphError(
                f"scaled_dot_product_attention: dropout_p = {dropout_p} needs random_key="
            )
        factor = 1 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
        scores = (query * factor) @ key.mT
        weights = _weights(scores, attn_mask, is_causal) if scores_shape[-1] else scores
        if dropout_p:
            weights = dropout(weights, random_key, p=dropout_p)
        return weights @ value


@op(
    "rope",
    floating=True,
    samples=[
        sample((3, 4)),
        sample((2, 3, 6), interleaved=True),
        sample((2, 2, 5, 2), base=100.0),
        sample((3, 4), inverse=True),
        sample((2, 0, 4)),
    ],
)
class rope:
    """Rotary position embedding: pairs of features are turned by an angle that grows with time.

    z = x · cos(θ) + r(x) · sin(θ), where θ at position t is t · base^(−2i/d) for the pair i

    r exchanges the two features (a, b) of a pair for (−b, a). So the product of a query and a key
    depends on their positions only through the difference. The gradient is turned back.
    Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021.

    Parameters
    ----------
    x : Tensor
        Queries or keys, of shape (..., time, d), d being even.
    base : float
        What the longest period grows with.
    interleaved : bool
        Whether a pair are neighbours, features 2i and 2i + 1, as in the paper; else they are
        features i and i + d/2. The name is that of ONNX.
    inverse : bool
        Whether to turn the other way.

    Raises
    ------
    ShapeError
        If x has fewer than two axes, or d is odd.
    """

    def normalize(x, /, *, base=10000.0, interleaved=False, inverse=False):
        return {
            "base": _base(base),
            "interleaved": bool(interleaved),
            "inverse": bool(inverse),
        }

    def infer(x, /, *, base=10000.0, interleaved=False, inverse=False):
        if x.ndim < 2:
            raise ShapeError(f"takes a value of shape (..., time, features), not {x.shape}")
        if x.shape[-1] % 2:
            raise ShapeError(f"turns pairs of features, but shape {x.shape} has {x.shape[-1]}")
        return x

    def forward(xp, x, *, base, interleaved, inverse):
        angles = _angles(xp, x.shape[-2], x.shape[-1], base)
        cos, sin = (xp.astype(part, x.dtype) for part in (xp.cos(angles), xp.sin(angles)))
        sin = -sin if inverse else sin
        half = x.shape[-1] // 2
        a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
        turned = (a * cos - b * sin, b * cos + a * sin)
        if interleaved:
            return xp.reshape(xp.stack(turned, axis=-1), x.shape)
        return xp.concat(turned, axis=-1)

    def backward(g, z, x, *, base, interleaved, inverse):
        return rope(g, base=base, interleaved=interleaved, inverse=not inverse)

    def flops(z, x, *, base, interleaved, inverse):
        return 3 * x.size


@op(
    "sinusoidal_positions",
    no_gradient="it has no inputs",
    samples=[
        sample(length=3, width=4),
        sample(length=5, width=3, base=100.0, dtype="float64"),
        sample(length=0, width=2),
    ],
)
class sinusoidal_positions:
    """A vector for each position, of sines and cosines of many frequencies.

    z = sin(t · base^(−2i/d)) at [t, 2i], and the cosine of the same at [t, 2i + 1]

    Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.5.

    Parameters
    ----------
    length : int
        How many positions t there are.
    width : int
        Length d of each vector.
    base : float
        What the longest period grows with.
    dtype : str
        A float dtype.
    """

    def normalize(*, length, width, base=10000.0, dtype=DEFAULT_FLOAT):
        return {
            "length": operator.index(length),
            "width": operator.index(width),
            "base": _base(base),
            "dtype": check_dtype(dtype),
        }

    def infer(*, length, width, base=10000.0, dtype=DEFAULT_FLOAT):
        if not is_float(dtype):
            raise DtypeError(f"sines have a float dtype, not {dtype}")
        if min(length, width) < 0:
            raise ShapeError(f"shape {(length, width)} has a negative length")
        return Spec((length, width), dtype)

    def forward(xp, *, length, width, base, dtype):
        angles = _angles(xp, length, width, base)
        pairs = xp.stack([xp.sin(angles), xp.cos(angles)], axis=-1)
        table = xp.reshape(pairs, (length, 2 * angles.shape[-1]))[:, :width]
        return xp.astype(table, dtype_object(xp, dtype))


def _base(base: float) -> float:
    if not 0 < base < math.inf:
        raise GraphError(f"base must be above 0 and finite, not {base}")
    return float(base)


def _angles(xp: Any, length: int, width: int, base: float) -> Any:
    """Return t · base^(−2i/width) for each position t and pair i, in float64."""
    pairs = xp.arange((width + 1) // 2, dtype=xp.float64)
    frequencies = xp.exp(pairs * (-2.0 * math.log(base) / max(width, 1)))
    positions = xp.reshape(xp.arange(length, dtype=xp.float64), (length, 1))
    return positions * frequencies


def _weights(scores: Tensor, mask: Any, is_causal: bool) -> Tensor:
    """Return the softmax of the scores, of those alone that the masks leave open."""
    queries, keys = scores.shape[-2:]
    allowed = None
    if mask is not None:
        mask = as_tensor(mask)
        _check_mask(mask.spec, scores.shape)
        if mask.dtype == "bool":
            allowed = mask
        else:
            # all take part: what masked_softmax adds to softmax is the rule for rows of −∞
            scores = scores + mask
            allowed = ones(scores.shape[-1], dtype="bool")
    if is_causal:
        causal = _causal(queries, keys)
        allowed = causal if allowed is None else allowed & causal
    if allowed is None:
        return softmax(scores)
    return masked_softmax(scores, allowed)


def _causal(queries, keys):
    return arange(queries).reshape(queries, 1) >= arange(keys)


def _check_attention(query: Spec, key: Spec, value: Spec) -> tuple[int, ...]:
    """Return the shape of the scores; raise ShapeError or DtypeError if inputs do not fit."""
    name = "scaled_dot_product_attention"
    for what, spec in (("query", query), ("key", key), ("value", value)):
        if not is_float(spec.dtype):
            raise DtypeError(f"{name}: {what} must be of a float dtype, not {spec.dtype}")
        if spec.ndim < 2:
            raise ShapeError(f"{name}: {what} has shape (..., time, features), not {spec.shape}")
    if query.shape[-1] != key.shape[-1] or not query.shape[-1]:
        raise ShapeError(
            f"{name}: queries of {query.shape[-1]} features do not match keys of "
            f"{key.shape[-1]} (shapes {query.shape} and {key.shape})"
        )
    if key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            f"{name}: there are {key.shape[-2]} keys and {value.shape[-2]} values "
            f"(shapes {key.shape} and {value.shape})"
        )
    try:
        batch = broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    except ShapeError as error:
        raise ShapeError(f"{name}: the axes before the last two: {error}") from None
    return (*batch, query.shape[-2], key.shape[-2])


def _check_mask(mask: Spec, scores: tuple[int, ...]) -> None:
    name = "scaled_dot_product_attention"
    if mask.dtype != "bool" and not is_float(mask.dtype):
        raise DtypeError(
            f"{name}: attn_mask is of booleans, true where a query may look, or of floats that "
            f"are added to the scores, not {mask.dtype}"
        )
    if _broadcast_or_none(mask.shape, scores) != scores:
        raise ShapeError(
            f"{name}: attn_mask of shape {mask.shape} does not broadcast to the scores' {scores}"
        )


def _broadcast_or_none(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    try:
        return broadcast_shapes(a, b)
    except ShapeError:
        return None
