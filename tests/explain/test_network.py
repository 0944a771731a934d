"""Explained networks: what is printed, and that it evaluates to what the engine computes."""

from __future__ import annotations

import numpy as np
import pytest

from minidl.component import make
from minidl.explain import explain_network
from minidl.explain.network import BATCH, Numbers
from minidl.graph import Spec, Tensor, grad, tensor
from minidl.layers import Context, Layer, layer
from minidl.testing.printed import evaluate_rules

CLOSE = {"rtol": 1e-4, "atol": 1e-6}
ONE_SAMPLE = (
    "One sample. Vectors are columns, * multiplies element by element, @ is the matrix product."
)


def linear(units: int, **options):
    return {"type": "linear", "units": units, **options}


class Case:
    """A network with drawn parameters, an input and a target."""

    def __init__(self, layers, loss, x: tuple[int, ...], y: tuple[int, ...], classes: int = 0):
        rng = np.random.default_rng(3)
        self.root = make("layer", {"type": "sequential", "layers": layers})
        self.loss = make("loss", loss)
        self.x = rng.normal(size=x).astype("float32")
        self.y = rng.integers(0, classes, y) if classes else rng.uniform(0.1, 0.9, y)
        self.y = self.y if classes else self.y.astype("float32")
        self.root.setup(Spec(x))
        self.parameters = {
            p.path: rng.normal(size=p.spec.shape).astype("float32")
            for p in self.root.all_parameters()
        }

    def explain(self, *, values: bool = True):
        numbers = Numbers(self.x, self.y, self.parameters) if values else None
        y = Spec(self.y.shape, self.y.dtype.name)
        return explain_network(self.root, self.loss, Spec(self.x.shape), y, numbers=numbers)

    def gradients(self, samples: int):
        """Return the gradients by every parameter and by the input, from the engine itself."""
        nodes: dict[str, Tensor] = {p: tensor(v) for p, v in self.parameters.items()}
        x = tensor(self.x[:samples])
        output = self.root(x, context=Context(nodes))
        total = self.loss(output, tensor(self.y[:samples]))
        wanted = {**{p.path: nodes[p.path] for p in self.root.all_parameters() if p.trainable}}
        found = grad(total, {**wanted, "x": x}, unused="zeros")
        return {name: value.numpy() for name, value in found.items()}


NETWORKS = {
    "mlp, cross entropy of classes": Case(
        [linear(6), {"type": "relu"}, linear(4)], "cross_entropy", (5, 3), (5,), classes=4
    ),
    "cross entropy of probabilities, smoothed": Case(
        [{"type": "flatten"}, linear(5), {"type": "tanh"}, linear(3)],
        {"type": "cross_entropy", "label_smoothing": 0.1},
        (5, 2, 2),
        (5, 3),
    ),
    "skip connection": Case(
        [
            linear(3, name="a"),
            linear(3, name="s"),
            {"type": "add", "inputs": ["a", "s"], "name": "r"},
            {"type": "softmax"},
            linear(1, bias=False),
        ],
        "mse",
        (5, 3),
        (5, 1),
    ),
    "concatenation": Case(
        [
            linear(3),
            {"type": "concat", "inputs": ["linear_0", "input"]},
            {"type": "sigmoid"},
            linear(2),
        ],
        "binary_cross_entropy",
        (5, 4),
        (5, 2),
    ),
    "huber": Case([linear(3), {"type": "dropout"}, linear(2)], "huber", (5, 3), (5, 2)),
    "mae of one output": Case([linear(1)], "mae", (5, 1), (5, 1)),
    "log_softmax": Case([linear(3), {"type": "log_softmax"}], "mae", (5, 4), (5, 3)),
    "normalised, gated, residual": Case(
        [
            linear(4),
            {"type": "residual", "layers": [{"type": "layer_norm"}, {"type": "gelu"}]},
            {"type": "rms_norm"},
            linear(4, tie="linear_0"),
            {"type": "swiglu"},
        ],
        "mse",
        (5, 4),
        (5, 2),
    ),
    "a sequence, in rows": Case(
        [linear(3), {"type": "tanh"}, {"type": "flatten"}, linear(2)],
        "cross_entropy",
        (5, 4, 2),
        (5,),
        classes=2,
    ),
}


@pytest.mark.parametrize("case", NETWORKS.values(), ids=NETWORKS)
def test_printed_gradients_evaluate_to_what_the_engine_computes(case):
    explanation = case.explain()
    columnar = explanation.notes[0] == ONE_SAMPLE
    expected = case.gradients(1 if columnar else len(case.x))
    found = evaluate_rules(explanation, explanation.given, columns=columnar)
    printed = {rule.left: np.asarray(rule.value) for rule in explanation.backward if rule.value}
    symbols = symbols_by_path(case, explanation)
    assert len(symbols) == len(expected)
    for path, symbol in symbols.items():
        label = f"∂LOSS/∂{symbol}"
        shape = expected[path].shape
        np.testing.assert_allclose(
            np.broadcast_to(found[label], printed[label].shape).reshape(shape),
            expected[path],
            **CLOSE,
            err_msg=label,
        )
        np.testing.assert_allclose(printed[label].reshape(shape), expected[path], **CLOSE)


@pytest.mark.parametrize("case", NETWORKS.values(), ids=NETWORKS)
def test_the_value_of_every_printed_rule_is_what_its_text_evaluates_to(case):
    explanation = case.explain()
    columnar = explanation.notes[0] == ONE_SAMPLE
    found = evaluate_rules(explanation, explanation.given, columns=columnar)
    for rule in (*explanation.forward, *explanation.backward):
        if rule.value is not None:
            value = np.asarray(rule.value)
            text = found[rule.left]
            text = text.reshape(value.shape) if text.size == value.size else text
            np.testing.assert_allclose(text, value, **CLOSE, err_msg=rule.text())


