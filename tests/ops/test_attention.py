"""Attention and positions: what they compute, inputs that do not fit, and PyTorch's results."""

from __future__ import annotations

import math

import numpy as np
import pytest
from parity import compare_with_torch

from minidl import ops
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph import grad, tensor

ATTENTION = ops.scaled_dot_product_attention


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


# -- masks -------------------------------------------------------------------------------------


def test_a_masked_softmax_is_the_softmax_of_what_takes_part():
    x, mask = random(2, 5), np.array([True, False, True, True, False])
    found = ops.masked_softmax(tensor(x), mask).numpy()
    np.testing.assert_array_equal(found[:, ~mask], 0)
    np.testing.assert_allclose(found[:, mask], ops.softmax(tensor(x[:, mask])).numpy())


def test_what_a_mask_shuts_out_does_not_matter():
    x = tensor([[1.0, math.nan, 2.0], [math.inf, 1.0, 2.0]], dtype="float64")
    mask = tensor([[True, False, True], [False, True, True]])
    z = ops.masked_softmax(x, mask)
    e = math.e
    expected = [[1 / (1 + e), 0, e / (1 + e)], [0, 1 / (1 + e), e / (1 + e)]]
    np.testing.assert_allclose(z.numpy(), expected, rtol=1e-12)
    found = grad(z, x, tensor(random(2, 3))).numpy()
    assert found[0, 1] == found[1, 0] == 0
    assert np.isfinite(found).all()


def test_a_row_without_anything_is_zero_and_so_is_its_gradient():
    x = tensor([[1.0, 2.0], [-math.inf, -math.inf]])
    z = ops.masked_softmax(x, [[False, False], [True, True]])
    np.testing.assert_array_equal(z.numpy(), 0)
    np.testing.assert_array_equal(grad(z, x, tensor([[1.0, 2], [3, 4]])).numpy(), 0)


@pytest.mark.parametrize(
    ("x", "mask", "message"),
    [
        ((2, 3), np.ones(2, bool), "masked_softmax: a mask of shape (2,) does not broadcast to "
         "scores of shape (2, 3)"),
        ((3,), np.ones((2, 3), bool), "masked_softmax: a mask of shape (2, 3) does not broadcast "
         "to scores of shape (3,)"),
        ((2, 0), np.ones((2, 0), bool), "masked_softmax: shape (2, 0) has no elements along "
         "axis 1"),
    ],
)  # fmt: skip
def test_a_mask_that_does_not_fit_is_an_error(x, mask, message):
    with pytest.raises(ShapeError) as caught:
        ops.masked_softmax(np.zeros(x), mask)
    assert str(caught.value).startswith(message)


def test_a_mask_of_numbers_is_an_error():
    with pytest.raises(DtypeError) as caught:
        ops.masked_softmax(np.zeros(2), np.ones(2))
    assert str(caught.value) == "masked_softmax: the mask must be bool, not float64"


# -- attention ---------------------------------------------------------------------------------


def test_attention_written_out():
    q, k, v = random(2, 3, 4), random(2, 5, 4, seed=1), random(2, 5, 6, seed=2)
    scores = np.einsum("bqe,bke->bqk", q, k) / 2
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    found = ATTENTION(tensor(q), tensor(k), tensor(v)).numpy()
    np.testing.assert_allclose(found, weights @ v, rtol=1e-12)


def test_a_causal_query_does_not_see_what_comes_later():
    q, k, v = (tensor(random(4, 3, seed=i)) for i in range(3))
    gradient = grad(ATTENTION(q, k, v, is_causal=True)[1].sum(), v).numpy()
    assert (gradient[:2] > 0).all()
    assert (gradient[2:] == 0).all()


def test_a_mask_and_causality_both_hold():
    q, k, v = (tensor(random(3, 2, seed=i)) for i in range(3))
    mask = np.array([[True, True, True], [False, True, True], [True, False, True]])
    both = ATTENTION(q, k, v, mask & np.tri(3, dtype=bool)).numpy()
    np.testing.assert_array_equal(ATTENTION(q, k, v, mask, is_causal=True).numpy(), both)


