"""The gradient engine: sum at fan-out, each node once, un-broadcasting, structure, messages."""

from __future__ import annotations

import dataclasses
import gc
import weakref
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest

from minidl import ops
from minidl.errors import DtypeError, GradientError, GraphError, ShapeError
from minidl.graph import Program, evaluate, grad, placeholder, tensor, toposort
from minidl.graph.gradient import backward, fit
from minidl.graph.spec import Spec
from minidl.testing import check_gradient


def value(x, name=""):
    return tensor(np.asarray(x, dtype="float64"), name=name)


# -- the sum rule and the chain rule ---------------------------------------------------------


def test_a_value_used_twice_receives_the_sum():
    x = value([2.0, 3.0])
    np.testing.assert_array_equal(grad((x * x).sum(), x).numpy(), [4, 6])
    np.testing.assert_array_equal(grad((x + x + x).sum(), x).numpy(), [3, 3])
    np.testing.assert_array_equal(grad((x - x).sum(), x).numpy(), [0, 0])


def counting(declared, calls: Counter):
    """Return ``declared`` with a rule that counts how often it is applied."""

    def rule(*args, **attributes):
        calls[declared.name] += 1
        return declared.backward(*args, **attributes)

    return dataclasses.replace(declared, backward=rule)


def test_each_rule_of_a_diamond_is_applied_once():
    calls: Counter = Counter()
    exp, multiply, add = (counting(ops_, calls) for ops_ in (ops.exp, ops.multiply, ops.add))
    x = value([0.5])
    for _ in range(30):  # 2**30 paths from the loss to x
        y = exp(x)
        x = add(multiply(y, 0.1), multiply(y, 0.2))
    start = next(node for node in toposort([x]) if node.shape == (1,) and not node.inputs)
    grad(x.sum(), start)
    assert calls == {"exp": 30, "multiply": 60, "add": 30}


def test_rules_off_the_way_to_the_variables_are_not_applied():
    calls: Counter = Counter()
    exp = counting(ops.exp, calls)
    x, other = value([1.0]), value([1.0])
    loss = (exp(x) * exp(other)).sum()
    grad(loss, x)
    assert calls == {"exp": 1}


def test_gradients_of_inner_nodes_are_found():
    x = value([1.0, 2.0])
    h = x * 3.0
    loss = (h * h).sum()
    by_h, by_x, by_loss = grad(loss, [h, x, loss])
    np.testing.assert_array_equal(by_h.numpy(), [6, 12])
    np.testing.assert_array_equal(by_x.numpy(), [18, 36])
    assert by_loss.numpy() == 1


def test_a_variable_behind_another_gets_its_own_gradient_too():
    x = value([1.0])
    y = ops.exp(x)
    z = ops.exp(y)
    by_y, by_x = grad(z.sum(), (y, x))
    e = np.e
    np.testing.assert_allclose(by_y.numpy(), [np.exp(e)])
    np.testing.assert_allclose(by_x.numpy(), [np.exp(e) * e])


def test_grad_output_weights_the_outputs():
    x = value([1.0, 2.0])
    g = grad(x * x, x, grad_output=np.array([1.0, 10.0]))
    np.testing.assert_array_equal(g.numpy(), [2, 40])


def test_the_worked_example_of_the_chain_rule_matches_a_hand_computation():
    g, y, b = value([[1.0], [2.0]]), value([[0.5], [0.1]]), value([[0.1], [0.2]])
    weight = value([[0.3, -0.2], [0.4, 0.5]])
    h = ops.sigmoid(weight @ g + b)
    loss = 0.5 * ((h - y) * (h - y)).sum()
    by_f = (h.numpy() - y.numpy()) * h.numpy() * (1 - h.numpy())
    found = grad(loss, {"b": b, "W": weight, "g": g})
    np.testing.assert_allclose(found["b"].numpy(), by_f, rtol=1e-14)
    np.testing.assert_allclose(found["W"].numpy(), by_f @ g.numpy().T, rtol=1e-14)
    np.testing.assert_allclose(found["g"].numpy(), weight.numpy().T @ by_f, rtol=1e-14)


# -- higher derivatives ----------------------------------------------------------------------


def nth(function, order, at):
    x = value(at)
    y = function(x)
    for _ in range(order):
        y = grad(y.sum(), x)
    return y.numpy()


POINTS = np.array([-1.3, -0.2, 0.4, 1.7])


@pytest.mark.parametrize(
    ("function", "third"),
    [
        (lambda x: x**4, lambda x: 24 * x),
        (ops.exp, np.exp),
        (lambda x: ops.tanh(x), lambda x: (6 * np.tanh(x) ** 2 - 2) * (1 - np.tanh(x) ** 2)),
        (lambda x: x * x * x * x, lambda x: 24 * x),
        (lambda x: 1 / x, lambda x: -6 / x**4),
    ],
    ids=["x**4", "exp", "tanh", "product", "reciprocal"],
)
def test_third_derivatives_have_their_closed_form(function, third):
    np.testing.assert_allclose(nth(function, 3, POINTS), third(POINTS), rtol=1e-12)


