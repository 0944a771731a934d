"""One suite for the whole op table: it holds for every op that is registered."""

from __future__ import annotations

import ast
import re

import numpy as np
import pytest

from minidl import registry
from minidl.backends import use_backend
from minidl.errors import GradientError
from minidl.graph import Draw, Program, grad
from minidl.graph.spec import is_float
from minidl.testing import check_op
from minidl.testing.ops import SCALAR_FUNCTIONS, sample_call

LEAVES = ("constant", "placeholder")
"""The two nodes without inputs: their values are given, not computed."""

OPS = [
    entry.value
    for entry in registry.entries("op")
    if entry.name not in LEAVES and entry.source == "minidl"
]
SYMBOLS = ("σ", "Σ")
"""Mathematical names that a notation may call a function by."""

DIFFERENTIABLE = [op for op in OPS if op.differentiable]
OTHERS = [op for op in OPS if not op.differentiable]
FORMULA = re.compile(r"^z.* = \S", flags=re.MULTILINE)


def by_name(op) -> str:
    return op.name


def float_inputs(op) -> list:
    """Return the samples of ``op`` that have an input to differentiate by."""
    calls = [sample_call(op, each, index) for index, each in enumerate(op.samples)]
    return [call for call in calls if any(a.dtype.kind == "f" and a.size for a in call.arrays)]


@pytest.mark.parametrize("op", OPS, ids=by_name)
def test_shape_rule_kernel_and_gradient_hold_on_every_sample(op):
    report = check_op(op)
    assert {check.case for check in report.checks if check.name == "shape and dtype"} != set()
    assert "array_api_strict" in str(report.by_name()) or op.compose is not None
    if op.differentiable:
        assert any(name.startswith("the gradient by") for name in report.by_name())
        assert any(name.startswith("the second derivative by") for name in report.by_name())


@pytest.mark.parametrize("op", OPS, ids=by_name)
def test_docstring_begins_with_a_sentence_and_gives_the_formula(op):
    first = op.doc.partition("\n")[0]
    assert first.endswith("."), f"{op.name}: its first line is no sentence: {first!r}"
    assert FORMULA.search(op.doc), f"{op.name}: no line 'z = …' in its docstring"


@pytest.mark.parametrize("op", [op for op in OPS if op.elementwise], ids=by_name)
def test_an_elementwise_op_has_a_scalar_expression(op):
    names = expression_names(op.scalar)
    assert names <= {*op.tensors, *op.attribute_names, *SCALAR_FUNCTIONS}


@pytest.mark.parametrize("op", [op for op in OPS if op.notation], ids=by_name)
def test_the_notation_is_a_python_expression_of_the_inputs(op):
    names = expression_names(op.notation)
    assert names & {*op.tensors}
    functions = {entry.name for entry in registry.entries("op")}
    assert names <= {*op.tensors, *op.attribute_names, *functions, *SYMBOLS}


def expression_names(text: str) -> set[str]:
    tree = ast.parse(text, mode="eval")
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=by_name)
def test_what_happens_at_a_kink_is_said(op):
    draws = [i for each in op.samples for i in each.inputs if isinstance(i, Draw)]
    if any(i.kinks or i.distinct for i in draws):
        assert op.kink, (
            f"{op.name}: its samples avoid kinks or ties, and kink= says nothing of them"
        )


@pytest.mark.parametrize("op", OTHERS, ids=by_name)
def test_an_op_without_a_gradient_says_why(op):
    assert len(op.no_gradient) > 10
    for call in float_inputs(op):
        traced = call.traced(np.random.default_rng(0))
        (node,) = traced.outputs
        if not is_float(node.dtype):
            continue
        with pytest.raises(GradientError) as caught:
            grad(node.sum(), [traced.inputs[i] for i in traced.variables])
        reason = f"{op.name} has no gradient: {op.no_gradient}"
        if op.stops_gradient:
            reason = "the loss does not depend on "
        assert str(caught.value).startswith(reason)


@pytest.mark.gpu
@pytest.mark.parametrize("op", OPS, ids=by_name)
def test_it_gives_the_same_on_the_gpu(op):
    for index, each in enumerate(op.samples):
        call = sample_call(op, each, index)
        traced = call.traced(np.random.default_rng(0))
        expected = Program(traced.inputs, traced.outputs)(traced.arrays)
        with use_backend("cupy") as gpu:
            program = Program(traced.inputs, traced.outputs)
            found = program([gpu.from_numpy(array) for array in traced.arrays])
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_allclose(gpu.to_numpy(a), b, rtol=1e-6, atol=1e-9)


@pytest.mark.gpu
@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=by_name)
def test_its_gradient_is_the_same_on_the_gpu(op):
    for call in float_inputs(op):
        traced = call.traced(np.random.default_rng(0))
        expected = traced.gradient_values(traced.arrays)
        with use_backend("cupy") as gpu:
            found = traced.gradient_values(traced.arrays, gpu)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
