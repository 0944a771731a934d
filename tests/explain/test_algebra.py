"""Shortened formulas: exact text, and the same values as before."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.explain.algebra import Shortened
from minidl.graph import Program, placeholder
from minidl.graph.expression import Notation
from minidl.graph.leaves import scalar_constant
from minidl.graph.text import text

ONE = scalar_constant(1.0, "float64")


def spread(number: float):
    return ops.broadcast_to(scalar_constant(number, "float64"), (2, 3))


CASES = {
    "a factor of one": (lambda a, b: ONE * a, "a"),
    "numbers multiplied out": (lambda a, b: 0.5 * (a * 2.0), "a"),
    "a number in front": (lambda a, b: a * 3.0 * b, "3 * (a * b)"),
    "signs": (lambda a, b: (-a) * (-b) * (-b), "−a * b * b"),
    "a quotient of numbers": (lambda a, b: a * 6.0 / 3.0, "2 * a"),
    "a fraction": (lambda a, b: a / 4.0 * 0.5, "a / 8"),
    "a number by a value": (lambda a, b: 2.0 / (a * 4.0), "0.5 / a"),
    "a broadcast that happens anyway": (lambda a, b: spread(1.0) * a, "a"),
    "a broadcast of a number in a sum": (lambda a, b: spread(2.0) * 2.0 + a, "4 + a"),
    "a broadcast that is needed": (
        lambda a, b: spread(1.0) @ b.T,
        "broadcast_to(1, shape=(2, 3)) @ b.T",
    ),
    "a reshaped number": (lambda a, b: spread(3.0).reshape(3, 2).T * a, "3 * a"),
    "nothing added": (lambda a, b: a + 0.0 * ONE - 0.0 * ONE, "a"),
    "zero added to it": (lambda a, b: 0.0 * ONE + a, "a"),
    "two transposes": (lambda a, b: a.T.T, "a"),
    "a transposed product": (lambda a, b: (a.T @ b).T, "b.T @ a"),
    "a product nothing of which is transposed": (lambda a, b: (a @ ops.tanh(b.T)).T, None),
    "a sum whose axis goes": (
        lambda a, b: a.sum(axis=0, keepdims=True).reshape(3),
        "Σ(a, axis=0)",
    ),
    "a factor of zero": (lambda a, b: a * 0.0, "0 * a"),
}


@pytest.mark.parametrize(("function", "written"), CASES.values(), ids=CASES)
def test_a_formula_is_shortened_and_keeps_its_value(function, written):
    a, b = placeholder("a", (2, 3), "float64"), placeholder("b", (2, 3), "float64")
    result = function(a, b)
    short = Shortened([result], ())[result]
    if written is not None:
        assert text(Notation({}).expression(short)) == written
    arrays = list(np.random.default_rng(0).normal(size=(2, 2, 3)))
    before, after = Program([a, b], [result, short])(arrays)
    np.testing.assert_allclose(np.broadcast_to(after, before.shape), before, rtol=1e-12)


def test_nothing_is_moved_into_a_symbol_or_out_of_it():
    a = placeholder("a", (3,), "float64")
    h = a * 2.0
    result = h * 3.0
    short = Shortened([result], {id(h)})
    symbols = {id(short[h]): "h"}
    assert text(Notation(symbols).expression(short[result])) == "3 * h"
    assert text(Notation(symbols).expression(short[h])) == "2 * a"


def test_what_is_hidden_stays_as_it_is():
    a = placeholder("a", (2, 3), "float64")
    turned = a.T
    result = turned.T
    assert Shortened([result], (), {id(turned)})[result].op is ops.matrix_transpose
