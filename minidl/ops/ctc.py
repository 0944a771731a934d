"""Connectionist temporal classification: the loss of labels whose places in time are unknown.

The sum over all alignments is a recursion along time, and so is its gradient. Two ops hold the
recursions: one in logarithms, which cannot underflow, and a linear one, whose gradient is itself
again; so derivatives of any order follow.
"""

from __future__ import annotations

import math

from minidl.backends.dtypes import LOW_PRECISION
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph.leaves import scalar_constant
from minidl.graph.node import Tensor
from minidl.graph.op import op, sample
from minidl.graph.spec import INTEGERS, Spec, is_float, promote
from minidl.ops.creation import arange, full
from minidl.ops.elementwise import exp, maximum, where
from minidl.ops.indexing import in_range, ravel_index, take
from minidl.ops.joining import concat, stack
from minidl.ops.linalg import permute_dims
from minidl.ops.reduction import logsumexp
from minidl.ops.regression_loss import check_reduction, reduced
from minidl.ops.shape import broadcast_to, expand_dims, flip, pad

NEVER = -1e30
"""Logarithm of the probability of what cannot be: finite, so that no ∞ − ∞ comes up."""

_BAND = (3, 2, 5)


@op(
    "band_recurrence",
    autocast="float32",
    samples=[
        sample(_BAND, _BAND, _BAND, _BAND),
        sample((1, 2, 3), (1, 2, 3), (1, 2, 3), (1, 2, 3)),
    ],
)
class band_recurrence:
    """A linear recursion along the first axis, in which a place follows from its lower neighbours.

    z[t,n,s] = x[t,n,s] + a[t,n,s] · z[t−1,n,s] + b[t,n,s] · z[t−1,n,s−1] + c[t,n,s] · z[t−1,n,s−2]

    What lies outside counts as 0; a, b and c of the first step have no effect.

    Parameters
    ----------
    x, a, b, c : Tensor (T, N, S)
        What enters, and the weights of the three places it comes from.
    """

    def infer(x, a, b, c, /):
        if not x.shape == a.shape == b.shape == c.shape or len(x.shape) != 3:
            raise ShapeError(
                f"takes four values of one shape (T, N, S), not {x.shape}, {a.shape}, {b.shape} "
                f"and {c.shape}"
            )
        return Spec(x.shape, promote((x.dtype, a.dtype, b.dtype, c.dtype)))

    def forward(xp, x, a, b, c):
        steps = [x[0, :, :]] if x.shape[0] else []
        for t in range(1, x.shape[0]):
            before = steps[-1]
            stay, one, two = (_moved(xp, before, by, 0.0) for by in (0, 1, 2))
            steps.append(x[t, :, :] + a[t, :, :] * stay + b[t, :, :] * one + c[t, :, :] * two)
        return xp.stack(steps) if steps else xp.zeros_like(x)

    def backward(g, z, x, a, b, c):
        # The same recursion from the end of both axes: flipped, each weight one step later and
        # at the place that it carried to.
        weights = [flip(_later(w, by), axis=(0, 2)) for by, w in enumerate((a, b, c))]
        into = flip(band_recurrence(flip(g, axis=(0, 2)), *weights), axis=(0, 2))
        return into, *(into * _earlier(z, by, 0.0) for by in (0, 1, 2))

    def flops(z, x, a, b, c):
        return 6 * z.size


