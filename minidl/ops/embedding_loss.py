"""Losses of vectors that stand for things: how alike two are, and which of two is nearer."""

from __future__ import annotations

from minidl.backends.dtypes import LOW_PRECISION
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph.node import Tensor
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import INTEGERS, broadcast_shapes, normalize_axis, promote
from minidl.ops.creation import eye
from minidl.ops.elementwise import maximum, minimum, sqrt, square, where
from minidl.ops.indexing import in_range
from minidl.ops.regression_loss import check_reduction, reduced
from minidl.ops.shape import broadcast_to, expand_dims

_VECTORS = ((3, 4), (3, 4))


@op(
    "cosine_similarity",
    kink="a vector shorter than eps is divided by eps, which is constant there",
    samples=[
        sample(*_VECTORS),
        sample((2, 3, 4), (2, 3, 4), axis=-1),
        sample((3, 4), (1, 4)),
        sample((4,), (4,), axis=0),
    ],
)
class cosine_similarity:
    """The cosine of the angle between vectors.

    z = Σ x · y / (max(‖x‖, eps) · max(‖y‖, eps))

    Parameters
    ----------
    x, y : Tensor
        Floats; their shapes broadcast.
    axis : int
        The axis of a vector; the result has no such axis.
    eps : float
        Above 0: shorter vectors are divided by it, so that with one of zeros the result is 0.
    """

    def compose(x, y, /, *, axis=1, eps=1e-8):
        if not eps > 0:
            raise GraphError(f"eps must be above 0, not {eps}")
        shape = broadcast_shapes(x.shape, y.shape)
        axis = normalize_axis(axis, len(shape))
        dtype = promote((x.dtype, y.dtype))
        if dtype in LOW_PRECISION:  # float16 has no room for squares, nor for eps
            x, y = x.astype("float32"), y.astype("float32")
        x, y = (v if v.shape == shape else broadcast_to(v, shape) for v in (x, y))
        z = (_unit(x, axis, eps) * _unit(y, axis, eps)).sum(axis=axis)
        return z.astype(dtype) if dtype in LOW_PRECISION else z


@op(
    "cosine_embedding",
    kink="where the cosine of a pair of unlike things is the margin, the gradient is half of each",
    samples=[
        sample(*_VECTORS, [1, -1, 1]),
        sample(*_VECTORS, [1, -1, -1], margin=-0.9, reduction="sum"),
        sample(*_VECTORS, [1, -1, 1], reduction="none"),
        sample((4,), (4,), 1),
    ],
)
class cosine_embedding:
    """Pulls like things together and pushes unlike ones apart, by the cosine of their angle.

    z = mean of  1 − cos(x, y)  where t = 1,  max(0, cos(x, y) − margin)  where t = −1

    Parameters
    ----------
    x, y : Tensor
        (N, D) or (D,).
    t : Tensor
        (N,) or a scalar: 1 for like things, −1 for unlike ones. What is not above 0 counts as −1;
        integers must be from −1 to 1.
    margin : float
        From −1 to 1: how alike unlike things may be.
    reduction : {"mean", "sum", "none"}
        Over the pairs.
    """

    def compose(x, y, t, /, *, margin=0.0, reduction="mean"):
        check_reduction(reduction)
        if x.shape != y.shape or x.ndim not in (1, 2) or t.shape != x.shape[:-1]:
            raise ShapeError(
                f"takes two values of shape (N, D) and a target of shape (N,), "
                f"not {x.shape}, {y.shape} and {t.shape}"
            )
        if t.dtype in INTEGERS:
            t = in_range(t, low=-1, high=1, name="target")
        cosine = cosine_similarity(x, y, axis=-1)
        apart = maximum(cosine - margin, 0.0)
        return reduced(where(t > 0, 1.0 - cosine, apart), reduction)


@op(
    "pairwise_distance",
    kink="where x − y + eps is 0 an element adds 0, and where it is for all the gradient is 0",
    samples=[
        sample(*_VECTORS),
        sample(Draw((3, 4), -2.0, -0.6), Draw((3, 4), -0.4, 2.0), p=1.0),
        sample(*_VECTORS, p=3.0, keepdims=True),
        sample((4,), (1, 4)),
    ],
)
class pairwise_distance:
    """The p-norm of the difference of vectors, along the last axis.

    z = (Σ |x − y + eps|^p)^(1/p)

    Parameters
    ----------
    x, y : Tensor
        Floats; their shapes broadcast.
    p : float
        Above 0.
    eps : float
        Added to each difference, as PyTorch does, so that the root has a gradient.
    keepdims : bool
        Keep the last axis, with length 1.
    """

    def compose(x, y, /, *, p=2.0, eps=1e-6, keepdims=False):
        if not p > 0:
            raise GraphError(f"p must be above 0, not {p}")
        difference = x - y + eps
        powers = square(difference) if p == 2 else abs(difference) ** float(p)
        total = powers.sum(axis=-1, keepdims=keepdims)
        if p == 1:
            return total
        apart = total > 0
        safe = where(apart, total, 1.0)
        return where(apart, sqrt(safe) if p == 2 else safe ** (1 / p), total)


