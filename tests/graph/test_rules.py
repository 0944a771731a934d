"""Printed rules of ops: exact text, and every op's text evaluated against the rule that runs."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from minidl import ops, registry
from minidl.errors import UnknownNameError
from minidl.graph import Sample, op, sample, tensor
from minidl.graph.gradient import backward
from minidl.graph.rules import chain_factor, explain_op, format_value
from minidl.graph.spec import is_float
from minidl.graph.text import text
from minidl.testing.ops import sample_call
from minidl.testing.printed import evaluate_rules

OPS = [entry.value for entry in registry.entries("op") if entry.source.startswith("minidl")]
CALLS = [
    pytest.param(declared, each, id=f"{declared.name}-{number}")
    for declared in OPS
    for number, each in enumerate(declared.samples)
]


def lines(name: str, each: Sample | None = None) -> list[str]:
    explanation = explain_op(name, each)
    return [rule.text() for rule in (*explanation.forward, *explanation.backward)]


# -- what is printed ---------------------------------------------------------------------------


def test_products_print_as_in_a_textbook():
    assert lines("multiply") == ["z = a * b", "∂L/∂a = ∂L/∂z * b", "∂L/∂b = ∂L/∂z * a"]
    assert lines("matmul") == ["z = a @ b", "∂L/∂a = ∂L/∂z @ b.T", "∂L/∂b = a.T @ ∂L/∂z"]


def test_the_local_derivative_gets_a_line_of_its_own():
    assert lines("sigmoid") == [
        "z = σ(x)",
        "∂z/∂x = z * (1 − z)",
        "∂L/∂x = ∂L/∂z * ∂z/∂x",
    ]
    assert lines("square")[1:] == ["∂z/∂x = 2 * x", "∂L/∂x = ∂L/∂z * ∂z/∂x"]


def test_a_local_derivative_that_is_one_symbol_does_not():
    assert lines("exp") == ["z = exp(x)", "∂L/∂x = ∂L/∂z * z"]
    assert lines("subtract")[1:] == ["∂L/∂a = ∂L/∂z", "∂L/∂b = −∂L/∂z"]


def test_the_quadratic_loss_is_a_sum_over_elements_with_its_half():
    assert lines("squared_error")[:2] == ["z = ½ Σ (p_i − t_i)²", "∂z/∂p = p − t"]


def test_shapes_and_attributes_are_those_of_the_sample():
    assert lines("sum", sample((2, 3), axis=1)) == [
        "z = Σ(x, axis=1)",
        "∂L/∂x = broadcast_to(reshape(∂L/∂z, shape=(2, 1)), shape=x.shape)",
    ]
    assert lines("concat", sample((2, 3), (1, 3)))[0] == "z = concat([a, b])"


def test_what_is_needed_twice_gets_a_line_before_it_is_needed():
    printed = lines("huber", sample((3,), (3,), delta=1.5, reduction="sum"))
    assert printed == [
        "t1 = clip(p − t, min=−1.5, max=1.5)",
        "z = Σ t1_i * (p_i − t_i − 0.5 * t1_i)",
        "t2 = broadcast_to(∂L/∂z, shape=p.shape) * t1",
        "∂L/∂p = t2 + (broadcast_to(∂L/∂z, shape=p.shape) * (p − t − 0.5 * t1) − t2 * 0.5) "
        "* logical_and(p − t >= −1.5, p − t <= 1.5)",
        "∂L/∂t = −∂L/∂p",
    ]


def test_the_whole_page_of_an_op():
    assert explain_op("relu", sample((2, 3))).text().splitlines()[-8:] == [
        "Traced for x float64[2, 3]:",
        "",
        "    z = maximum(x, 0)",
        "",
        "    ∂z/∂x = x > 0",
        "    ∂L/∂x = ∂L/∂z * ∂z/∂x",
        "",
        f"Where there is no gradient: {ops.relu.kink}.",
    ]


def test_numbers_that_are_given_as_inputs_are_inputs():
    assert lines("maximum", sample((3,), 2.0))[-1] == (
        "∂L/∂b = reshape(Σ(where(b > a, ∂L/∂z, t1), keepdims=True), shape=())"
    )


def test_an_op_without_a_gradient_says_why():
    explanation = explain_op("argmax")
    assert explanation.backward == ()
    assert explanation.remarks == (f"No gradient: {ops.argmax.no_gradient}.",)


def test_the_plain_data_of_an_explanation():
    found = explain_op("exp").to_dict()
    assert found["title"] == "exp(x)"
    assert found["backward"] == [
        {
            "symbol": "∂L/∂x",
            "expression": "∂L/∂z * z",
            "latex": r"\frac{\partial L}{\partial x} = \frac{\partial L}{\partial z} \odot z",
        }
    ]


def test_an_unknown_op_is_an_error_with_the_near_miss():
    with pytest.raises(UnknownNameError, match="unknown op 'sigmod'; did you mean 'sigmoid'"):
        explain_op("sigmod")


@pytest.mark.parametrize(
    ("written", "factor"),
    [
        ("g * z * (1 - z)", "z * (1 − z)"),
        ("z * g", "z"),
        ("-g", "−1"),
        ("-(g * z)", "−z"),
        ("g / b", "1 / b"),
        ("-g * a / b ** 2", "−a / b²"),
        ("g", None),
        ("g @ z", None),
        ("z / g", None),
        ("g * z + g", None),
        ("g * f(g)", None),
        ("f(g) * z", None),
    ],
)
def test_chain_factors_are_found_by_structure(written, factor):
    found = chain_factor(ast.parse(written, mode="eval").body, "g")
    assert (None if found is None else text(found)) == factor


def test_values_print_as_aligned_matrices():
    assert format_value([[1.0, -0.25], [10.0, 2.0]]) == ["[    1  −0.25]", "[   10      2]"]
    assert format_value(0.5) == ["0.5"]
    assert format_value([1, 2]) == ["[1  2]"]
    assert format_value([[[1.0]], [[2.5]]]) == ["[1]", "[2.5]"]


def test_of_large_matrices_the_ends_are_shown():
    lines = format_value([[float(10 * i + j) for j in range(9)] for i in range(9)])
    assert lines == [
        "[ 0   1   2   …   6   7   8]",
        "[10  11  12   …  16  17  18]",
        "[20  21  22   …  26  27  28]",
        "  ⋮",
        "[60  61  62   …  66  67  68]",
        "[70  71  72   …  76  77  78]",
        "[80  81  82   …  86  87  88]",
    ]


# -- what is printed is what runs --------------------------------------------------------------


def numbers_of(declared, each):
    """Return the inputs of a sample by symbol, the outputs by label, and gradients by symbol."""
    call = sample_call(declared, each)
    given, rest = [], iter(call.arrays)
    for slot in call.slots[: len(each.inputs) if declared.variadic else len(declared.tensors)]:
        is_number = isinstance(slot, bool | int | float)
        given.append(tensor(slot) if is_number else tensor(next(rest)))
    behind = call.slots[len(given) :]
    results = declared(*given, *behind, **each.attributes)
    outputs = results if isinstance(results, tuple | list) else (results,)
    names = "abcdefgh"[: len(given)] if declared.variadic else declared.tensors
    labels = ["z"] if len(outputs) == 1 else [f"z_{i}" for i in range(len(outputs))]
    rng = np.random.default_rng(1)
    seeds = {label: rng.normal(size=z.shape) for label, z in zip(labels, outputs, strict=True)}
    variables = [node for node in given if is_float(node.dtype)]
    total: dict[int, np.ndarray] = {}
    for label, z in zip(labels, outputs, strict=True):
        if declared.differentiable and is_float(z.dtype):
            found = backward(z, tensor(seeds[label].astype(z.dtype)), variables)
            for key, part in found.items():
                total[key] = total.get(key, 0) + part.numpy()
    inputs = {name: node.numpy() for name, node in zip(names, given, strict=True)}
    inputs |= {f"∂L/∂{label}": seed for label, seed in seeds.items()}
    expected = {label: z.numpy() for label, z in zip(labels, outputs, strict=True)}
    expected |= {
        f"∂L/∂{name}": total[id(node)]
        for name, node in zip(names, given, strict=True)
        if id(node) in total
    }
    return inputs, expected


@pytest.mark.parametrize(("declared", "each"), CALLS)
def test_the_text_of_every_rule_evaluates_to_what_the_rule_computes(declared, each):
    inputs, expected = numbers_of(declared, each)
    with np.errstate(all="ignore"):
        found = evaluate_rules(explain_op(declared, each), inputs)
    assert set(expected) <= set(found)
    for label, value in expected.items():
        broadcast = np.broadcast_to(found[label], value.shape)
        np.testing.assert_allclose(broadcast, value, rtol=1e-6, atol=1e-12, err_msg=label)


def test_a_rule_that_changes_changes_in_print():
    @op("scaled_wrongly", elementwise=True, scalar="2 * x")
    class scaled_wrongly:
        """z = 2 x"""

        def forward(xp, x):
            return 2 * x

        def backward(g, z, x):
            return g * 2.002

    try:
        assert lines("scaled_wrongly") == ["z = 2 * x", "∂L/∂x = ∂L/∂z * 2.002"]
    finally:
        registry.forget("op", "scaled_wrongly")


@pytest.mark.parametrize("declared", OPS, ids=lambda each: each.name)
def test_every_op_prints_as_latex_that_matplotlib_reads(declared):
    mathtext = pytest.importorskip("matplotlib.mathtext", reason="matplotlib is not installed")
    parser = mathtext.MathTextParser("path")
    explanation = explain_op(declared)
    for rule in (*explanation.forward, *explanation.backward):
        written = rule.latex()
        assert written.count("{") == written.count("}")
        parser.parse(f"${written}$")


def test_an_op_without_samples_prints_its_documentation():
    explanation = explain_op("placeholder")
    assert explanation.forward == explanation.backward == ()
    assert explanation.text().startswith("placeholder(spec)\n\n")