@op(
    "log_band_recurrence",
    autocast="float32",
    samples=[sample(_BAND, (2, 5), (2, 5)), sample((1, 2, 3), (2, 3), (2, 3))],
)
class log_band_recurrence:
    """The recursion of probabilities that stay, move one place or move two, in logarithms.

    z[t,n,s] = x[t,n,s] + log(e^z[t−1,n,s] + e^z[t−1,n,s−1] + e^(skip[n,s] + z[t−1,n,s−2]))
    z[0,n,s] = x[0,n,s] + start[n,s]

    Parameters
    ----------
    x : Tensor (T, N, S)
        Log probability of each place at each time.
    start, skip : Tensor (N, S)
        Log probability to begin at a place, and to reach it over its neighbour. -1e30 stands
        for the logarithm of 0, and is what lies outside.
    """

    def infer(x, start, skip, /):
        if x.ndim != 3 or not x.shape[1:] == start.shape == skip.shape:
            raise ShapeError(
                f"takes values of shapes (T, N, S), (N, S) and (N, S), not {x.shape}, "
                f"{start.shape} and {skip.shape}"
            )
        return Spec(x.shape, promote((x.dtype, start.dtype, skip.dtype)))

    def forward(xp, x, start, skip):
        steps = [x[0, :, :] + start] if x.shape[0] else []
        for t in range(1, x.shape[0]):
            stay, one, two = (_moved(xp, steps[-1], by, NEVER) for by in (0, 1, 2))
            two = two + skip
            top = xp.maximum(xp.maximum(stay, one), two)
            total = xp.exp(stay - top) + xp.exp(one - top) + xp.exp(two - top)
            steps.append(x[t, :, :] + top + xp.log(total))
        return xp.stack(steps) if steps else xp.zeros_like(x)

    def backward(g, z, x, start, skip):
        # The share of each way in what arrives; at places that nothing reaches no gradient is.
        arrived = z - x
        ways = [exp(_earlier(z, by, NEVER) - arrived) for by in (0, 1)]
        ways.append(exp(_earlier(z, 2, NEVER) + skip - arrived))
        # the shares make 1 but for what rounding took from z: much, where z is far from 0
        total = ways[0] + ways[1] + ways[2]
        shares = [way / where(total == 0, 1, total) for way in ways]
        weights = [flip(_later(share, by), axis=(0, 2)) for by, share in enumerate(shares)]
        into = flip(band_recurrence(flip(g, axis=(0, 2)), *weights), axis=(0, 2))
        return into, into[0], (into * shares[2])[1:].sum(axis=0)

    def flops(z, x, start, skip):
        return 12 * z.size


@op(
    "ctc",
    samples=[
        sample((5, 2, 4), [[1, 2], [3, 3]], [5, 4], [2, 1]),
        sample((4, 2, 3), [[1, 1], [2, -1]], [4, 3], [2, 1], reduction="sum"),
        sample((3, 2, 3), [[0, 1], [1, 0]], [3, 3], [2, 0], blank=2, reduction="none"),
    ],
)
class ctc:
    """Negative log probability of a labelling, summed over all its alignments with time.

    z = mean of  − log Σ_π Π_t e^x[t,π_t],  over all paths π that spell the target

    A path spells what is left when repeats are merged and blanks removed. Graves et al.,
    "Connectionist temporal classification: labelling unsegmented sequence data with recurrent
    neural networks", 2006. The gradient is that by the log probabilities as they are: −(expected
    number of times at each). PyTorch's differs from it by what ``log_softmax`` takes away.

    Parameters
    ----------
    x : Tensor (T, N, C)
        Log probabilities, as of ``log_softmax``.
    target : Tensor (N, S)
        Classes, integers and none of them ``blank``; behind the length of each anything.
    input_lengths, target_lengths : Tensor (N,)
        Integers: how many steps and how many classes of each sample count, from 1 to T and from
        0 to S.
    blank : int
        The class that stands for nothing.
    reduction : {"mean", "sum", "none"}
        "mean" divides each by the length of its target (1 at least), then takes the mean.
    zero_infinity : bool
        A target too long for its input has no path. Its loss is then 0, not infinite; its
        gradient is 0 in both cases.
    """

    def compose(
        x,
        target,
        input_lengths,
        target_lengths,
        /,
        *,
        blank=0,
        reduction="mean",
        zero_infinity=False,
    ):
        check_reduction(reduction)
        _check_inputs(x, target, input_lengths, target_lengths, blank)
        input_lengths = in_range(input_lengths, low=1, high=x.shape[0], name="input length")
        target_lengths = in_range(target_lengths, low=0, high=target.shape[1], name="target length")
        if x.dtype in LOW_PRECISION:
            x = x.astype("float32")  # float16 has no room for NEVER
        path, skip = _spelled(x, target, target_lengths, blank)
        first = where(arange(path.shape[1]) < 2, scalar_constant(0.0, x.dtype), NEVER)
        start = broadcast_to(first, path.shape)
        reached = log_band_recurrence(maximum(_emitted(x, path), NEVER), start, skip)
        last = _at_the_end(x.shape[0], path.shape[1], input_lengths, target_lengths)
        ways = where(last, reached, NEVER)
        total = logsumexp(ways, axis=(0, 2))
        possible = total > NEVER / 2
        total = where(possible, total, 0.0)
        losses = where(possible, -total, 0.0 if zero_infinity else math.inf)
        if reduction == "mean":
            losses = losses / maximum(target_lengths, 1).astype(x.dtype)
        return reduced(losses, reduction)


