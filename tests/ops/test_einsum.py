"""einsum: NumPy's results for every form, subscripts without meaning, and PyTorch's gradients."""

from __future__ import annotations

import itertools
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parity import compare_op_with_torch

from minidl import ops
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph import grad, tensor

FORMS = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    (" i j , j k -> k i ", [(2, 3), (3, 4)]),
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
    ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]),
    ("bhqk,bkhd->bqhd", [(2, 3, 4, 6), (2, 6, 3, 5)]),
    ("i,j->ij", [(3,), (4,)]),
    ("i,i", [(3,), (3,)]),
    ("i,i->i", [(3,), (3,)]),
    ("ij,ij->j", [(3, 2), (3, 2)]),
    ("ij,kl->", [(3, 2), (4, 5)]),
    ("ij->ji", [(3, 2)]),
    ("ba", [(3, 2)]),
    ("ij->", [(3, 2)]),
    ("ij->j", [(3, 2)]),
    ("ii", [(3, 3)]),
    ("ii->i", [(3, 3)]),
    ("iij->ji", [(3, 3, 2)]),
    ("iii->i", [(3, 3, 3)]),
    ("ii,ij->j", [(3, 3), (3, 2)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
    ("ij,ik,il->jkl", [(2, 3), (2, 4), (2, 5)]),
    ("a,b,c,d->dbca", [(2,), (3,), (1,), (2,)]),
    ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]),
    ("...ij,jk", [(2, 5, 3, 4), (4, 2)]),
    ("i...,i...->...", [(3, 2, 4), (3, 1, 4)]),
    ("i...->...", [(3, 2, 4)]),
    ("...->...", [(3, 2)]),
    ("...,...", [(3, 2), (2,)]),
    (",ij->ji", [(), (3, 2)]),
    ("ij,jk->ik", [(2, 0), (0, 3)]),
    ("ij,jk->ik", [(0, 2), (2, 3)]),
    ("ij,jk->ik", [(1, 1), (1, 1)]),
]


def arrays_of(shapes, dtype="float64"):
    rng = np.random.default_rng(3)
    return [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in shapes]


@pytest.mark.parametrize(("subscripts", "shapes"), FORMS)
def test_it_gives_what_numpy_gives(subscripts, shapes):
    arrays = arrays_of(shapes)
    found = ops.einsum(subscripts, *map(tensor, arrays))
    expected = np.einsum(subscripts, *arrays)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12)


@st.composite
def _calls(draw):
    letters = "abcde"
    lengths = {letter: draw(st.integers(1, 3)) for letter in letters}
    terms = draw(st.lists(st.text(letters, max_size=4), min_size=1, max_size=4))
    used = sorted(set("".join(terms)))
    out = "".join(draw(st.permutations(used))[: draw(st.integers(0, len(used)))])
    shapes = [tuple(lengths[letter] for letter in term) for term in terms]
    return f"{','.join(terms)}->{out}", shapes


@settings(max_examples=150, deadline=None, derandomize=True)
@given(_calls())
def test_any_subscripts_give_what_numpy_gives_and_so_do_their_gradients(call):
    subscripts, shapes = call
    arrays = arrays_of(shapes)
    operands = [tensor(array) for array in arrays]
    z = ops.einsum(subscripts, *operands)
    expected = np.einsum(subscripts, *arrays)
    np.testing.assert_allclose(z.numpy(), expected, rtol=1e-10, atol=1e-10)
    seed = np.random.default_rng(4).normal(size=expected.shape)
    gradients = grad(z, operands, tensor(seed))
    for position, gradient in enumerate(gradients):
        # z is linear in each operand, so its derivative along d is z with d in its place
        d = np.random.default_rng(position).normal(size=shapes[position])
        moved = np.einsum(subscripts, *arrays[:position], d, *arrays[position + 1 :])
        along = float((gradient.numpy() * d).sum())
        assert along == pytest.approx(float((seed * moved).sum()), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "float32"])
