"""The simplifying pass: fewer nodes, the same bits."""

import numpy as np
import pytest

from minidl import ops
from minidl.compiler import simplify
from minidl.graph import Graph, Program, Spec, placeholder, toposort, trace

X = Spec((3, 4))

CASES = {
    "x * 1": (lambda x: x * 1.0, 0),
    "1 * x": (lambda x: 1.0 * x, 0),
    "x / 1": (lambda x: x / 1.0, 0),
    "x ** 1": (lambda x: x**1.0, 0),
    "a double negation": (lambda x: ops.negative(ops.negative(x)), 0),
    "equal nodes are one": (lambda x: ops.exp(x) * ops.exp(x), 2),
    "equal chains are one": (lambda x: (-ops.exp(x)) + (-ops.exp(x)), 3),
    "equal nodes without inputs are one": (lambda x: ops.zeros(4) + (ops.zeros(4) + x), 3),
    "a reshape to its own shape": (lambda x: x.reshape(3, 4), 0),
    "a reshape of a reshape": (lambda x: x.reshape(12).reshape(6, 2), 1),
    "a reshape and back": (lambda x: x.reshape(12).reshape(3, 4), 0),
    "two transposes": (lambda x: x.T.T, 0),
    "two permutations that cancel": (
        lambda x: ops.permute_dims(ops.permute_dims(x, (1, 0)), (1, 0)),
        0,
    ),
    "two permutations in one": (
        lambda x: ops.permute_dims(ops.permute_dims(x.reshape(3, 2, 2), (2, 0, 1)), (1, 0, 2)),
        2,
    ),
    "a conversion to its own dtype": (lambda x: x.astype("float32"), 0),
    "different attributes stay apart": (lambda x: x.sum(axis=0).sum() + x.sum(axis=1).sum(), 5),
    "x * 1 that broadcasts stays": (lambda x: ops.ones((2, 3, 4)) * x, 2),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rewrite_saves_nodes_and_keeps_the_bits(name):
    function, count = CASES[name]
    graph = trace(function, X)
    simple = simplify(graph)
    computed = [node for node in toposort(simple.results) if node.op.name not in LEAVES]
    assert len(computed) == count
    given = [np.random.default_rng(0).normal(size=X.shape).astype("float32")]
    (before,) = Program(graph.inputs, graph.outputs)(given)
    (after,) = Program(simple.inputs, simple.outputs)(given)
    np.testing.assert_array_equal(before, after)


LEAVES = ("placeholder", "constant")


def test_inputs_and_state_are_kept():
    x, w = placeholder("x", (2,)), placeholder("w", (2,))
    simple = simplify(Graph((x,), ((w * 1.0).sum(),), ((w, w * 1.0 + x),)))
    assert simple.inputs == (x,)
    (held, new) = simple.state[0]
    assert held is w
    assert new.inputs[0] is w


def test_negative_zero_and_nan_survive():
    simple = simplify(trace(lambda x: x * 1.0, X))
    given = np.array([[-0.0, np.nan, np.inf, 1.0]] * 3, dtype="float32")
    (result,) = Program(simple.inputs, simple.outputs)([given])
    np.testing.assert_array_equal(np.signbit(result), np.signbit(given))
    np.testing.assert_array_equal(result, given)


def test_a_long_chain_needs_no_recursion():
    def chain(x):
        for _ in range(20_000):
            x = x * 1.0
        return x

    simple = simplify(trace(chain, Spec(())))
    assert simple.outputs[0] is simple.inputs[0]
