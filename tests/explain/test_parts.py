"""Parts looked up: what is printed, and that a layer's rules are what the engine computes."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import annotated_types as limits
import numpy as np
import pytest

from minidl import registry
from minidl.component import config_fields, make
from minidl.explain import explain_layer, explain_part
from minidl.explain.parts import summary, type_text
from minidl.graph import Spec, grad, tensor
from minidl.graph.rules import spec_of
from minidl.initializers import Initializer
from minidl.layers import Context, Layer
from minidl.testing import draw
from minidl.testing.printed import evaluate_rules

LAYERS = [entry.name for entry in registry.entries("layer") if entry.source == "minidl"]
PARTS = [(kind, name) for kind in registry.KINDS for name in registry.names(kind)]


def part(kind, name):
    return explain_part(registry.entry(kind, name))


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_every_part_can_be_looked_up(kind, name):
    found = part(kind, name)
    assert found.text().startswith(f"{kind} {name} (minidl)")
    assert found.to_dict()["kind"] == kind
    value = registry.get(kind, name)
    assert summary(value)
    assert "``" not in summary(value)
    if kind not in ("op", "kernel", "backend"):
        assert [f.name for f in found.fields] == [f.name for f in config_fields(value)]


def test_a_layer_is_told_with_its_fields_and_rules():
    text = part("layer", "linear").text()
    assert "\nunits : int ≥ 1, required\n    Length of the last axis of the output.\n" in text
    assert '\nbias_init : initializer = "zeros"\n' in text
    assert "\nAs every layer: name, inputs, repeat, tie\n" in text
    assert text.endswith(
        "For float32[3, 4], units = 2:\n\n"
        "    z = x @ W.T + b\n\n"
        "    ∂LOSS/∂b = Σ(∂LOSS/∂z, axis=0)\n"
        "    ∂LOSS/∂W = (∂LOSS/∂z).T @ x\n"
        "    ∂LOSS/∂x = ∂LOSS/∂z @ W\n\n"
        "W: weight, float32[2, 4]\n"
        "b: bias, float32[2]\n"
        "z: the output, float32[3, 2]"
    )
    assert "Attributes" not in text


def test_another_part_is_told_without_rules():
    found = part("optimizer", "adam")
    assert found.rules is None
    assert found.latex() == ""
    assert "\nbetas : [float ≥ 0, < 1, float ≥ 0, < 1] = [0.9, 0.999]\n" in found.text()


def test_a_default_that_is_a_part_is_told_with_what_it_changes():
    fields = {f.name: f.default for f in part("layer", "embedding").fields}
    assert fields["init"] == '{ type = "normal", std = 1.0 }'


def test_a_layer_that_hands_on_its_input_says_so():
    found = explain_layer(make("layer", "dropout"), Spec((2, 3)))
    assert found.text() == "In evaluation it hands on its input."


def test_a_layer_in_steps_names_what_its_symbols_are():
    text = part("layer", "residual").rules.text()
    assert "h1: output of layer 'linear_0' (linear, layers[0])" in text


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (int, "int"),
        (Annotated[int, limits.Ge(1)], "int ≥ 1"),
        (Annotated[float, limits.Gt(0), limits.Lt(float("inf"))], "float > 0"),
        (Annotated[float, limits.Ge(0), limits.Le(0.5)], "float ≥ 0, ≤ 0.5"),
        (Literal["mean", "sum"], '"mean" | "sum"'),
        (int | tuple[int, int] | None, "int | [int, int]"),
        (tuple[str, ...], "list of str"),
        (list[Layer], "list of layer"),
        (Initializer, "initializer"),
        (dict[str, Any], "table"),
        (Any, "any value"),
    ],
)
def test_types_are_told_in_short(hint, text):
    assert type_text(hint) == text


# -- the rules of a layer --------------------------------------------------------------------


def case(name):
    """Return a layer with arrays for its first sample: inputs, parameters, and gradient by z."""
    cls = registry.get("layer", name)
    sample, rng = cls.samples[0], np.random.default_rng(0)
    made = make("layer", {"type": name, **sample.attributes})
    inputs = [draw(each, rng) for each in sample.inputs]
    inputs = [a.astype("float32") if a.dtype.kind == "f" else a for a in inputs]
    made.setup(*(tensor(a).spec for a in inputs))
    parameters = {
        p.path: rng.uniform(0.5, 1.5, p.spec.shape).astype(p.spec.dtype)
        for p in made.all_parameters()
    }
    seed = rng.normal(size=made.output_spec.shape).astype("float32")
    return made, inputs, parameters, seed


def engine(made, inputs, parameters, seed):
    """Return the output and the gradients by float inputs and trained parameters."""
    nodes = {path: tensor(value) for path, value in parameters.items()}
    names = ["x"] if len(inputs) == 1 else [f"x{index}" for index in range(len(inputs))]
    xs = dict(zip(names, map(tensor, inputs), strict=True))
    z = made(*xs.values(), context=Context(nodes))
    if z.dtype != "float32":
        return z.numpy(), {}
    wanted = {p.path: nodes[p.path] for p in made.all_parameters() if p.trainable}
    wanted |= {name: x for name, x in xs.items() if x.dtype == "float32"}
    gradients = grad((z * seed).sum(), wanted, unused="zeros")
    return z.numpy(), {name: value.numpy() for name, value in gradients.items()}


@pytest.mark.parametrize("name", LAYERS)
def test_the_rules_of_a_layer_evaluate_to_what_the_engine_computes(name):
    made, inputs, parameters, seed = case(name)
    specs = [spec_of(each) for each in inputs]
    explanation = explain_layer(made, *specs)
    if not explanation.forward:
        assert name in ("dropout", "identity")
        return
    remarks = "\n".join(explanation.remarks)
    symbols = {path: s for s, path in re.findall(r"^(\S+): (\S+), float32", remarks, re.M)}
    names = ["x"] if len(inputs) == 1 else [f"x{index}" for index in range(len(inputs))]
    symbols |= {name: name for name in names}
    given = {symbols[path]: value for path, value in parameters.items()}
    given |= dict(zip(names, inputs, strict=True))
    output, gradients = engine(made, inputs, parameters, seed)
    found = evaluate_rules(explanation, {**given, "∂LOSS/∂z": seed})
    np.testing.assert_allclose(found["z"], output, rtol=1e-4, atol=1e-5)
    for path, gradient in gradients.items():
        label = f"∂LOSS/∂{symbols[path]}"
        if label in found:
            np.testing.assert_allclose(
                np.broadcast_to(found[label], gradient.shape),
                gradient,
                rtol=1e-4,
                atol=1e-4,
                err_msg=label,
            )
        else:
            assert not gradient.any(), f"{label} is missing"