def test_it_keeps_the_dtype(dtype):
    a, b = (np.arange(6).reshape(2, 3).astype(dtype) for _ in range(2))
    for subscripts, operands in (("ij,kj->ik", (a, b)), ("ij->i", (a,)), ("ij,ij->", (a, b))):
        z = ops.einsum(subscripts, *map(tensor, operands)).numpy()
        assert z.dtype == dtype
        np.testing.assert_array_equal(z, np.einsum(subscripts, *operands))


def test_the_gradient_is_written_as_an_einsum_again():
    a, b = (tensor(array) for array in arrays_of([(2, 3), (3, 4)]))
    by_a, by_b = grad(ops.einsum("ij,jk->ik", a, b), [a, b], tensor(np.ones((2, 4))))
    assert (by_a.op.name, by_a.attributes["subscripts"]) == ("einsum", "ik,jk->ij")
    assert (by_b.op.name, by_b.attributes["subscripts"]) == ("einsum", "ik,ij->jk")


@pytest.mark.parametrize(
    ("subscripts", "shapes", "message"),
    [
        ("ij,jk->ik", [(2, 3)], "subscripts 'ij,jk->ik' are for 2 operands, not 1"),
        (
            "ij,jk->ik",
            [(2, 3), (4, 5)],
            "'j' is an axis of length 3 of operand 0 and of length 4 of operand 1: "
            "shapes (2, 3) and (4, 5)",
        ),
        (
            "ii->i",
            [(2, 1)],
            "'i' is an axis of length 2 of operand 0 and of length 1 of operand 0: shapes (2, 1)",
        ),
        ("ij->i", [(2, 3, 4)], "subscripts 'ij->i' name 2 axes of operand 0, which is of shape "
         "(2, 3, 4)"),
        ("...ijk", [(2, 3)], "subscripts '...ijk' name 3 axes of operand 0, which is of shape "
         "(2, 3)"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_refused(subscripts, shapes, message):
    with pytest.raises(ShapeError) as error:
        ops.einsum(subscripts, *(tensor(np.zeros(shape)) for shape in shapes))
    assert str(error.value) == f"einsum: {message}"


@pytest.mark.parametrize(
    ("subscripts", "message"),
    [
        ("i1->i", "'1' is neither a letter nor part of one '...', ',' or '->'"),
        ("ij->i->j", "'-' is neither a letter nor part of one '...', ',' or '->'"),
        ("......", "'.' is neither a letter nor part of one '...', ',' or '->'"),
        ("ij->ik", "'k' stands in the result alone"),
        ("ij->ii", "'i' stands twice in the result"),
    ],
)
def test_malformed_subscripts_are_refused(subscripts, message):
    with pytest.raises(GraphError) as error:
        ops.einsum(subscripts, tensor(np.zeros((2, 3))))
    assert str(error.value) == f"einsum: subscripts {subscripts!r}: {message}"


def test_it_refuses_booleans_and_more_axes_than_letters():
    with pytest.raises(DtypeError) as booleans:
        ops.einsum("i->", tensor([True]))
    assert str(booleans.value) == "einsum: takes numbers, not bool; convert with astype"
    letters = string.ascii_letters
    with pytest.raises(GraphError) as axes:
        ops.einsum(f"{letters}...", tensor(np.zeros((1,) * (len(letters) + 1))))
    assert str(axes.value).endswith("leave no letters for '...'")


@pytest.mark.parity
@pytest.mark.parametrize(("subscripts", "shapes"), FORMS)
def test_values_and_gradients_are_those_of_pytorch(subscripts, shapes):
    pytest.importorskip("torch")
    compare_op_with_torch("einsum", *shapes, subscripts=subscripts)


@pytest.mark.parity
@pytest.mark.parametrize("lengths", list(itertools.product([1, 3], repeat=4)))
def test_axes_of_length_1_broadcast_as_in_pytorch(lengths):
    pytest.importorskip("torch")
    i, j, same, k = lengths
    compare_op_with_torch("einsum", (i, j), (same, k), subscripts="ij,jk->ik")