def test_scores_of_ten_thousand_do_no_harm():
    q, k = tensor([[100.0], [-100.0]]), tensor([[100.0], [-100.0]])
    v = tensor([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(ATTENTION(q, k, v, is_causal=False).numpy(), v.numpy())


def test_dropped_weights_are_a_function_of_the_key():
    q, k, v = (tensor(random(6, 4, seed=i)) for i in range(3))
    first, second, third = (
        ATTENTION(q, k, v, dropout_p=0.5, random_key=ops.random_key(1, 2, step)).numpy()
        for step in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, third)
    assert not np.allclose(first, ATTENTION(q, k, v).numpy())


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 3), (2, 4), (2, 4)), "queries of 3 features do not match keys of 4 "
         "(shapes (2, 3) and (2, 4))"),
        (((2, 0), (2, 0), (2, 4)), "queries of 0 features do not match keys of 0 "
         "(shapes (2, 0) and (2, 0))"),
        (((2, 3), (4, 3), (5, 3)), "there are 4 keys and 5 values (shapes (4, 3) and (5, 3))"),
        (((3,), (4, 3), (4, 3)), "query has shape (..., time, features), not (3,)"),
        (((2, 4, 3), (3, 4, 3), (3, 4, 3)), "the axes before the last two: shapes (2,) and (3,) "
         "do not broadcast: axis -1 is 2 in one and 3 in the other"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_errors(shapes, message):
    with pytest.raises(ShapeError) as caught:
        ATTENTION(*(np.zeros(shape) for shape in shapes))
    assert str(caught.value) == f"scaled_dot_product_attention: {message}"


def test_a_mask_must_fit_the_scores():
    x = np.zeros((2, 4, 3))
    with pytest.raises(ShapeError) as caught:
        ATTENTION(x, x, x, np.ones((4, 5), bool))
    assert str(caught.value) == (
        "scaled_dot_product_attention: attn_mask of shape (4, 5) does not broadcast to "
        "the scores' (2, 4, 4)"
    )
    with pytest.raises(DtypeError, match="added to the scores, not int64"):
        ATTENTION(x, x, x, np.ones((4, 4), "int64"))
    with pytest.raises(DtypeError, match="query must be of a float dtype, not int64"):
        ATTENTION(np.zeros((4, 3), "int64"), x, x)


def test_dropout_needs_a_key():
    x = np.zeros((4, 3))
    with pytest.raises(GraphError) as caught:
        ATTENTION(x, x, x, dropout_p=0.5)
    assert str(caught.value) == ("scaled_dot_product_attention: dropout_p = 0.5 needs random_key=")


# -- positions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("interleaved", [False, True])
def test_rope_turns_each_pair_by_its_angle(interleaved):
    x = random(5, 6)
    found = ops.rope(tensor(x), base=100.0, interleaved=interleaved).numpy()
    for t in range(5):
        for i in range(3):
            a, b = (2 * i, 2 * i + 1) if interleaved else (i, i + 3)
            turned = complex(x[t, a], x[t, b]) * np.exp(1j * t * 100.0 ** (-2 * i / 6))
            np.testing.assert_allclose(found[t, [a, b]], [turned.real, turned.imag], rtol=1e-12)


def test_a_product_of_turned_vectors_depends_on_the_distance_alone():
    q, k = random(1, 8), random(1, 8, seed=1)
    turned = [ops.rope(tensor(np.repeat(x, 7, axis=0))).numpy() for x in (q, k)]
    products = turned[0] @ turned[1].T
    for distance in range(-6, 7):
        same = np.diagonal(products, distance)
        np.testing.assert_allclose(same, same[0], rtol=1e-10)


def test_rope_turned_back_is_the_identity():
    x = tensor(random(2, 50, 4))
    np.testing.assert_allclose(ops.rope(ops.rope(x), inverse=True).numpy(), x.numpy(), rtol=1e-9)


def test_rope_is_exact_far_along_in_float32():
    x = np.ones((20000, 2), "float32")
    found = ops.rope(tensor(x)).numpy()[-1]
    t = 19999.0
    expected = [math.cos(t) - math.sin(t), math.cos(t) + math.sin(t)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_rope_takes_pairs():
    with pytest.raises(ShapeError) as caught:
        ops.rope(np.zeros((4, 3)))
    assert str(caught.value) == "rope: turns pairs of features, but shape (4, 3) has 3"
    with pytest.raises(ShapeError) as caught:
        ops.rope(np.zeros(4))
    assert str(caught.value) == "rope: takes a value of shape (..., time, features), not (4,)"


def test_sinusoidal_positions_are_those_of_the_paper():
    found = ops.sinusoidal_positions(length=7, width=5, dtype="float64").numpy()
    for t in range(7):
        for j in range(5):
            angle = t / 10000 ** (2 * (j // 2) / 5)
            expected = math.cos(angle) if j % 2 else math.sin(angle)
            assert found[t, j] == pytest.approx(expected, abs=1e-12)


def test_positions_are_floats():
    with pytest.raises(DtypeError, match="sines have a float dtype, not int32"):
        ops.sinusoidal_positions(length=2, width=2, dtype="int32")


# -- PyTorch -----------------------------------------------------------------------------------

SHAPES = [
    ((3, 4), (5, 4), (5, 2)),
    ((2, 3, 4), (2, 3, 4), (2, 3, 4)),
    ((2, 4, 7, 8), (2, 4, 5, 8), (2, 4, 5, 3)),
    ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1, 1, 1)),
    ((2, 3, 1, 5), (2, 3, 9, 5), (2, 3, 9, 5)),
    ((0, 2, 3, 4), (0, 2, 3, 4), (0, 2, 3, 4)),
    ((2, 0, 4), (2, 3, 4), (2, 3, 4)),
    ((2, 3, 4), (2, 0, 4), (2, 0, 4)),
]
MASKS = ["none", "causal", "bool", "row", "shut", "float", "float shut"]


@pytest.mark.parity
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_attention_is_that_of_pytorch(shapes, scale, mask):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.functional.scaled_dot_product_attention
    arrays = [random(*shape, seed=i) for i, shape in enumerate(shapes)]
    scores = (*shapes[0][:-1], shapes[1][-2])
    options = {"scale": scale, "is_causal": mask == "causal"}
    given = None
    if mask in ("bool", "shut", "row"):
        given = np.random.default_rng(1).random(scores if mask != "row" else scores[-2:]) < 0.6
        given[..., :1] = True
        given[..., :1, :] &= mask != "shut"
    elif mask.startswith("float"):
        given = random(*scores, seed=9)
        if mask == "float shut":
            given[..., :1, :] = -math.inf
            given[..., 1:, 1::2] = -math.inf
    if given is None:
        compare_with_torch(
            lambda q, k, v: ATTENTION(q, k, v, **options),
            lambda q, k, v: theirs(q, k, v, **options),
            arrays,
        )
    else:
        compare_with_torch(
            lambda q, k, v, m: ATTENTION(q, k, v, m, **options),
            lambda q, k, v, m: theirs(q, k, v, m, **options),
            [*arrays, given],
        )
