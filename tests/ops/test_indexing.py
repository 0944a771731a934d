"""Indexing: NumPy's own results, sums at repeated indices, and messages."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn

from minidl import ops
from minidl.backends import use_backend
from minidl.errors import DataError, DtypeError, ShapeError
from minidl.graph import grad, tensor

X = np.arange(2.0 * 3 * 4 * 5).reshape(2, 3, 4, 5)
ROWS, COLUMNS = np.array([2, 0, -1]), np.array([[1], [3]])

KEYS = {
    "integer": 1,
    "negative": -1,
    "numpy integer": np.int32(1),
    "all integers": (1, 2, 3, 4),
    "everything": ...,
    "nothing": (),
    "slices": (slice(None), slice(1, 3), slice(None, None, 2)),
    "downwards": (slice(None, None, -1), slice(None), slice(None, 0, -2)),
    "clamped": (slice(-100, 100), slice(2, 100), slice(9, None)),
    "empty": slice(3, 1),
    "new axes": (None, 0, ..., None, slice(1, 2), None),
    "list": [1, 0, 1],
    "negative list": (slice(None), [-1, -3]),
    "matrix of indices": (slice(None), slice(None), COLUMNS),
    "together": (slice(None), ROWS, COLUMNS),
    "last two": (..., ROWS, COLUMNS),
    "three": (0, ROWS, COLUMNS, 1),
    "integer between": (slice(None), ROWS, 0, COLUMNS),
    "parted by a slice": (slice(None), ROWS, slice(None), COLUMNS),
    "parted integer": (0, slice(None), [1, 2]),
    "parted by a new axis": (slice(None), ROWS, None, COLUMNS),
    "beside a new axis": (None, ROWS % 2, slice(1, 3)),
    "0-d array": (slice(None), np.array(1)),
    "no index": [],
}


@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"])
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_getitem_is_numpys(key, backend):
    expected = X[np.array(key, dtype=int) if isinstance(key, list) else key]
    with use_backend(backend):
        found = tensor(X)[key]
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found.numpy(), expected)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_getitem_is_numpys_for_any_key(data):
    shape = data.draw(drawn.array_shapes(max_dims=4, max_side=4))
    x = np.arange(float(np.prod(shape))).reshape(shape)
    key = data.draw(drawn.basic_indices(shape, allow_newaxis=True, max_dims=8))
    np.testing.assert_array_equal(tensor(x)[key].numpy(), x[key])
    arrays = data.draw(drawn.integer_array_indices(shape))
    np.testing.assert_array_equal(tensor(x)[arrays].numpy(), x[arrays])


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_its_gradient_counts_how_often_each_element_was_chosen(key):
    x = tensor(X)
    expected = np.zeros_like(X)
    np.add.at(expected, np.array(key, dtype=int) if isinstance(key, list) else key, 1)
    found = grad(x[key].sum(), x, unused="zeros")
    np.testing.assert_array_equal(found.numpy(), expected)


def test_an_index_may_itself_be_computed():
    x = tensor([[1.0, 5.0], [7.0, 2.0]])
    best = ops.argmax(x, axis=1)
    np.testing.assert_array_equal(x[ops.arange(2), best].numpy(), [5.0, 7.0])
    np.testing.assert_array_equal(x[best[1]].numpy(), [1.0, 5.0])


def test_taking_everything_makes_no_node():
    x = tensor(X)
    assert x[...] is x
    assert x[:, :] is x


def test_slices_are_kept_in_one_form():
    x = tensor(X)
    assert x[::2].attributes == x[0:1:7].attributes
    assert x[:, 5:9].attributes == x[:, 2:1].attributes
    assert x[..., 0:4:3].attributes == x[..., 0:5:3].attributes


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_indices_may_have_any_integer_dtype(dtype):
    table = tensor(np.arange(600.0).reshape(300, 2))
    indices = tensor(np.array([100, 3, 3]), dtype)
    expected = table.numpy()[[100, 3, 3]]
    for backend in ("numpy", "array_api_strict"):
        with use_backend(backend):
            np.testing.assert_array_equal(ops.take(table, indices, axis=0).numpy(), expected)


@pytest.mark.parametrize("shape", [(20_000,), (70, 60), ()])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_scatter_add_sums_repeated_indices(shape, axis):
    rng = np.random.default_rng(0)
    result = [3, 2, 2]
    result[axis] = 7
    indices = rng.integers(-7, 7, shape)
    values = rng.integers(-9, 9, (*result[:axis], *shape, *result[axis + 1 :])).astype("float64")
    expected = np.zeros(result)
    np.add.at(expected, (*[slice(None)] * axis, indices), values)
    for backend in ("numpy", "array_api_strict"):
        with use_backend(backend):
            found = ops.scatter_add(tensor(values), tensor(indices), shape=tuple(result), axis=axis)
            np.testing.assert_array_equal(found.numpy(), expected)


def test_scatter_add_keeps_an_infinity_where_it_belongs():
    values = tensor([np.inf, 1.0, 2.0, 3.0], "float64")
    for backend in ("numpy", "array_api_strict"):
        with use_backend(backend):
            found = ops.scatter_add(values, [2, 0, 0, 3], shape=(5,), axis=0)
            np.testing.assert_array_equal(found.numpy(), [3.0, 0.0, np.inf, 3.0, 0.0])


def test_scatter_add_into_an_array_of_another_order():
    from minidl.backends.numpy_kernels.indexing import scatter_add

    values = np.arange(12.0).reshape(4, 3)
    out = np.full((2, 3), 9.0, order="F")
    scatter_add(values, np.array([0, 1, 0, 1]), shape=(2, 3), axis=0, out=out)
    np.testing.assert_array_equal(out, [[6, 8, 10], [12, 14, 16]])


def test_along_an_axis_each_row_has_its_own_indices():
    x = tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    chosen = ops.take_along_axis(x, [[0, 0], [-1, 1]], axis=1)
    assert chosen.numpy().tolist() == [[1.0, 1.0], [6.0, 5.0]]
    assert grad(chosen.sum(), x).numpy().tolist() == [[2.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    best = ops.take_along_axis(x, ops.argmax(x, axis=0, keepdims=True), axis=0)
    assert best.numpy().tolist() == [[4.0, 5.0, 6.0]]
    everywhere = ops.take_along_axis(x, [[2]], axis=1)
    assert everywhere.numpy().tolist() == [[3.0], [6.0]]


def test_one_hot():
    found = ops.one_hot(tensor([[2, 0], [1, 1]]), 3, dtype="int32")
    assert found.dtype == "int32"
    np.testing.assert_array_equal(found.numpy(), np.eye(3, dtype="int32")[[[2, 0], [1, 1]]])
    first = ops.one_hot(tensor([[2, 0], [1, 1]], "uint8"), 300, axis=0).numpy()
    assert first.shape == (300, 2, 2)
    assert first.sum() == 4
    assert first[2, 0, 0] == first[0, 0, 1] == first[1, 1, 0] == first[1, 1, 1] == 1


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (3, ShapeError, "getitem: index 3 is out of range for axis 0 of length 2"),
        ((0, -4), ShapeError, "getitem: index -4 is out of range for axis 1 of length 3"),
        ((0,) * 5, ShapeError, "getitem: 5 indices were given for a value with 4 axes"),
        (
            (..., 0, ...),
            ShapeError,
            "getitem: a key may hold one ellipsis (...), not several",
        ),
        (
            X > 0,
            DtypeError,
            "getitem: boolean masks cannot index a value; use where(mask, x, other)",
        ),
        (
            True,
            DtypeError,
            "getitem: boolean masks cannot index a value; use where(mask, x, other)",
        ),
        (
            [True, False],
            DtypeError,
            "getitem: boolean masks cannot index a value; use where(mask, x, other)",
        ),
        (np.array([0.5]), DtypeError, "getitem: indices must be integers, not float64"),
        (
            "name",
            DtypeError,
            "getitem: indices are integers, slices, None, ... or integer arrays, not str",
        ),
        (
            1.0,
            DtypeError,
            "getitem: indices are integers, slices, None, ... or integer arrays, not float",
        ),
    ],
)
def test_a_key_that_is_none_is_refused(key, error, message):
    with pytest.raises(error) as caught:
        tensor(X)[key]
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (
            lambda: tensor(X)[:, [0, 5]],
            ShapeError,
            "take: index 5 at [1] is out of range for an axis of length 3",
        ),
        (
            lambda: ops.take(tensor([1.0, 2.0]), -3),
            ShapeError,
            "take: index -3 is out of range for an axis of length 2",
        ),
        (
            lambda: tensor(X)[:, [0, 1], [[0, 1], [2, 9]]],
            ShapeError,
            "getitem: index 9 at [1, 1] is out of range for an axis of length 4",
        ),
        (
            lambda: ops.take_along_axis(tensor([[1.0, 2.0]]), [[0, 2]]),
            ShapeError,
            "take_along_axis: index 2 at [0, 1] is out of range for an axis of length 2",
        ),
        (
            lambda: ops.scatter_add(tensor([1.0, 2.0]), [1, 4], shape=(4,), axis=0),
            ShapeError,
            "scatter_add: index 4 at [1] is out of range for an axis of length 4",
        ),
        (
            lambda: ops.one_hot([0, 10, 11], 10),
            DataError,
            "class index 10 at [1] is not one of 10 classes (0 to 9)",
        ),
        (
            lambda: ops.one_hot(-1, 10),
            DataError,
            "class index -1 is not one of 10 classes (0 to 9)",
        ),
    ],
)
def test_an_index_out_of_range_is_named_when_the_program_runs(made, error, message):
    with pytest.raises(error) as caught:
        made().numpy()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda x: ops.take(x, 0), "take: a value with 4 axes needs axis="),
        (lambda x: ops.take(x, 0.5, axis=0), "take: indices must be integers, not float32"),
        (
            lambda x: ops.take_along_axis(x, [0, 1]),
            "take_along_axis: a value of shape (2, 3, 4, 5) takes indices with 4 axes, "
            "not of shape (2,)",
        ),
        (
            lambda x: ops.take_along_axis(x[0, 0], [[0], [1]], axis=1),
            "take_along_axis: shapes (4, 1) and (2, 1) do not broadcast: axis -2 is 4 in one and "
            "2 in the other",
        ),
        (
            lambda x: ops.take_along_axis(x, 0.5),
            "take_along_axis: indices must be integers, not float32",
        ),
        (lambda x: ops.one_hot(x, 3), "one_hot: indices must be integers, not float64"),
        (
            lambda x: ops.slice(x, ranges=[(0, 1, 1)]),
            "slice: 1 ranges were given for a value with 4 axes",
        ),
        (
            lambda x: ops.slice(x[0, 0, 0], ranges=[(3, 6, 1)]),
            "slice: range (3, 6, 1) leaves axis 0 of length 5",
        ),
        (
            lambda x: ops.unslice(x[0, 0, 0], ranges=[(0, 4, 1)], shape=(9,)),
            "unslice: a value of shape (5,) does not fill ranges ((0, 4, 1),)",
        ),
        (
            lambda x: ops.scatter_add(x[0, 0, 0], [0, 1], shape=(4,), axis=0),
            "scatter_add: indices of shape (2,) along axis 0 of shape (4,) take values "
            "of shape (2,), not (5,)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(made, message):
    with pytest.raises((ShapeError, DtypeError)) as caught:
        made(tensor(X))
    assert str(caught.value) == message
