"""Arrays as people give them: what is taken, what is converted, and what the errors advise."""

import numpy as np
import pytest

from minidl.data.given import as_array, as_dtype, as_samples
from minidl.errors import DataError, ShapeError
from minidl.graph import tensor

NUMBERS = (
    "not real numbers; give an array of one number dtype (names of classes become numbers with "
    "numpy.unique(names, return_inverse=True))"
)


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        ([[1, 2], [3, 4]], "int64"),
        (((0.5,), (1,)), "float64"),
        ([True, False], "bool"),
        (np.ones((2, 3), ">f4"), "float32"),
        (tensor([1.0, 2.0]), "float32"),
        (range(4), "int64"),
        (np.ma.masked_array([1.0, 2.0]), "float64"),
    ],
)
def test_lists_and_arrays_of_any_library_become_arrays(given, dtype):
    array = as_array(given, "inputs")
    assert array.dtype == np.dtype(dtype) and array.dtype.isnative
    np.testing.assert_array_equal(array, np.asarray(given))


def test_an_array_is_not_copied():
    array = np.ones((2, 3), np.float32)
    assert as_samples(array, (3,), "float32", "inputs") is array


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1, 2], [3]], "inputs are no array: setting an array element with a sequence."),
        (["cat", "dog"], f"inputs have dtype <U3, {NUMBERS}"),
        ([None, 1], f"inputs have dtype object, {NUMBERS}"),
        ([1j], f"inputs have dtype complex128, {NUMBERS}"),
        (
            np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]], [[False, True], [False, False]]),
            "inputs are a masked array, of which 1 of 4 values are masked; fill them in "
            "(numpy.ma.filled), or leave those samples out",
        ),
        (0.5, "inputs are a single number; the first axis must be the samples"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(given, message):
    with pytest.raises(DataError) as caught:
        as_array(given, "inputs")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.array([0, 255]), "uint8"),
        (np.array([0.0, 255.0]), "uint8"),
        (np.array([-1.0, 2**40]), "int64"),
        (np.array([0, 1]), "bool"),
        (np.array([3, 2**31], np.uint32), "float32"),
        (np.array([0.1, np.nan, np.inf]), "float32"),
    ],
)
def test_values_that_fit_are_converted(given, dtype):
    converted = as_dtype(given, dtype, "inputs")
    assert converted.dtype == np.dtype(dtype)
    np.testing.assert_allclose(converted.astype(float), given.astype(float), rtol=1e-7)


@pytest.mark.parametrize(
    ("given", "dtype", "found"),
    [
        ([[0, 1], [2, 256]], "uint8", "[1, 1] is 256"),
        ([0, -1], "uint64", "[1] is -1"),
        ([0.0, 0.5], "uint8", "[1] is 0.5"),
        ([np.nan], "int64", "[0] is nan"),
        ([0, 2], "bool", "[1] is 2"),
        ([1.0, 1e39], "float32", "[1] is 1e+39"),
    ],
)
def test_a_value_that_does_not_fit_is_named(given, dtype, found):
    with pytest.raises(DataError) as caught:
        as_dtype(np.array(given), dtype, "inputs")
    assert str(caught.value) == (
        f"inputs{found}, but the samples are stored as {dtype}, which cannot hold it"
    )


SINGLE = "a single sample is a batch of one: numpy.reshape(inputs, "
RESHAPE = "reshape them: numpy.reshape(inputs, "


@pytest.mark.parametrize(
    ("given", "sample", "message"),
    [
        ((4,), (4,), f"(samples, 4), not (4,); {SINGLE}(1, 4))"),
        ((8, 8), (1, 8, 8), f"(samples, 1, 8, 8), not (8, 8); {SINGLE}(1, 1, 8, 8))"),
        ((1, 8, 8), (1, 8, 8), f"(samples, 1, 8, 8), not (1, 8, 8); {SINGLE}(1, 1, 8, 8))"),
        ((64,), (1, 8, 8), f"(samples, 1, 8, 8), not (64,); {SINGLE}(1, 1, 8, 8))"),
        ((5, 8, 8), (1, 8, 8), f"(samples, 1, 8, 8), not (5, 8, 8); {RESHAPE}(-1, 1, 8, 8))"),
        ((5, 64), (1, 8, 8), f"(samples, 1, 8, 8), not (5, 64); {RESHAPE}(-1, 1, 8, 8))"),
        ((5,), (1,), f"(samples, 1), not (5,); {RESHAPE}(-1, 1))"),
        ((5, 1), (), f"(samples,), not (5, 1); {RESHAPE}(-1,))"),
        (
            (5, 8, 9, 3),
            (3, 8, 9),
            "(samples, 3, 8, 9), not (5, 8, 9, 3); channels come first: "
            "numpy.moveaxis(inputs, -1, 1)",
        ),
        ((5, 3), (4,), "(samples, 4), not (5, 3)"),
    ],
)
def test_samples_of_another_shape_are_refused_with_what_would_help(given, sample, message):
    with pytest.raises(ShapeError) as caught:
        as_samples(np.ones(given), sample, "float32", "inputs")
    assert str(caught.value) == f"the model takes inputs of shape {message}"


def test_the_advice_makes_samples_of_the_right_shape():
    for given in ((8, 8), (64,), (5, 8, 8), (5, 64), (5, 8, 8, 1)):
        with pytest.raises(ShapeError) as caught:
            as_samples(np.ones(given), (1, 8, 8), "float32", "inputs")
        advice = str(caught.value).partition(": ")[2]
        fixed = eval(advice, {"numpy": np, "inputs": np.ones(given)})
        assert as_samples(fixed, (1, 8, 8), "float32", "inputs").shape[1:] == (1, 8, 8)
