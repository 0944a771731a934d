"""Recurrent layers: padding, directions, inputs that do not fit, and PyTorch's results."""

from __future__ import annotations

import numpy as np
import pytest
from parity import compare_layer_with_torch

from minidl import registry
from minidl.component import make
from minidl.errors import ConfigError, DataError, DtypeError, ShapeError
from minidl.graph import Spec, tensor
from minidl.layers import Context

KINDS = ["rnn", "gru", "lstm"]
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def run(config, *inputs, training=False, step=0):
    """Return the output of a layer with fixed random parameters."""
    layer = make("layer", config)
    nodes = [tensor(x) for x in inputs]
    spec = layer.setup(*(node.spec for node in nodes), path="it")
    values = {
        p.path: tensor(random(*p.spec.shape, seed=len(p.path)) / 2) for p in layer.all_parameters()
    }
    context = Context(values, training=training, seed=3, step=step)
    found = layer(*nodes, context=context).numpy()
    assert found.shape == spec.shape
    return found


def refusal(config, *specs, error=ShapeError):
    layer = make("layer", config)
    with pytest.raises(error) as caught:
        layer.setup(*(Spec(*spec) for spec in specs), path="it")
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_called_as_in_pytorch(kind):
    layer = make("layer", {"type": kind, "hidden_size": 4, "num_layers": 2, "bidirectional": True})
    assert layer.setup(Spec((3, 5, 7)), path="a") == Spec((3, 5, 8))
    rows = 4 * GATES[kind]
    expected = {}
    for number, features in ((0, 7), (1, 8)):
        for suffix in (f"_l{number}", f"_l{number}_reverse"):
            expected |= {
                f"a.weight_ih{suffix}": (rows, features),
                f"a.weight_hh{suffix}": (rows, 4),
                f"a.bias_ih{suffix}": (rows,),
                f"a.bias_hh{suffix}": (rows,),
            }
    assert {p.path: p.spec.shape for p in layer.all_parameters()} == expected
    assert {(p.init.low, p.init.high) for p in layer.all_parameters()} == {(-0.5, 0.5)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_is_passed_over(kind, bidirectional):
    config = {"type": kind, "hidden_size": 3, "num_layers": 2, "bidirectional": bidirectional}
    x, lengths = random(3, 5, 4), np.array([5, 2, 3])
    mask = np.arange(5) >= lengths[:, None]
    by_mask, by_lengths = run(config, x, mask), run(config, x, lengths)
    np.testing.assert_array_equal(by_mask, by_lengths)
    last = run({**config, "output": "last"}, x, mask)
    for n, length in enumerate(lengths):
        alone = run(config, x[n : n + 1, :length])
        np.testing.assert_allclose(by_mask[n : n + 1, :length], alone, rtol=1e-10)
        assert (by_mask[n, length:] == 0).all()
        end = run({**config, "output": "last"}, x[n : n + 1, :length])
        np.testing.assert_allclose(last[n : n + 1], end, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_may_be_padded_in_front_or_within(kind):
    config = {"type": kind, "hidden_size": 3, "bidirectional": True}
    x = random(1, 5, 4)
    for kept in ([2, 3, 4], [0, 2, 4]):
        mask = np.ones((1, 5), bool)
        mask[0, kept] = False
        alone = run(config, x[:, kept])
        np.testing.assert_allclose(run(config, x, mask)[:, kept], alone, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_state_is_that_of_the_last_step_and_backwards_of_the_first(kind):
    config = {"type": kind, "hidden_size": 3, "bidirectional": True}
    x = random(2, 4, 5)
    whole, last = run(config, x), run({**config, "output": "last"}, x)
    np.testing.assert_array_equal(last, np.concatenate([whole[:, -1, :3], whole[:, 0, 3:]], axis=1))


def state_shape(kind, batch, rows, size):
    return (batch, 2, rows, size) if kind == "lstm" else (batch, rows, size)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_goes_on_from_the_state_of_its_first_part(kind):
    config = {"type": kind, "hidden_size": 3, "num_layers": 2}
    x = random(2, 6, 4)
    state = run({**config, "output": "state"}, x[:, :4])
    assert state.shape == state_shape(kind, 2, 2, 3)
    whole, rest = run(config, x), run(config, x[:, 4:], state)
    np.testing.assert_allclose(rest, whole[:, 4:], rtol=1e-10)
    end = run({**config, "output": "state"}, x[:, 4:], state)
    np.testing.assert_allclose(end, run({**config, "output": "state"}, x), rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_state_it_starts_from_zero(kind):
    config, x = {"type": kind, "hidden_size": 3, "bidirectional": True}, random(2, 4, 5)
    zero = np.zeros(state_shape(kind, 2, 2, 3))
    np.testing.assert_array_equal(run(config, x), run(config, x, zero))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("output", ["sequence", "last", "state"])
def test_state_and_padding_may_stand_in_either_order(kind, output):
    config = {"type": kind, "hidden_size": 3, "bidirectional": True, "output": output}
    x, state, lengths = random(2, 4, 5), random(*state_shape(kind, 2, 2, 3)), np.array([4, 2])
    one, other = run(config, x, state, lengths), run(config, x, lengths, state)
    np.testing.assert_array_equal(one, other)
    for n, length in enumerate(lengths):
        alone = run(config, x[n : n + 1, :length], state[n : n + 1])
        found = one[n : n + 1, :length] if output == "sequence" else one[n : n + 1]
        np.testing.assert_allclose(found, alone, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_of_nothing_but_padding_leaves_the_state(kind):
    config = {"type": kind, "hidden_size": 3, "output": "state"}
    state = random(*state_shape(kind, 2, 1, 3))
    found = run(config, random(2, 4, 5), state, np.array([0, 4]))
    np.testing.assert_array_equal(found[0], state[0])
    assert not np.allclose(found[1], state[1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [6, -1])
def test_lengths_that_cannot_be_are_errors(kind, length):
    with pytest.raises(DataError) as caught:
        run({"type": kind, "hidden_size": 3}, random(2, 5, 4), np.array([5, length]))
    assert str(caught.value) == f"length {length} at [1] is not from 0 to 5"


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_between_layers_in_training(kind):
    config = {"type": kind, "hidden_size": 6, "num_layers": 2, "dropout": 0.5}
    x = random(2, 4, 5)
    plain = run({**config, "dropout": 0.0}, x)
    np.testing.assert_array_equal(run(config, x), plain)
    first, again, other = (run(config, x, training=True, step=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert not np.allclose(first, plain)


def test_dropout_without_a_second_layer_is_an_error():
    with pytest.raises(ConfigError) as caught:
        registry.get("layer", "lstm")(hidden_size=3, dropout=0.5)
    assert str(caught.value) == (
        "layer 'lstm': dropout = 0.5 acts between layers, and num_layers is 1; put a 'dropout' "
        "behind this layer instead"
    )


def test_inputs_that_do_not_fit_are_errors():
    config, x = {"type": "gru", "hidden_size": 3}, ((2, 5, 4),)
    assert refusal(config, ((2, 5),)) == (
        "layer 'it' (gru): it takes sequences, of shape (batch, time, features), not (2, 5) "
        "(its input is float32[2, 5])"
    )
    assert refusal(config, x, ((2, 4), "bool")) == (
        "layer 'it' (gru): the padding mask has shape (2, 4), but the sequences have "
        "(batch, time) = (2, 5) (its inputs are float32[2, 5, 4], bool[2, 4])"
    )
    assert refusal(config, x, ((3,), "int64")) == (
        "layer 'it' (gru): lengths of shape (3,) do not fit a batch of 2 sequences "
        "(its inputs are float32[2, 5, 4], int64[3])"
    )
    assert refusal(config, x, ((2, 5), "float32")) == (
        "layer 'it' (gru): its state must have shape (2, 1, 3), (batch, num_layers, hidden_size), "
        "not (2, 5); a padding mask would be bool, and lengths integers "
        "(its inputs are float32[2, 5, 4], float32[2, 5])"
    )
    two = {"type": "lstm", "hidden_size": 3, "num_layers": 2, "bidirectional": True}
    assert refusal(two, x, ((2, 4, 3), "float32")) == (
        "layer 'it' (lstm): its state must have shape (2, 2, 4, 3), (batch, 2 for states and "
        "cells, 2 · num_layers, hidden_size), not (2, 4, 3); a padding mask would be bool, and "
        "lengths integers (its inputs are float32[2, 5, 4], float32[2, 4, 3])"
    )
    state = ((2, 1, 3),)
    assert refusal(config, x, state, state, error=ConfigError) == (
        "layer 'it' (gru): behind the sequences it takes one state (floats) and one padding mask "
        "or lengths, not 2 and 0"
    )
    for output in ("last", "state"):
        assert refusal({**config, "output": output}, ((2, 0, 4),)) == (
            "layer 'it' (gru): a sequence of no steps has no last state "
            "(its input is float32[2, 0, 4])"
        )
    assert "it takes floats, not int64" in refusal(config, ((2, 5, 4), "int64"), error=DtypeError)


# -- PyTorch -----------------------------------------------------------------------------------

OPTIONS = [
    {},
    {"bias": False},
    {"bidirectional": True},
    {"num_layers": 3},
    {"num_layers": 2, "bidirectional": True, "bias": False},
]


def torch_module(kind, features, size, options):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    cls = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[kind]
    return cls(features, size, batch_first=True, **options).double()


def given(kind, state):
    """Return a state as PyTorch takes it."""
    state = state.movedim(0, -2)
    return tuple(state.contiguous()) if kind == "lstm" else state.contiguous()


def apply(output, lengths=None):
    """Return how a module of PyTorch gives what the layer does."""

    def call(module, x, *others):
        torch = pytest.importorskip("torch")
        pack = torch.nn.utils.rnn
        kind, time = module.mode.partition("_")[0].lower(), x.shape[1]
        states = [given(kind, other) for other in others if other.is_floating_point()]
        if lengths is not None:
            x = pack.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, ends = module(x, *states)
        if output == "state":
            ends = torch.stack(ends) if kind == "lstm" else ends
            return ends.movedim(-2, 0)
        if output == "last":
            ends = ends[0] if isinstance(ends, tuple) else ends
            return torch.cat(list(ends[-2 if module.bidirectional else -1 :]), dim=-1)
        if lengths is not None:
            states, _ = pack.pad_packed_sequence(states, batch_first=True, total_length=time)
        return states

    return call


OUTPUTS = ["sequence", "last", "state"]


def rows(options):
    return options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)


@pytest.mark.parity
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 1, 1), (3, 7, 2)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_that_of_pytorch(kind, shape, options, output):
    module = torch_module(kind, shape[2], 5, options)
    config = {"type": kind, "hidden_size": 5, "output": output, **options}
    compare_layer_with_torch(config, module, [random(*shape)], call=apply(output))


@pytest.mark.parity
@pytest.mark.parametrize("output", ["sequence", "state"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 5, 2)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_it_starts_from_a_state_as_in_pytorch(kind, shape, options, output):
    module = torch_module(kind, shape[2], 5, options)
    config = {"type": kind, "hidden_size": 5, "output": output, **options}
    arrays = [random(*shape), random(*state_shape(kind, shape[0], rows(options), 5))]
    compare_layer_with_torch(config, module, arrays, call=apply(output))


@pytest.mark.parity
def test_relu_is_that_of_pytorch():
    module = torch_module("rnn", 4, 6, {"nonlinearity": "relu", "num_layers": 2})
    config = {"type": "rnn", "hidden_size": 6, "num_layers": 2, "nonlinearity": "relu"}
    arrays = [random(3, 5, 4), random(3, 2, 6)]
    compare_layer_with_torch(config, module, arrays, call=apply("sequence"))


@pytest.mark.parity
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("lengths", [[4, 1, 6], [2, 3, 2]], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_padded_sequences_are_those_of_pytorch(kind, lengths, options, output):
    module = torch_module(kind, 3, 4, options)
    mask = np.arange(6) >= np.array(lengths)[:, None]
    state = random(*state_shape(kind, 3, rows(options), 4))
    for others in ([mask], [state, np.array(lengths)]):
        config = {"type": kind, "hidden_size": 4, "output": output, **options}
        arrays = [random(3, 6, 3), *others]
        compare_layer_with_torch(config, module, arrays, call=apply(output, lengths))
