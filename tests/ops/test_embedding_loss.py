"""Losses of vectors: by hand, at their kinks, against PyTorch, and messages."""

from __future__ import annotations

import numpy as np
import pytest
from parity import compare_op_with_torch

from minidl import ops
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph import grad, tensor

RNG = np.random.default_rng(0)
X, Y, W = (RNG.normal(size=(4, 3)) for _ in range(3))


def test_cosine_similarity_of_known_angles():
    x = [[1.0, 0.0], [1.0, 1.0], [2.0, 0.0], [0.0, 0.0]]
    y = [[0.0, 3.0], [2.0, 2.0], [-1.0, 0.0], [1.0, 1.0]]
    found = ops.cosine_similarity(tensor(x, "float64"), tensor(y, "float64"))
    np.testing.assert_allclose(found.numpy(), [0, 1, -1, 0], atol=1e-15)


def test_two_vectors_of_zeros_have_a_finite_gradient():
    x = tensor(np.zeros((1, 3)))
    slope = grad(ops.cosine_similarity(x, tensor(np.zeros((1, 3)))).sum(), x)
    assert (slope.numpy() == 0).all()


def test_cosines_in_float16_know_zeros_and_large_numbers():
    x = tensor([[0.0, 0.0], [300.0, 300.0], [1e-4, 0.0]], "float16")
    y = tensor([[1.0, 2.0], [300.0, 0.0], [1e-4, 1e-4]], "float16")
    z = ops.cosine_similarity(x, y)
    assert z.dtype == "float16"
    np.testing.assert_allclose(z.numpy(), [0.0, 0.5**0.5, 0.5**0.5], rtol=1e-3)
    slope = grad(z.sum(), x)
    assert slope.dtype == "float16"
    assert np.isfinite(slope.numpy()[1:]).all()


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_equal_vectors_are_at_no_distance_and_have_a_gradient_of_zero(p):
    x = tensor([[1.0, 2.0], [1.0, 2.0]], "float64")
    found = ops.pairwise_distance(x, [[1.0, 2.0], [1.0, 5.0]], p=p, eps=0.0)
    np.testing.assert_allclose(found.numpy(), [0.0, 3.0], rtol=1e-14)
    np.testing.assert_allclose(grad(found.sum(), x).numpy(), [[0, 0], [0, -1]], rtol=1e-14)


def test_vectors_broadcast_before_they_are_compared():
    found = ops.cosine_similarity(X, Y[0], axis=-1).numpy()
    np.testing.assert_allclose(found, X @ Y[0] / np.linalg.norm(X, axis=1) / np.linalg.norm(Y[0]))
    np.testing.assert_allclose(ops.cosine_similarity(X, Y[:1], axis=0).shape, (3,))


def test_a_triplet_far_enough_apart_costs_nothing():
    a, p, n = tensor([[0.0, 0.0]]), tensor([[0.0, 1.0]]), tensor([[3.0, 0.0]])
    assert ops.triplet_margin(a, p, n).item() == 0
    assert ops.triplet_margin(a, p, n, margin=3.0).item() == pytest.approx(1, abs=1e-5)
    assert (grad(ops.triplet_margin(a, p, n), a).numpy() == 0).all()


def hard_triplets(x, target, margin):
    """Return the mean over anchors with both kinds of partners, one at a time."""
    losses = []
    for i, own in enumerate(target):
        d = np.linalg.norm(x[i] - x + 1e-6, axis=1)
        like = (target == own) & (np.arange(len(x)) != i)
        if like.any() and (target != own).any():
            losses.append(max(0, d[like].max() - d[target != own].min() + margin))
    return np.mean(losses) if losses else 0.0


@pytest.mark.parametrize(
    "target",
    [[0, 1, 0, 1, 2, 2, 0], [0, 0, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 5, 6], [5, 5, 5, 5, 5, 5, 1]],
)
@pytest.mark.parametrize("margin", [0.1, 1.0, 10.0])
def test_batch_hard_triplets_are_the_hardest_of_the_batch(target, margin):
    x, target = np.random.default_rng(3).normal(size=(7, 4)), np.array(target)
    leaf = tensor(x)
    found = ops.batch_hard_triplet(leaf, target, margin=margin)
    assert found.item() == pytest.approx(hard_triplets(x, target, margin), rel=1e-9)
    assert np.isfinite(grad(found, leaf).numpy()).all()