def _spelled(x, target, lengths, blank):
    """Return the targets with blanks around each class, and the log probability to skip one."""
    n, s = target.shape
    inside = arange(s) < expand_dims(lengths, axis=1)
    known = where(inside, target.astype("int64"), blank)
    known = in_range(known, low=0, high=x.shape[2] - 1, name="class")
    blanks = full((n, s), blank, dtype="int64")
    pairs = stack([blanks, known], axis=2).reshape((n, 2 * s))
    end = full((n, 1), blank, dtype="int64")
    path = concat([pairs, end], axis=1)
    differs = path[:, 2:] != path[:, :-2]
    may = differs & (path[:, 2:] != blank)
    allowed = where(may, scalar_constant(0.0, x.dtype), NEVER)
    return path, pad(allowed, ((0, 0), (2, 0)), value=NEVER)[:, : path.shape[1]]


def _emitted(x, path):
    """Return the log probability of each place of the path at each time: (T, N, S)."""
    t, n, c = x.shape
    samples = expand_dims(arange(n), axis=1)
    rows = ravel_index(samples, path, lengths=(n, c))
    by_class = permute_dims(x, (1, 2, 0)).reshape((n * c, t))
    taken = take(by_class, rows, axis=0)
    return permute_dims(taken, (2, 0, 1))


def _at_the_end(t, s, input_lengths, target_lengths):
    """Return where a path may end: in the last step, at the last class or the blank behind it."""
    last, classes = input_lengths.astype("int64") - 1, target_lengths.astype("int64")
    time = expand_dims(arange(t), axis=1) == last
    behind = arange(s) - 2 * expand_dims(classes, axis=1)
    place = (behind == 0) | (behind == -1)
    return expand_dims(time, axis=2) & place


def _moved(xp, x, by, outside):
    """Return an array (N, S) with every element ``by`` places further."""
    if not by:
        return x
    width = min(by, x.shape[1])
    border = xp.full((x.shape[0], width), outside, dtype=x.dtype)
    return xp.concat([border, x[:, : x.shape[1] - width]], axis=1)


def _earlier(z, by, outside):
    """Return z[t−1, n, s−by]."""
    t, _, s = z.shape
    before, width = min(1, t), min(by, s)
    padded = pad(z, ((before, 0), (0, 0), (width, 0)), value=outside)
    return padded[:t, :, :s]


def _later(w, by):
    """Return w[t+1, n, s+by]."""
    t, _, s = w.shape
    after, width = min(1, t), min(by, s)
    padded = pad(w, ((0, after), (0, 0), (0, width)))
    return padded[after:, :, width:]


def _check_inputs(
    x: Tensor, target: Tensor, input_lengths: Tensor, target_lengths: Tensor, blank: int
) -> None:
    if not is_float(x.dtype):
        raise DtypeError(f"log probabilities must be floats, not {x.dtype}")
    if x.ndim != 3 or not x.shape[0] or target.ndim != 2 or target.shape[0] != x.shape[1]:
        raise ShapeError(
            f"takes log probabilities of shape (T, N, C) with targets of shape (N, S), "
            f"not {x.shape} and {target.shape}"
        )
    for lengths, what in ((input_lengths, "input"), (target_lengths, "target")):
        if lengths.shape != x.shape[1:2]:
            raise ShapeError(
                f"{what} lengths must be of shape ({x.shape[1]},), not {lengths.shape}"
            )
    for given in (target, input_lengths, target_lengths):
        if given.dtype not in INTEGERS:
            raise DtypeError(f"targets and lengths are integers, not {given.dtype}")
    if not 0 <= blank < x.shape[2]:
        raise GraphError(f"blank must be one of {x.shape[2]} classes, not {blank}")
