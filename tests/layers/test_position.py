"""Layers of positions and padding."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.component import make
from minidl.errors import DtypeError, ShapeError
from minidl.graph import Spec, grad, tensor
from minidl.layers import Context


def run(config, x, values=None):
    layer = make("layer", config)
    layer.setup(tensor(x).spec)
    known = {name: tensor(value) for name, value in (values or {}).items()}
    return layer(tensor(x), context=Context(known)).numpy()


def refusal(config, shape, dtype="float32", error=ShapeError):
    layer = make("layer", config)
    with pytest.raises(error) as caught:
        layer.setup(Spec(shape, dtype), path="it")
    return str(caught.value)


def test_learned_positions_are_added_row_by_row():
    x, w = np.random.default_rng(0).normal(size=(2, 3, 4)), np.arange(20.0).reshape(5, 4)
    found = run({"type": "positional_embedding", "max_length": 5}, x, {"weight": w})
    np.testing.assert_array_equal(found, x + w[:3])


def test_learned_positions_start_as_in_gpt_2():
    layer = make("layer", {"type": "positional_embedding", "max_length": 2})
    assert (layer.init.type_name, layer.init.mean, layer.init.std) == ("normal", 0.0, 0.02)


def test_a_sequence_longer_than_the_positions_is_an_error():
    assert refusal({"type": "positional_embedding", "max_length": 64}, (2, 65, 4)) == (
        "layer 'it' (positional_embedding): a sequence of 65 steps is longer than "
        "max_length = 64 (its input is float32[2, 65, 4])"
    )


def test_fixed_positions_are_added():
    x = np.random.default_rng(0).normal(size=(2, 3, 5))
    table = ops.sinusoidal_positions(length=3, width=5, base=50.0, dtype="float64").numpy()
    np.testing.assert_array_equal(run({"type": "sinusoidal_embedding", "base": 50.0}, x), x + table)


@pytest.mark.parametrize(
    "config",
    [{"type": "sinusoidal_embedding"}, {"type": "positional_embedding", "max_length": 9}],
    ids=lambda config: config["type"],
)
def test_positions_are_for_sequences_of_floats(config):
    assert "it takes sequences, of shape (batch, time, features), not (2, 3)" in refusal(
        config, (2, 3)
    )
    assert "it takes floats, not int64" in refusal(config, (2, 3, 4), "int64", DtypeError)


def test_padding_is_found_in_indices_and_in_features():
    found = run({"type": "padding_mask"}, np.array([[3, 0, 0], [1, 2, 0]]))
    np.testing.assert_array_equal(found, [[False, True, True], [False, False, True]])
    x = np.array([[[1.0, -1], [-1, 2], [-1, -1]]])
    found = run({"type": "padding_mask", "value": -1.0}, x)
    np.testing.assert_array_equal(found, [[False, False, True]])


def test_padding_that_cannot_be_is_an_error():
    assert refusal({"type": "padding_mask"}, (2, 3, 4, 5)) == (
        "layer 'it' (padding_mask): it takes sequences, of shape (batch, time) or "
        "(batch, time, features), not (2, 3, 4, 5) (its input is float32[2, 3, 4, 5])"
    )
    config = {"type": "padding_mask", "value": 0.5}
    assert refusal(config, (2, 3), "int64", DtypeError) == (
        "layer 'it' (padding_mask): value = 0.5 cannot occur in int64 (its input is int64[2, 3])"
    )


def test_padded_steps_cost_ctc_nothing():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(1, 9, 4)), tensor([[1, 1, 3]])
    ctc = make("loss", "ctc")
    for real in (slice(0, 6), slice(3, 9)):
        padded = np.ones((1, 9), bool)
        padded[:, real] = False
        layer = make("layer", "blank_padding")
        layer.setup(tensor(logits).spec, tensor(padded).spec)
        given = tensor(logits)
        found = ctc(layer(given, tensor(padded), context=Context({})), labels)
        alone = tensor(logits[:, real])
        wanted = ctc(alone, labels)
        assert found.item() == pytest.approx(wanted.item(), rel=1e-12)
        gradient = grad(found, given).numpy()
        np.testing.assert_allclose(gradient[:, real], grad(wanted, alone).numpy(), rtol=1e-9)
        assert (gradient[padded] == 0).all()
        said = ctc.output(layer(given, tensor(padded), context=Context({}))).numpy()[:, real]
        assert np.array_equal(said, ctc.output(alone).numpy())


@pytest.mark.parametrize(
    ("fields", "mask", "dtype", "message"),
    [
        ({"blank": 4}, (2, 3), "bool", "blank is 4, but there are 4 classes"),
        (
            {},
            (2, 4),
            "bool",
            "the padding mask has shape (2, 4), but the sequences have (batch, time) = (2, 3)",
        ),
        ({}, (2, 3), "int64", "its second input is a padding mask (bool), not int64"),
    ],
)
def test_blank_padding_refuses_what_does_not_fit(fields, mask, dtype, message):
    layer = make("layer", {"type": "blank_padding", **fields})
    with pytest.raises((ShapeError, DtypeError)) as caught:
        layer.setup(Spec((2, 3, 4), "float32"), Spec(mask, dtype), path="it")
    assert str(caught.value) == (
        f"layer 'it' (blank_padding): {message} (its inputs are float32[2, 3, 4], "
        f"{dtype}[{mask[0]}, {mask[1]}])"
    )
