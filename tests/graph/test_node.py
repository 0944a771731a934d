"""Nodes: immutability, cached values, promotion, operators."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.backends import use_backend
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph import Tensor, evaluate, placeholder, tensor, toposort
from minidl.graph.leaves import scalar_constant


def value(x):
    return tensor(np.asarray(x, dtype="float32"))


# -- values ----------------------------------------------------------------------------------


def test_a_tensor_has_no_attributes_but_its_own():
    node = value([1.0])
    with pytest.raises(AttributeError):
        node.label = "x"  # type: ignore[attr-defined]


def test_data_is_copied_so_that_changing_it_later_changes_nothing():
    data = np.ones(3, dtype="float32")
    node = tensor(data)
    double = node * 2.0
    data[:] = 7
    np.testing.assert_array_equal(node.numpy(), [1, 1, 1])
    np.testing.assert_array_equal(double.numpy(), [2, 2, 2])


def test_numpy_returns_an_array_of_its_own():
    node = value([1.0, 2.0])
    node.numpy()[:] = 9
    np.testing.assert_array_equal(node.numpy(), [1, 2])
    summed = node + node
    summed.numpy()[:] = 9
    np.testing.assert_array_equal(summed.numpy(), [2, 4])


def test_a_value_is_computed_once_and_kept():
    node = ops.exp(value([1.0]))
    assert node.array() is node.array()
    seen = ops.exp(node)
    first = node.array()
    seen.numpy()
    assert node.array() is first


def test_evaluating_together_computes_each_once():
    x = value([2.0])
    y = x * 3.0
    z = y + y
    first, second, third = evaluate([y, z, y])
    assert first is third
    np.testing.assert_array_equal(second, [12])


def test_a_value_moves_between_backends():
    node = value([1.0, 2.0]) * 2.0
    np.testing.assert_array_equal(node.numpy(), [2, 4])
    with use_backend("array_api_strict"):
        further = node + 1.0
        np.testing.assert_array_equal(further.numpy(), [3, 5])
    np.testing.assert_array_equal((further * 2.0).numpy(), [6, 10])


def test_a_placeholder_has_no_value():
    x = placeholder("pixels", (2, 3))
    with pytest.raises(GraphError) as caught:
        (x * 2.0).numpy()
    assert str(caught.value) == (
        "placeholder 'pixels' float32[2, 3] has no value here: it belongs to a function being "
        "traced or to a program that was not given it as an input"
    )


def test_one_element_becomes_a_python_number():
    assert float(value([[2.5]])) == 2.5
    assert int(tensor(3)) == 3
    assert bool(value(0.0)) is False
    assert tensor(4).item() == 4
    with pytest.raises(ShapeError) as caught:
        value([1.0, 2.0]).item()
    assert str(caught.value) == "item() takes a value of one element; this one has shape (2,)"


def test_length_and_iteration_follow_the_first_axis():
    assert len(value(np.zeros((3, 2)))) == 3
    with pytest.raises(TypeError, match="0-d"):
        len(value(1.0))


def test_equality_builds_a_node_and_hashing_is_by_identity():
    a, b = value([1.0]), value([1.0])
    assert isinstance(a == b, Tensor)
    assert (a == b).dtype == "bool"
    assert len({a, b, a}) == 2


def test_repr_names_spec_and_op():
    assert repr(tensor([1.0], name="w")) == "<Tensor 'w' float32[1] from constant>"
    assert repr(value([1.0]) + 1.0) == "<Tensor float32[1] from add>"


def test_numpy_takes_a_tensor_as_an_array():
    node = value([1.0, 2.0])
    np.testing.assert_array_equal(np.asarray(node), [1, 2])
    assert np.asarray(node, dtype="float64").dtype == np.float64
    assert isinstance(np.ones(2, dtype="float32") * node, Tensor)


# -- dtypes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, "float32"),
        ([1.0, 2], "float32"),
        (3, "int64"),
        ([[1, 2]], "int64"),
        (True, "bool"),
        ([], "float32"),
        (np.zeros(2), "float64"),
        (np.zeros(2, "uint8"), "uint8"),
        (np.float64(2.0), "float64"),
    ],
)
def test_the_dtype_of_a_constant(data, dtype):
    assert tensor(data).dtype == dtype


def test_unknown_dtypes_and_ragged_data_are_refused():
    with pytest.raises(DtypeError, match="^unknown dtype 'flaot32'; did you mean 'float32'?"):
        tensor([1.0], dtype="flaot32")
    with pytest.raises(DtypeError, match="^cannot make a tensor from list: "):
        tensor([[1.0, 2.0], [3.0]])
    with pytest.raises(DtypeError, match="^cannot make a tensor from complex: unknown dtype"):
        tensor(1j)
    with pytest.raises(DtypeError, match="^cannot make a tensor from str: .* is not a number$"):
        tensor("words")
    with pytest.raises(DtypeError, match="^cannot make a tensor from NoneType: "):
        tensor(None)
    with pytest.raises(DtypeError, match="^cannot make a tensor from list: .*out of bounds"):
        tensor([300], dtype="uint8")


@pytest.mark.parametrize(
    ("a", "b", "dtype"),
    [
        ("float32", "float64", "float64"),
        ("float32", "int64", "float32"),
        ("float16", "int32", "float16"),
        ("int8", "int32", "int32"),
        ("uint8", "int8", "int16"),
        ("uint8", "int32", "int32"),
        ("uint8", "uint16", "uint16"),
        ("bool", "int8", "int8"),
        ("bool", "float32", "float32"),
    ],
)
def test_promotion_of_two_arrays(a, b, dtype):
    assert (tensor(np.ones(2, a)) + tensor(np.ones(2, b))).dtype == dtype
    assert (tensor(np.ones(2, b)) + tensor(np.ones(2, a))).dtype == dtype


def test_uint64_with_a_signed_integer_is_refused():
    with pytest.raises(DtypeError) as caught:
        ops.add(np.ones(1, "uint64"), np.ones(1, "int8"))
    assert str(caught.value) == (
        "add: uint64 and a signed integer have no common dtype; cast one of them"
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("number", [2, 2.5, True])
def test_a_python_number_does_not_widen_a_float(dtype, number):
    x = tensor(np.ones(2, dtype))
    assert (x * number).dtype == dtype
    assert (number - x).dtype == dtype


def test_a_python_number_widens_the_kind_but_not_the_size():
    x = tensor(np.ones(2, "int8"))
    assert (x + 1).dtype == "int8"
    assert (x * 1.5).dtype == "float32"
    assert (tensor(np.array([True])) + 1).dtype == "int64"


def test_a_float_op_converts_integers():
    assert ops.exp([1, 2]).dtype == "float32"
    np.testing.assert_allclose(ops.exp([0, 1]).numpy(), np.exp([0, 1]), rtol=1e-6)


def test_equal_python_numbers_are_one_node_but_not_across_kinds_or_signs():
    assert scalar_constant(1.0, "float32") is scalar_constant(1.0, "float32")
    assert scalar_constant(1.0, "float32") is not scalar_constant(1.0, "float64")
    assert scalar_constant(0.0, "float32") is not scalar_constant(-0.0, "float32")
    assert np.signbit(scalar_constant(-0.0, "float32").numpy())
    assert scalar_constant(1, "int64") is not scalar_constant(True, "int64")


# -- errors of applying ops ------------------------------------------------------------------


def test_shapes_that_do_not_broadcast_are_named_with_their_axis():
    with pytest.raises(ShapeError) as caught:
        value(np.zeros((2, 3))) + value(np.zeros((2, 4)))
    assert str(caught.value) == (
        "add: shapes (2, 3) and (2, 4) do not broadcast: axis -1 is 3 in one and 4 in the other"
    )


def test_an_unknown_attribute_is_named():
    with pytest.raises(TypeError, match=r"^sum\(x, /, \*, axis=None, keepdims=False\): got an"):
        ops.sum([1.0], axes=0)


def test_an_axis_out_of_range_is_named():
    with pytest.raises(ShapeError) as caught:
        value(np.zeros((2, 3))).sum(axis=2)
    assert str(caught.value) == "sum: axis 2 is out of range for a value with 2 axes"
    with pytest.raises(ShapeError, match=r"sum: axes \(0, -2\) name an axis twice"):
        value(np.zeros((2, 3))).sum(axis=(0, -2))


def test_transposing_more_than_a_matrix_is_refused():
    with pytest.raises(ShapeError) as caught:
        value(np.zeros((2, 3, 4))).T  # noqa: B018
    assert str(caught.value) == (
        ".T takes a matrix, this has shape (2, 3, 4); use .mT or permute_dims"
    )


# -- order -----------------------------------------------------------------------------------


def test_toposort_puts_inputs_before_consumers_and_each_node_once():
    x = value([1.0])
    a, b = x * 2.0, x * 3.0
    z = a + b
    order = toposort([z, a])
    assert len(order) == len({id(node) for node in order})
    places = {id(node): place for place, node in enumerate(order)}
    for node in order:
        assert all(places[id(child)] < places[id(node)] for child in node.inputs)
    assert {id(z), id(a), id(b), id(x)} <= {*places}


def test_toposort_stops_at_known_values_when_told_to():
    x = value([1.0])
    y = x * 2.0
    y.numpy()
    z = y + 1.0
    assert x not in set(toposort([z], computed=False))
    assert x in set(toposort([z]))


def test_a_sign_before_a_value_is_an_op():
    x = value([1.0, -2.0])
    assert (+x).numpy().tolist() == [1.0, -2.0]
    assert (-x).numpy().tolist() == [-1.0, 2.0]