@op(
    "triplet_margin",
    kink="where the margin is just kept, the gradient is half of that on the other side",
    samples=[
        sample((3, 4), (3, 4), (3, 4), margin=5.0),
        sample((3, 4), (3, 4), (3, 4), margin=6.0, swap=True, reduction="sum"),
        sample((3, 4), (3, 4), (3, 4), margin=9.0, p=3.0, reduction="none"),
    ],
)
class triplet_margin:
    """An anchor shall be nearer to what is like it than to what is not, by a margin.

    z = mean of max(0, d(a, p) − d(a, n) + margin)

    Balntas et al., "Learning local feature descriptors with triplets and shallow convolutional
    neural networks", 2016; d is ``pairwise_distance``.

    Parameters
    ----------
    a, positive, negative : Tensor
        Anchors, what is like them and what is not, of one shape (N, D) or (D,).
    margin : float
        Above 0.
    p, eps : float
        Of ``pairwise_distance``.
    swap : bool
        Take min(d(a, n), d(p, n)) for d(a, n).
    reduction : {"mean", "sum", "none"}
        Over the triplets.
    """

    def compose(
        a, positive, negative, /, *, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"
    ):
        check_reduction(reduction)
        if not a.shape == positive.shape == negative.shape or not a.ndim:
            raise ShapeError(
                f"anchors, positives and negatives must have one shape (N, D), "
                f"not {a.shape}, {positive.shape} and {negative.shape}"
            )
        if not margin > 0:
            raise GraphError(f"margin must be above 0, not {margin}")
        far = pairwise_distance(a, negative, p=p, eps=eps)
        if swap:
            far = minimum(far, pairwise_distance(positive, negative, p=p, eps=eps))
        near = pairwise_distance(a, positive, p=p, eps=eps)
        return reduced(maximum(near - far + margin, 0.0), reduction)


@op(
    "batch_hard_triplet",
    kink="of equally hard partners each has an equal share; at the margin half of the other side",
    samples=[
        sample((6, 3), [0, 1, 0, 2, 1, 0], margin=9.0),
        sample((4, 2), [1, 1, 3, 3], margin=5.0, p=1.0),
        sample((5, 2), [0, 1, 1, 2, 3], margin=5.0),
    ],
)
class batch_hard_triplet:
    """Triplets made of a batch: each sample with its farthest like and its nearest unlike.

    z = mean of max(0, max_p d(a, p) − min_n d(a, n) + margin)

    Over the samples a that have another of their class and one of another class in the batch; 0
    if none has. Hermans, Beyer and Leibe, "In defense of the triplet loss for person
    re-identification", 2017.

    Parameters
    ----------
    x : Tensor (N, D)
        Vectors.
    target : Tensor (N,)
        Their classes, integers.
    margin : float
        Above 0.
    p, eps : float
        Of ``pairwise_distance``.
    """

    def compose(x, target, /, *, margin=1.0, p=2.0, eps=1e-6):
        _check_classes(x, target)
        if not margin > 0:
            raise GraphError(f"margin must be above 0, not {margin}")
        n = x.shape[0]
        distance = pairwise_distance(expand_dims(x, axis=1), expand_dims(x, axis=0), p=p, eps=eps)
        like = expand_dims(target, axis=1) == expand_dims(target, axis=0)
        self_pair = eye(n, dtype="bool")
        others, unlike = like & ~self_pair, ~like
        # distances are positive, so 0 is never the farthest; the largest is never below the nearest
        near = where(others, distance, 0.0).max(axis=1)
        limit = distance.max()
        far = where(unlike, distance, limit).min(axis=1)
        lasting = others.sum(axis=1) * unlike.sum(axis=1) > 0
        losses = where(lasting, maximum(near - far + margin, 0.0), 0.0)
        count = maximum(lasting.sum(), 1).astype(losses.dtype)
        return losses.sum() / count


def _unit(x, axis, eps):
    """Return vectors of length 1, or shorter where they were shorter than eps."""
    squares = square(x).sum(axis=axis, keepdims=True)
    # eps inside the root too: the root of 0 has no gradient
    return x / sqrt(maximum(squares, float(eps) ** 2))


def _check_classes(x: Tensor, target: Tensor) -> None:
    if x.ndim != 2 or target.shape != x.shape[:1] or not x.shape[0]:
        raise ShapeError(
            f"takes vectors of shape (N, D) and classes of shape (N,), "
            f"not {x.shape} and {target.shape}"
        )
    if target.dtype not in INTEGERS:
        raise DtypeError(f"classes are integers, not {target.dtype}")
