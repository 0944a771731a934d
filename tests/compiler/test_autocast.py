"""Mixed precision: what is computed in which dtype, and how far that is from float32."""

import numpy as np
import pytest

from minidl import grad, ops, registry, tensor
from minidl.backends import backend
from minidl.compiler import autocast, simplify
from minidl.errors import GraphError
from minidl.graph import Graph, Program, placeholder, toposort
from minidl.graph.leaves import scalar_constant
from minidl.layers import Context

LOW = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
LAYERS = [entry.value for entry in registry.entries("layer") if entry.source == "minidl"]


def node(value, op_name):
    """Return the one node of an op that ``value`` needs."""
    (found,) = [n for n in toposort([value]) if n.op.name == op_name]
    return found


@pytest.fixture
def network():
    x, w, b = placeholder("x", (4, 3)), placeholder("w", (5, 3)), placeholder("b", (5,))
    return x, w, b, ops.softmax(ops.tanh(x @ w.T + b) * 2.0)


@pytest.mark.parametrize("low", LOW)
def test_products_are_low_steep_functions_are_not_and_numbers_follow(network, low):
    (z,) = autocast([network[-1]], low)
    assert z.dtype == "float32"
    assert [n.dtype for n in node(z, "matmul").inputs] == [low, low]
    for name in ("matmul", "add", "tanh", "multiply"):
        assert node(z, name).dtype == low
    assert node(z, "softmax").inputs[0].dtype == "float32"
    assert node(z, "multiply").inputs[1] is scalar_constant(2.0, low)


def test_a_value_computed_in_float32_keeps_what_it_meets_in_float32(network):
    x, w, *_ = network
    (z,) = autocast([ops.exp(x) + x @ w.T @ w], "float16")
    assert node(z, "add").dtype == "float32"


@pytest.mark.parametrize(
    ("number", "dtype"), [(1e-12, "float32"), (1e5, "float32"), (0.0, "float16")]
)
def test_a_number_that_float16_does_not_hold_keeps_its_op_in_float32(network, number, dtype):
    x, w, *_ = network
    (z,) = autocast([ops.maximum(x @ w.T, number)], "float16")
    assert node(z, "maximum").dtype == dtype


@pytest.mark.parametrize("low", LOW)
def test_gradients_of_parameters_are_float32_and_close(network, low):
    x, w, b, z = network
    (mixed,) = autocast([z], low)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=p.shape).astype("float32") for p in (x, w, b)]
    rows = tensor(rng.normal(size=z.shape).astype("float32"))
    wanted = [grad((value * rows).sum(), [x, w, b]) for value in (z, mixed)]
    assert [g.dtype for g in wanted[1]] == ["float32"] * 3
    exact, rounded = (Program([x, w, b], gradients)(arrays) for gradients in wanted)
    for a, c in zip(exact, rounded, strict=True):
        assert not np.array_equal(a, c)
        np.testing.assert_allclose(c, a, atol=20 * LOW[low] * np.abs(a).max())


def test_other_dtypes_and_values_that_are_known_stay_as_they_are():
    x, count = placeholder("x", (2, 2), "float64"), placeholder("n", (2, 2), "int64")
    product, sums = x @ x, count @ count
    for value in (product, sums, x):
        assert simplify(Graph((x, count), autocast([value], "float16"))).outputs == (value,)
    known = tensor([[1.0, 2.0]]) @ tensor([[3.0], [4.0]])
    known.numpy()
    assert node(autocast([known], "float16")[0], "matmul") is known


def test_an_op_declares_one_of_the_three():
    from minidl.graph.op import op

    with pytest.raises(GraphError) as caught:

        @op("half_hearted", elementwise=True, function="exp", autocast="half")
        class half_hearted:
            def backward(g, z, x):
                return g * z

    assert str(caught.value) == (
        "op 'half_hearted': unknown autocast 'half' (known: low, float32, widest)"
    )


@pytest.mark.parametrize("low", LOW)
@pytest.mark.parametrize("cls", LAYERS, ids=lambda cls: cls.type_name)
def test_every_layer_computes_nearly_the_same(cls, low):
    """Nearly, in the mean: a sample near a kink or a tie may go the other way."""
    case = cls.samples[0]
    layer = cls(**case.attributes)
    rng = np.random.default_rng(3)
    inputs = [placeholder(f"x{i}", *_spec(item)) for i, item in enumerate(case.inputs)]
    arrays = [_draw(item, rng) for item in case.inputs]
    layer.setup(*[x.spec for x in inputs])
    values = {p.path: placeholder(p.path, *p.spec) for p in layer.all_parameters()}
    parameters = [rng.normal(0, 0.5, p.shape).astype(p.dtype) for p in values.values()]
    z = layer(*inputs, context=Context(values, step=tensor(1)))
    (mixed,) = autocast([z], low)
    assert mixed.spec == z.spec
    program = Program([*inputs, *values.values()], [z, mixed], backend=backend("numpy"))
    exact, rounded = program([*arrays, *parameters])
    if exact.dtype.kind != "f":
        np.testing.assert_array_equal(rounded, exact)
        return
    assert np.abs(exact - rounded).mean() <= 30 * LOW[low] * np.abs(exact).mean()


def _spec(item):
    if hasattr(item, "shape"):
        return item.shape, "float32" if item.dtype == "float64" else item.dtype
    array = np.asarray(item)
    return array.shape, array.dtype.name


def _draw(item, rng):
    shape, dtype = _spec(item)
    if not hasattr(item, "low"):
        return np.asarray(item)
    return rng.uniform(item.low, item.high, shape).astype(dtype)