def test_derivatives_of_a_quartic_end_with_a_constant():
    np.testing.assert_array_equal(nth(lambda x: x * x * x * x, 4, POINTS), np.full(4, 24.0))
    with pytest.raises(GradientError, match="the loss does not depend on"):
        nth(lambda x: x * x * x * x, 5, POINTS)


def test_a_mixed_derivative_is_symmetric():
    x, y = value(0.7), value(-0.4)
    z = ops.exp(x * y) * y
    xy = grad(grad(z, x), y).item()
    yx = grad(grad(z, y), x).item()
    assert xy == pytest.approx(yx, rel=1e-14)
    assert xy == pytest.approx(np.exp(-0.28) * -0.4 * (2 - 0.28), rel=1e-13)


# -- un-broadcasting -------------------------------------------------------------------------

PATTERNS = [
    ((3,), (2, 3)),
    ((1, 3), (2, 3)),
    ((2, 1), (2, 3)),
    ((1,), (2, 3)),
    ((1, 1), (2, 3)),
    ((), (2, 3)),
    ((), ()),
    ((1,), ()),
    ((3, 1), (2, 1, 4)),
    ((4, 1, 1), (5, 4, 2, 3)),
    ((2, 1, 3), (1, 4, 1)),
    ((0, 1), (3,)),
    ((1,), (0,)),
]


@pytest.mark.parametrize(("a", "b"), PATTERNS)
def test_a_broadcast_input_receives_the_sum_over_its_copies(a, b):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=a), rng.normal(size=b)
    p, q = value(x), value(y)
    by_p, by_q = grad((p * q).sum(), (p, q))
    full = np.broadcast_shapes(a, b)
    assert by_p.shape == a
    assert by_q.shape == b
    np.testing.assert_allclose(by_p.numpy(), summed(np.broadcast_to(y, full), a), rtol=1e-13)
    np.testing.assert_allclose(by_q.numpy(), summed(np.broadcast_to(x, full), b), rtol=1e-13)


def summed(array, shape):
    """Sum ``array`` down to ``shape``, element by element."""
    result = np.zeros(shape)
    for index in np.ndindex(array.shape):
        tail = index[len(index) - len(shape) :]
        place = tuple(0 if n == 1 else i for i, n in zip(tail, shape, strict=True))
        result[place] += array[index]
    return result


@pytest.mark.parametrize(("a", "b"), PATTERNS)
def test_broadcasting_passes_the_gradient_check(a, b):
    check_gradient(lambda x, y: ops.exp(x) * y - x, [a, b])


def test_fit_broadcasts_a_gradient_that_is_the_same_for_many():
    g = fit(value([[2.0]]), Spec((3, 4), "float64"))
    np.testing.assert_array_equal(g.numpy(), np.full((3, 4), 2.0))


def test_gradients_have_the_dtype_of_their_variable():
    x = tensor(np.ones(3, "float32"))
    y = tensor(np.ones(3, "float64"))
    by_x, by_y = grad((x * y).sum(), (x, y))
    assert (by_x.dtype, by_y.dtype) == ("float32", "float64")


# -- structure -------------------------------------------------------------------------------


class Pair(NamedTuple):
    a: object
    b: object


def test_gradients_come_in_the_structure_of_the_variables():
    x, y = value(2.0), value(3.0)
    loss = x * x * y
    found = grad(loss, {"w": [x, (y,)], "p": Pair(x, {"deep": y})})
    assert found["w"][0].item() == 12
    assert isinstance(found["w"][1], tuple)
    assert found["w"][1][0].item() == 4
    assert isinstance(found["p"], Pair)
    assert found["p"].b["deep"].item() == 4
    assert grad(loss, []) == []
    assert grad(loss, [x, x])[1].item() == 12


def test_something_else_than_a_tensor_is_refused():
    with pytest.raises(GraphError) as caught:
        grad(value(1.0), {"w": 3.0})
    assert str(caught.value) == "wrt must be a Tensor, not float"
    with pytest.raises(GraphError) as caught:
        grad(1.0, value(1.0))
    assert str(caught.value) == "loss must be a Tensor, not float"


# -- messages --------------------------------------------------------------------------------


def test_a_loss_that_is_no_scalar_is_refused():
    x = value([1.0, 2.0])
    with pytest.raises(ShapeError) as caught:
        grad(x * x, x)
    assert str(caught.value) == (
        "the loss must be a scalar, not of shape (2,); "
        "reduce it (.sum(), .mean()) or give grad_output"
    )


