"""Shapes and dtypes before anything is computed."""

from __future__ import annotations

import itertools

import array_api_strict
import numpy as np
import pytest

from minidl.backends.dtypes import LOW_PRECISION, dtype_object
from minidl.errors import DtypeError, ShapeError
from minidl.graph.spec import (
    DTYPES,
    FLOATS,
    INTEGERS,
    Spec,
    broadcast_shapes,
    check_dtype,
    is_float,
    normalize_axes,
    normalize_axis,
    promote,
)


def test_a_spec_knows_its_size():
    spec = Spec((2, 3, 4), "int16")
    assert (spec.ndim, spec.size, spec.nbytes) == (3, 24, 48)
    assert str(spec) == "int16[2, 3, 4]"
    assert spec.with_shape([6]) == Spec((6,), "int16")
    assert spec.with_dtype("float64") == Spec((2, 3, 4), "float64")
    assert Spec(()).size == 1
    assert Spec((0, 5)).size == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_sizes_are_those_of_numpy(dtype):
    assert Spec((7,), dtype).nbytes == np.zeros(7, dtype_object(np, dtype)).nbytes


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_dtype_is_known_by_name_and_by_any_namespaces_object(dtype):
    assert check_dtype(dtype) == dtype
    assert check_dtype(np.dtype(dtype_object(np, dtype))) == dtype
    assert check_dtype(dtype_object(np, dtype)) == dtype
    if dtype not in LOW_PRECISION:
        assert check_dtype(getattr(array_api_strict, dtype)) == dtype


@pytest.mark.parametrize("dtype", ["complex64", "str", "object", "f4x"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(DtypeError, match=f"^unknown dtype '{dtype}'"):
        check_dtype(dtype)


def test_promotion_does_not_depend_on_order_and_holds_both():
    for a, b in itertools.product(DTYPES, repeat=2):
        if {a, b} & {"uint64"} and any(d in INTEGERS and d[0] == "i" for d in (a, b)):
            with pytest.raises(DtypeError, match="no common dtype"):
                promote([a, b])
            continue
        common = promote([a, b])
        assert common == promote([b, a])
        assert is_float(common) == (is_float(a) or is_float(b))
        if not is_float(common):
            assert common == np.promote_types(a, b).name


def test_among_floats_the_wider_wins():
    for a, b in itertools.product(FLOATS, repeat=2):
        if {a, b} == {"float16", "bfloat16"}:
            assert promote([a, b]) == "float32"
            continue
        found = np.promote_types(dtype_object(np, a), dtype_object(np, b))
        assert promote([a, b]) == found.name


SHAPES = [(), (1,), (3,), (1, 3), (2, 1), (2, 3), (4, 1, 3), (0,), (1, 0), (4,)]


def test_shapes_broadcast_as_in_numpy():
    for shapes in itertools.product(SHAPES, repeat=3):
        try:
            expected = np.broadcast_shapes(*shapes)
        except ValueError:
            with pytest.raises(ShapeError, match="do not broadcast"):
                broadcast_shapes(*shapes)
        else:
            assert broadcast_shapes(*shapes) == expected


def test_the_axis_where_shapes_disagree_is_counted_from_the_right():
    with pytest.raises(ShapeError) as caught:
        broadcast_shapes((5, 2, 3), (4, 3))
    assert str(caught.value) == (
        "shapes (5, 2, 3) and (4, 3) do not broadcast: axis -2 is 2 in one and 4 in the other"
    )


def test_axes_are_counted_from_the_front():
    assert normalize_axis(-1, 3) == 2
    assert normalize_axes(None, 3) == (0, 1, 2)
    assert normalize_axes(-1, 3) == (2,)
    assert normalize_axes(np.int64(-1), 3) == (2,)
    assert normalize_axes([2, -3], 3) == (0, 2)
    assert normalize_axes((), 3) == ()


@pytest.mark.parametrize("axis", [3, -4, np.int64(3)])
def test_an_axis_that_is_not_there_is_refused(axis):
    with pytest.raises(ShapeError) as caught:
        normalize_axis(axis, 3)
    assert str(caught.value) == f"axis {axis} is out of range for a value with 3 axes"


@pytest.mark.parametrize("axis", [1.0, "0", None])
def test_an_axis_that_is_no_integer_is_refused(axis):
    with pytest.raises(ShapeError) as caught:
        normalize_axis(axis, 3)
    assert str(caught.value) == f"an axis is an integer, not {axis!r}"
    with pytest.raises(ShapeError):
        normalize_axes((0, 1.0), 3)
