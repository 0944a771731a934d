"""Initialisers whose values are given."""

import numpy as np
import pytest

from minidl import registry
from minidl.component import make
from minidl.errors import ConfigError, ShapeError


def first_values(init, shape, dtype="float32"):
    key = registry.get("op", "random_key")(0, 1, 0)
    return make("initializer", init)(key, shape, dtype).numpy()


@pytest.mark.parametrize(
    ("init", "number"), [("zeros", 0), ("ones", 1), ({"type": "constant", "value": 2.5}, 2.5)]
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_one_number_fills_any_shape(init, number, shape, dtype):
    values = first_values(init, shape, dtype)
    assert values.shape == shape
    assert values.dtype == dtype
    np.testing.assert_array_equal(values, np.full(shape, number, dtype))


def test_filled_values_can_be_written_to():
    values = first_values("ones", (2, 2))
    values[0, 0] = 5
    assert values.sum() == 8


def test_values_are_those_written_out():
    values = first_values({"type": "values", "values": [[1, 2.5], [-3, 0]]}, (2, 2))
    np.testing.assert_array_equal(values, np.array([[1, 2.5], [-3, 0]], "float32"))


def test_values_of_another_shape_are_refused():
    init = make("initializer", {"type": "values", "values": [[1, 2, 3], [4, 5, 6]]})
    with pytest.raises(ShapeError) as error:
        init.check_shape((3, 2))
    assert str(error.value) == "the values given have shape (2, 3), the parameter (3, 2)"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [[1, 2], [3]],
            "values: row 0 has shape (2,) and row 1 has shape (1,); all must be the same",
        ),
        ([1, "two"], "values: 'two' is not a number"),
        ([[True, False]], "values: True is not a number"),
    ],
)
def test_values_that_are_no_array_are_refused(values, message):
    cls = registry.get("initializer", "values")
    with pytest.raises(ConfigError) as error:
        cls(values=values)
    assert str(error.value) == f"initializer 'values': {message}"