def symbols_by_path(case: Case, explanation) -> dict[str, str]:
    """Match parameters to symbols by their values, which are all different."""
    found = {"x": "x"}
    for path, value in case.parameters.items():
        for symbol, shown in explanation.given.items():
            if np.size(shown) == value.size and np.array_equal(np.ravel(shown), value.ravel()):
                found[path] = symbol
    return found


# -- exact text --------------------------------------------------------------------------------


def test_a_network_with_two_layers():
    assert NETWORKS["mlp, cross entropy of classes"].explain(values=False).text().splitlines() == [
        ONE_SAMPLE,
        "",
        "Functions of whole vectors (softmax …) go over the elements of the sample.",
        "",
        "    h1   = W1 @ x + b1",
        "    h2   = relu(h1)",
        "    h3   = W3 @ h2 + b3",
        "    LOSS = softmax_cross_entropy(h3, one_hot(y, num_classes=4))",
        "",
        "    ∂LOSS/∂h3 = Σ(one_hot(y, num_classes=4)) * softmax(h3) − one_hot(y, num_classes=4)",
        "    ∂LOSS/∂b3 = ∂LOSS/∂h3",
        "    ∂LOSS/∂W3 = ∂LOSS/∂h3 @ h2.T",
        "    ∂LOSS/∂h2 = W3.T @ ∂LOSS/∂h3",
        "    ∂h2/∂h1   = h1 > 0",
        "    ∂LOSS/∂h1 = ∂LOSS/∂h2 * ∂h2/∂h1",
        "    ∂LOSS/∂b1 = ∂LOSS/∂h1",
        "    ∂LOSS/∂W1 = ∂LOSS/∂h1 @ x.T",
        "    ∂LOSS/∂x  = W1.T @ ∂LOSS/∂h1",
        "",
        "h1: output of layer 'linear_0' (linear, layers[0])",
        "h2: output of layer 'relu_1' (relu, layers[1])",
        "h3: output of layer 'linear_2' (linear, layers[2])",
    ]


def test_a_sample_that_is_flattened_first_is_one_column():
    explanation = NETWORKS["cross entropy of probabilities, smoothed"].explain()
    assert explanation.forward[0].text() == "h1 = W1 @ x + b1"
    assert explanation.remarks[0].splitlines()[:2] == [
        "x: the 2×2 values of a sample, one below the other",
        "h1: output of layer 'linear_1' (linear, layers[1])",
    ]
    assert np.shape(explanation.given["x"]) == (4, 1)


def test_a_value_used_twice_receives_the_sum():
    rules = [rule.text() for rule in NETWORKS["skip connection"].explain(values=False).backward]
    assert "∂LOSS/∂a = ∂LOSS/∂r + W_s.T @ ∂LOSS/∂r" in rules


def test_names_of_layers_are_symbols_and_parameters_carry_them():
    rules = [rule.text() for rule in NETWORKS["skip connection"].explain(values=False).forward]
    assert rules == [
        "a = W_a @ x + b_a",
        "s = W_s @ a + b_s",
        "r = a + s",
        "h1 = softmax(r)",
        "h2 = W2 @ h1",
        "LOSS = (h2 − y)²",
    ]


def test_samples_stay_rows_where_a_value_is_more_than_a_matrix():
    explanation = NETWORKS["a sequence, in rows"].explain(values=False)
    assert explanation.notes == (
        f"A batch of {BATCH}. Samples are rows (the first axis), * multiplies element by element, "
        "@ is the matrix product.",
    )
    rules = [rule.text() for rule in explanation.backward]
    assert rules[1:4] == [
        "∂LOSS/∂b4 = Σ(∂LOSS/∂h4, axis=0)",
        "∂LOSS/∂W4 = (∂LOSS/∂h4).T @ h3",
        "∂LOSS/∂h3 = ∂LOSS/∂h4 @ W4",
    ]


def test_a_buffer_has_no_gradient_and_two_uses_of_a_weight_add_up():
    @layer("explain_twice")
    class Twice(Layer):
        def build(self, x: Spec) -> None:
            self.parameter("weight", (x.shape[-1], x.shape[-1]), symbol="W")
            self.buffer("shift", x.shape[-1:])

        def forward(self, x, weight, shift):
            return (x @ weight.T - shift) @ weight.T

    root = Twice(name="twice")
    root.setup(Spec((1, 3)))
    explanation = explain_network(
        root, make("loss", "squared_error"), Spec((1, 3)), Spec((1, 3)), input_name="a b"
    )
    assert [rule.text() for rule in (*explanation.forward, *explanation.backward)] == [
        "twice = W @ (W @ a_b − shift)",
        "LOSS = ½ Σ (twice_i − y_i)²",
        "∂LOSS/∂twice = twice − y",
        "∂LOSS/∂W = ∂LOSS/∂twice @ (W @ a_b − shift).T + W.T @ ∂LOSS/∂twice @ a_b.T",
        "∂LOSS/∂a_b = W.T @ (W.T @ ∂LOSS/∂twice)",
    ]


def test_symbols_that_would_be_the_same_are_told_apart():
    root = make("layer", {"type": "sequential", "layers": [linear(2, name="y"), linear(2)]})
    root.setup(Spec((1, 2)))
    explanation = explain_network(
        root, make("loss", "mse"), Spec((1, 2)), Spec((1, 2)), input_name="b"
    )
    assert [rule.text() for rule in explanation.forward] == [
        "y′ = W_y @ b + b_y",
        "h1 = W1 @ y′ + b1",
        "LOSS = mean((h1 − y)²)",
    ]