def test_batch_hard_triplets_of_equal_vectors_have_a_finite_gradient():
    leaf = tensor(np.ones((4, 3)))
    found = ops.batch_hard_triplet(leaf, [0, 0, 1, 1])
    assert found.item() == pytest.approx(1)
    assert np.isfinite(grad(found, leaf).numpy()).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: ops.cosine_similarity(X, Y, eps=0),
            GraphError,
            "cosine_similarity: eps must be above 0, not 0",
        ),
        (
            lambda: ops.cosine_similarity(X, Y, axis=2),
            ShapeError,
            "cosine_similarity: axis 2 is out of range for a value with 2 axes",
        ),
        (
            lambda: ops.cosine_embedding(X, Y, [1, -1]),
            ShapeError,
            "cosine_embedding: takes two values of shape (N, D) and a target of shape (N,), "
            "not (4, 3), (4, 3) and (2,)",
        ),
        (
            lambda: ops.pairwise_distance(X, Y, p=0),
            GraphError,
            "pairwise_distance: p must be above 0, not 0",
        ),
        (
            lambda: ops.triplet_margin(X, Y, W[:2]),
            ShapeError,
            "triplet_margin: anchors, positives and negatives must have one shape (N, D), "
            "not (4, 3), (4, 3) and (2, 3)",
        ),
        (
            lambda: ops.triplet_margin(X, Y, W, margin=0.0),
            GraphError,
            "triplet_margin: margin must be above 0, not 0.0",
        ),
        (
            lambda: ops.batch_hard_triplet(X, [0, 1]),
            ShapeError,
            "batch_hard_triplet: takes vectors of shape (N, D) and classes of shape (N,), "
            "not (4, 3) and (2,)",
        ),
        (
            lambda: ops.batch_hard_triplet(X, X[:, 0]),
            DtypeError,
            "batch_hard_triplet: classes are integers, not float64",
        ),
        (
            lambda: ops.batch_hard_triplet(X, [0, 1, 2, 3], margin=-1.0),
            GraphError,
            "batch_hard_triplet: margin must be above 0, not -1.0",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


CALLS = [
    ("cosine_similarity", [(4, 3), (4, 3)], {}),
    ("cosine_similarity", [(2, 3, 5), (2, 3, 5)], {"axis": 2}),
    ("cosine_similarity", [(2, 3, 5), (5,)], {"axis": 2}),
    ("cosine_similarity", [(4, 1), (4, 1)], {}),
    ("pairwise_distance", [(4, 3), (4, 3)], {}),
    ("pairwise_distance", [(4, 3), (1, 3)], {"p": 1.0, "keepdims": True}),
    ("pairwise_distance", [(4, 3), (4, 3)], {"p": 3.0, "eps": 1e-3}),
    *[
        ("triplet_margin", [shape] * 3, options)
        for shape in [(4, 3), (1, 1), (5,)]
        for options in (
            {},
            {"margin": 3.0, "reduction": "sum"},
            {"margin": 3.0, "swap": True, "reduction": "none"},
            {"p": 1.0},
        )
    ],
]


@pytest.mark.parity
@pytest.mark.parametrize(("name", "shapes", "options"), CALLS)
def test_values_and_gradients_are_those_of_pytorch(name, shapes, options):
    pytest.importorskip("torch")
    compare_op_with_torch(name, *shapes, **options)


@pytest.mark.parity
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("margin", [-0.5, 0.0, 0.3])
@pytest.mark.parametrize("shape", [(6, 3), (1, 2), (4,)])
def test_cosine_embedding_is_that_of_pytorch(shape, margin, reduction):
    pytest.importorskip("torch")
    target = np.random.default_rng(5).choice([-1, 1], size=shape[:-1])
    options = {"margin": margin, "reduction": reduction}
    compare_op_with_torch("cosine_embedding", shape, shape, target, **options)
