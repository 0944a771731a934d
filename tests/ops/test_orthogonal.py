"""Orthogonal matrices and normal quantiles."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from parity import compare_op_with_torch

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import tensor


@pytest.mark.parametrize("shape", [(6, 6), (8, 3), (3, 8), (1, 5), (5, 1), (40, 37)])
@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-13), ("float32", 2e-6)])
def test_rows_or_columns_are_orthonormal_and_come_from_x(shape, dtype, atol):
    x = np.random.default_rng([1, *shape]).normal(size=shape).astype(dtype)
    z = ops.orthogonalize(tensor(x)).numpy()
    assert z.dtype == dtype
    tall, given = (z, x) if shape[0] >= shape[1] else (z.T, x.T)
    np.testing.assert_allclose(tall.T @ tall, np.eye(min(shape)), atol=atol)
    r = tall.T @ given
    np.testing.assert_allclose(tall @ r, given, atol=20 * atol)
    np.testing.assert_allclose(np.tril(r, -1), 0, atol=20 * atol)
    assert (np.diagonal(r) > 0).all()


def test_what_is_orthogonal_stays_as_it_is():
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    np.testing.assert_allclose(ops.orthogonalize(tensor(quarter)).numpy(), quarter, atol=1e-15)


def test_what_is_no_matrix_is_refused():
    with pytest.raises(ShapeError) as error:
        ops.orthogonalize(tensor([1.0]))
    assert str(error.value) == "orthogonalize: takes a matrix, not a value of shape (1,)"


def test_quantiles_are_right_to_the_last_digits_from_end_to_end():
    powers = 10.0 ** np.arange(-300, 0, 7)
    p = np.concatenate([powers, np.linspace(0.01, 0.99, 99), 1 - powers[powers > 1e-16]])
    expected = [NormalDist().inv_cdf(float(share)) for share in p]
    np.testing.assert_allclose(ops.ndtri(tensor(p)).numpy(), expected, rtol=1e-13, atol=1e-15)


def test_quantiles_at_the_ends_and_outside():
    z = ops.ndtri(tensor([0.0, 1.0, 0.5, -0.1, 1.1, math.nan])).numpy()
    assert z[:3].tolist() == [-math.inf, math.inf, 0.0]
    assert np.isnan(z[3:]).all()


@pytest.mark.parity
def test_quantiles_and_their_gradients_are_those_of_pytorch():
    pytest.importorskip("torch")
    compare_op_with_torch("ndtri", [1e-4, 0.01, 0.074, 0.3, 0.5, 0.8, 0.926, 0.999])
