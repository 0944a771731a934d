"""The worked example: its six rules as printed, by hand, by finite differences, and evaluated."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import minidl
from minidl.config import load_config
from minidl.errors import DataError
from minidl.explain import explain_config
from minidl.testing.printed import evaluate_rules

CONFIG = Path(minidl.__file__).parent / "configs" / "worked-example.toml"

SIX_RULES = """\
    ∂LOSS/∂h = h − y
    ∂h/∂f    = h * (1 − h)
    ∂LOSS/∂f = ∂LOSS/∂h * ∂h/∂f
    ∂LOSS/∂b = ∂LOSS/∂f
    ∂LOSS/∂W = ∂LOSS/∂f @ g.T
    ∂LOSS/∂g = W.T @ ∂LOSS/∂f"""

G = [1.0, 2.0]
Y = [1.0, 0.0]
W = [[0.5, -0.3], [0.8, 0.2]]
B = [0.2, -0.1]


def given() -> dict[str, np.ndarray]:
    """Return the inputs and parameters of the config, vectors as columns."""
    columns = {"g": G, "y": Y, "b": B}
    return {"W": np.array(W), **{name: np.array([v]).T for name, v in columns.items()}}


def by_hand() -> dict[str, list]:
    """Compute everything with nothing but numbers, one element at a time."""
    f = [W[i][0] * G[0] + W[i][1] * G[1] + B[i] for i in range(2)]
    h = [1 / (1 + math.exp(-t)) for t in f]
    to_h = [h[i] - Y[i] for i in range(2)]
    slope = [h[i] * (1 - h[i]) for i in range(2)]
    to_f = [to_h[i] * slope[i] for i in range(2)]
    return {
        "f": [[v] for v in f],
        "h": [[v] for v in h],
        "LOSS": ((h[0] - Y[0]) ** 2 + (h[1] - Y[1]) ** 2) / 2,
        "∂LOSS/∂h": [[v] for v in to_h],
        "∂h/∂f": [[v] for v in slope],
        "∂LOSS/∂f": [[v] for v in to_f],
        "∂LOSS/∂b": [[v] for v in to_f],
        "∂LOSS/∂W": [[to_f[i] * G[j] for j in range(2)] for i in range(2)],
        "∂LOSS/∂g": [[W[0][j] * to_f[0] + W[1][j] * to_f[1]] for j in range(2)],
    }


def loss_of(values: dict[str, np.ndarray]) -> float:
    f = values["W"] @ values["g"] + values["b"]
    return float(np.sum((1 / (1 + np.exp(-f)) - values["y"]) ** 2) / 2)


@pytest.fixture(scope="module")
def explanation():
    return explain_config(CONFIG, values=True)


def test_it_prints_the_six_rules_in_the_notation_of_the_manual():
    assert explain_config(CONFIG).text() == "\n".join(
        [
            "worked-example",
            "",
            "One sample. Vectors are columns, * multiplies element by element, "
            "@ is the matrix product.",
            "",
            "    f    = W @ g + b",
            "    h    = σ(f)",
            "    LOSS = ½ Σ (h_i − y_i)²",
            "",
            SIX_RULES,
        ]
    )


def test_a_loaded_config_is_explained_as_its_file_is():
    assert explain_config(load_config(CONFIG)).text() == explain_config(str(CONFIG)).text()


@pytest.mark.parametrize("symbol", by_hand())
def test_every_value_is_that_of_a_hand_computation(explanation, symbol):
    values = {rule.left: rule.value for rule in (*explanation.forward, *explanation.backward)}
    np.testing.assert_allclose(values[symbol], by_hand()[symbol], rtol=1e-6)


def test_the_numbers_stand_beside_the_rules(explanation):
    assert explanation.text().split("\n\n")[-1].splitlines()[-4:] == [
        "    ∂LOSS/∂W = ∂LOSS/∂f @ g.T    = [−0.118459  −0.236918]",
        "                                   [ 0.140576   0.281152]",
        "    ∂LOSS/∂g = W.T @ ∂LOSS/∂f    = [0.0532315]",
        "                                   [0.0636529]",
    ]
    assert explanation.given["W"] == np.array(W, dtype="float32").tolist()
    assert explanation.given["g"] == [[1.0], [2.0]]


@pytest.mark.parametrize("name", ["W", "b", "g"])
def test_gradients_are_those_of_finite_differences(name):
    printed = evaluate_rules(explain_config(CONFIG), given(), columns=True)[f"∂LOSS/∂{name}"]
    step = 1e-6
    for index in np.ndindex(printed.shape):
        above, below = given(), given()
        above[name][index] += step
        below[name][index] -= step
        difference = (loss_of(above) - loss_of(below)) / (2 * step)
        assert printed[index] == pytest.approx(difference, rel=1e-6)


def test_the_printed_text_evaluates_to_the_hand_computation():
    found = evaluate_rules(explain_config(CONFIG), given(), columns=True)
    for symbol, value in by_hand().items():
        np.testing.assert_allclose(found[symbol], value, rtol=1e-12, err_msg=symbol)


def test_the_rules_as_latex():
    mathtext = pytest.importorskip("matplotlib.mathtext", reason="matplotlib is not installed")
    lines = explain_config(CONFIG).latex().splitlines()
    assert lines[2:5] == [
        r"\mathrm{LOSS} = \frac{1}{2} \sum_{i} \left(h_{i} - y_{i}\right)^{2}",
        r"\frac{\partial \mathrm{LOSS}}{\partial h} = h - y",
        r"\frac{\partial h}{\partial f} = h \odot \left(1 - h\right)",
    ]
    parser = mathtext.MathTextParser("path")
    for line in lines:
        parser.parse(f"${line}$")


def test_plain_data_holds_rules_and_numbers(explanation):
    data = json.loads(json.dumps(explanation.to_dict()))
    rule = data["backward"][2]
    assert (rule["symbol"], rule["expression"]) == ("∂LOSS/∂f", "∂LOSS/∂h * ∂h/∂f")
    assert np.shape(rule["value"]) == (2, 1)
    assert set(data["given"]) == {"g", "y", "W", "b"}


def test_a_sample_that_is_not_there_is_an_error():
    with pytest.raises(DataError) as caught:
        explain_config(CONFIG, values=True, sample=1)
    assert str(caught.value) == "there is no sample 1: the training part has 1, from 0"
