"""Expressions as text and as LaTeX: signs, powers, sums, parentheses, and reading text back."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from minidl import ops
from minidl.graph import placeholder, tensor
from minidl.graph.expression import Notation, number
from minidl.graph.latex import latex, latex_symbol
from minidl.graph.text import evaluable, text


def parse(written: str) -> ast.expr:
    return ast.parse(written, mode="eval").body


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a - b", "a − b"),
        ("a - (b - c)", "a − (b − c)"),
        ("-(a * b)", "−a * b"),
        ("-(a / b)", "−a / b"),
        ("a + -b", "a − b"),
        ("a + -(b * c)", "a − b * c"),
        ("a - -b * c", "a + b * c"),
        ("x ** 2 + y ** 3", "x² + y³"),
        ("x ** 4 + y ** 2.5", "x ** 4 + y ** 2.5"),
        ("(a + b) ** 2", "(a + b)²"),
        ("-(x ** 2)", "−x²"),
        ("0.5 * Σ((h - y) ** 2)", "½ Σ (h_i − y_i)²"),
        ("-Σ(y * p)", "−Σ y_i * p_i"),
        ("2.5 * Σ(p - q)", "2.5 Σ (p_i − q_i)"),
        ("Σ(x, axis=1)", "Σ(x, axis=1)"),
        ("Σ(f(x))", "Σ(f(x))"),
        ("Σ(x) + 1", "Σ(x) + 1"),
        ("f(x, dtype='a-b')", "f(x, dtype='a-b')"),
    ],
)
def test_text(written, shown):
    assert text(parse(written)) == shown


def test_single_numbers_have_no_index_under_a_sum():
    assert text(parse("Σ(c * x)"), scalars={"c"}) == "Σ c * x_i"
    assert latex(parse("Σ(c * x)"), scalars={"c"}) == r"\sum_{i} c \odot x_{i}"


def test_a_gradient_is_put_in_brackets_where_its_bar_could_be_misread():
    g = ast.Name("∂L/∂z")
    assert text(ast.BinOp(ast.Name("a"), ast.Div(), g)) == "a / (∂L/∂z)"
    assert text(ast.BinOp(g, ast.Div(), ast.Name("a"))) == "∂L/∂z / a"
    assert text(ast.Attribute(g, "T")) == "(∂L/∂z).T"
    assert text(ast.BinOp(g, ast.Pow(), ast.Constant(2))) == "(∂L/∂z)²"


def test_text_leaves_the_expression_as_it_was():
    expression = parse("-(a * b) + Σ(x ** 2)")
    before = ast.dump(expression)
    text(expression)
    latex(expression)
    assert ast.dump(expression) == before


@pytest.mark.parametrize(
    ("shown", "value"),
    [
        ("½ Σ (a_i − b_i)²", 4),
        ("−2.5 Σ a_i * b_i", -45),
        ("Σ a_i", 4),
        ("a² − −b³", [28, 134]),
        ("∂L/∂a * b / (∂L/∂ab)", [3, 10]),
    ],
)
def test_text_can_be_evaluated_again(shown, value):
    known = {
        "a": np.array([1.0, 3.0]),
        "b": np.array([3.0, 5.0]),
        "Σ": np.sum,
        "ga": np.array([2.0, 4.0]),
        "gab": 2.0,
    }
    code = evaluable(shown, {"∂L/∂a": "ga", "∂L/∂ab": "gab"})
    np.testing.assert_array_equal(eval(code, known), value)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x", "x"),
        ("LOSS", r"\mathrm{LOSS}"),
        ("σ", r"\sigma"),
        ("W_f", "W_{f}"),
        ("h12", "h_{12}"),
        ("∂LOSS/∂W1", r"\frac{\partial \mathrm{LOSS}}{\partial W_{1}}"),
        ("∂L/∂W_enc_f", r"\frac{\partial L}{\partial W_{\mathrm{enc},f}}"),
    ],
)
def test_latex_of_symbols(name, shown):
    assert latex_symbol(name) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a * (b + c)", r"a \odot \left(b + c\right)"),
        ("W.T @ g", r"W^{\top} \, g"),
        ("(A @ B).T", r"\left(A \, B\right)^{\top}"),
        ("1 / (1 + exp(-x))", r"\frac{1}{1 + e^{-x}}"),
        ("a - (b - c)", r"a - \left(b - c\right)"),
        ("2 * x", r"2 \, x"),
        ("sqrt(x) + abs(y)", r"\sqrt{x} + \left| y \right|"),
        ("g * (a // b)", r"g \odot \left\lfloor \frac{a}{b} \right\rfloor"),
        ("a % b", r"a \,\mathrm{mod}\, b"),
        ("floor(x) - ceil(x)", r"\left\lfloor x \right\rfloor - \left\lceil x \right\rceil"),
        ("x > 0", "x > 0"),
        ("-(x ** 2)", "-x^{2}"),
        ("where(x == -inf, 0, x)", r"\mathrm{where}\left(x = -\infty, 0, x\right)"),
        ("1e-05 * x", r"1 \cdot 10^{-5} \, x"),
        ("0.5 * Σ((h - y) ** 2)", r"\frac{1}{2} \sum_{i} \left(h_{i} - y_{i}\right)^{2}"),
        (
            "log_softmax(x, axis=1)",
            r"\mathrm{log\_softmax}\left(x, \mathrm{axis}=1\right)",
        ),
    ],
)
def test_latex(written, shown):
    assert latex(parse(written)) == shown


def test_numbers():
    shown = [text(number(value)) for value in (1.0, -2.0, 0.25, float("inf"), -float("inf"))]
    assert shown == ["1", "−2", "0.25", "inf", "−inf"]
    assert text(number(float("nan"))) == "nan"


# -- from nodes --------------------------------------------------------------------------------


def shown(node, **symbols) -> str:
    return text(Notation({id(value): name for name, value in symbols.items()}).expression(node))


def test_an_op_prints_by_its_notation_or_as_a_call():
    a, b = placeholder("a", (3, 3)), placeholder("b", (3, 3))
    assert shown((a + b) * a.T) == "(a + b) * a.T"
    assert shown(ops.softmax(a, axis=0)) == "softmax(a, axis=0)"
    assert shown(ops.concat([a, b], axis=1)) == "concat([a, b], axis=1)"


def test_attributes_that_are_the_default_are_left_out():
    a = placeholder("a", (2, 3))
    assert shown(ops.softmax(a, axis=-1)) == "softmax(a)"
    assert shown(a.sum(axis=(0, 1))) == "Σ a_i"
    assert shown(a.mean(axis=0, keepdims=True)) == "mean(a, axis=0, keepdims=True)"


def test_conversions_between_numbers_are_not_written():
    a = placeholder("a", (3,), "float32")
    assert shown(a.astype("float64") * (a > 0)) == "a * (a > 0)"
    assert shown(a.astype("int64")) == "astype(a, dtype='int64')"


def test_the_transpose_of_a_batch_of_matrices_is_mT():
    assert shown(placeholder("a", (2, 3, 4)).mT) == "a.mT"


def test_small_constants_print_as_lists_and_large_ones_as_shapes():
    a = placeholder("a", (20,))
    assert shown(a + tensor([0.5] * 20)) == "a + constant(shape=(20,))"
    assert shown(placeholder("b", (2,)) + tensor([0.5, 1.0])) == "b + [0.5, 1]"
    assert shown(a + tensor([0.5] * 20, name="c")) == "a + c"


def test_symbols_stand_for_nodes_and_their_makers_are_not_shown():
    a = placeholder("a", (3,))
    h = ops.exp(a)
    assert shown(h * (1 - h), h=h) == "h * (1 − h)"
    assert shown(h, h=h) == "exp(a)"


def test_a_long_chain_is_written_in_lines_of_bounded_length():
    a = value = placeholder("a", (3,))
    for _ in range(5_000):
        value = ops.sin(value) + a
    lines = Notation({}).lines([("z", value)])
    assert lines[-1][0] == "z"
    assert 100 < len(lines) < 400
    assert max(len(text(expression)) for _, expression in lines) < 500