def test_a_grad_output_of_another_shape_is_refused():
    x = value([1.0, 2.0])
    with pytest.raises(ShapeError) as caught:
        grad(x * x, x, grad_output=np.ones(3))
    assert str(caught.value) == "grad_output has shape (3,), the loss (2,)"


def test_an_unused_variable_is_an_error_that_names_it():
    x, unused = value(1.0), value([1.0, 2.0], name="bias")
    with pytest.raises(GradientError) as caught:
        grad(x * x, [x, unused])
    assert str(caught.value) == (
        "the loss does not depend on 'bias' through differentiable ops; "
        "give unused='zeros' if that is meant"
    )
    with pytest.raises(GradientError, match=r"depend on <Tensor float64\[\] from constant>"):
        grad(x * x, value(1.0))


def test_an_unused_variable_gets_zeros_when_asked_for():
    x, unused = value(1.0), tensor(np.ones((2, 3), "float32"))
    _, zeros = grad(x * x, [x, unused], unused="zeros")
    assert zeros.spec == unused.spec
    np.testing.assert_array_equal(zeros.numpy(), np.zeros((2, 3)))


def test_a_path_through_integers_or_comparisons_carries_no_gradient():
    x = value([1.0, -2.0])
    with pytest.raises(GradientError, match="through differentiable ops"):
        grad((x > 0).astype("float64").sum(), x)
    gate = (x > 0).astype("float64")
    np.testing.assert_array_equal(grad((gate * x).sum(), x).numpy(), [1, 0])


def test_integers_cannot_be_differentiated_by_or_from():
    x, i = value([1.0]), tensor([1])
    with pytest.raises(DtypeError) as caught:
        grad((x * i).sum(), i)
    assert str(caught.value) == "cannot differentiate by a value of dtype int64; use a float"
    with pytest.raises(DtypeError) as caught:
        grad(i.sum(), x)
    assert str(caught.value) == "cannot differentiate a loss of dtype int64; use a float"


def test_an_op_without_a_gradient_says_why():
    stuck = dataclasses.replace(ops.exp, backward=None, no_gradient="nobody wrote it")
    x = value([1.0])
    with pytest.raises(GradientError) as caught:
        grad(stuck(x).sum(), x)
    assert str(caught.value) == "exp has no gradient: nobody wrote it"


def test_a_rule_with_a_wrong_number_of_gradients_is_named():
    short = dataclasses.replace(ops.multiply, backward=lambda g, z, a, b: g * b)
    x = value([1.0])
    with pytest.raises(GradientError) as caught:
        grad(short(x, 2.0).sum(), x)
    assert str(caught.value) == ("the gradient rule of multiply returned 1 gradients for 2 inputs")


# -- observing and depth ---------------------------------------------------------------------


def test_an_observer_is_told_each_rule_in_order():
    x = value([1.0])
    y = ops.exp(x)
    loss = y.sum()
    seen = []
    found = backward(loss, tensor(1.0), [x], observe=lambda node, g, gs: seen.append((node, gs)))
    assert [node for node, _ in seen] == [loss, y]
    assert seen[-1][1][0] is found[id(x)]


def test_a_chain_of_20000_nodes_is_built_differentiated_run_and_freed():
    depth = 20_000
    x = placeholder("x", (), "float64")
    y = x
    for _ in range(depth):
        y = y * 1.0001
    assert len(toposort([y])) == depth + 2
    g = grad(y, x)
    value_, slope = Program([x], [y, g])([np.asarray(2.0)])
    assert float(value_) == pytest.approx(2 * 1.0001**depth, rel=1e-10)
    assert float(slope) == pytest.approx(1.0001**depth, rel=1e-10)
    alive = weakref.ref(y)
    del y, g
    gc.collect()
    assert alive() is None


def test_a_chain_of_20000_values_is_computed_without_a_program():
    y = value(1.0)
    for _ in range(20_000):
        y = y + 1.0
    assert evaluate([y])[0] == 20_001


def test_no_gradient_flows_through_a_detached_value():
    x = tensor([1.0, 2.0])
    y = x * x
    loss = (y.detach() * x).sum()
    np.testing.assert_array_equal(grad(loss, x).numpy(), [1.0, 4.0])
    with pytest.raises(GradientError, match="does not depend on"):
        grad(y.detach().sum(), x)


def test_a_computed_value_that_is_detached_lets_go_of_what_it_came_from():
    x = tensor(np.ones(3, dtype="float32"))
    y = x * 2.0
    y.numpy()
    origin = weakref.ref(y)
    kept = y.detach()
    del y
    gc.collect()
    assert origin() is None
    np.testing.assert_array_equal(kept.numpy(), [2.0, 2.0, 2.0])
