"""Parameters that two layers share: one value, one gradient, one place in a checkpoint."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest

from minidl.component import make, to_config
from minidl.config import parse_config
from minidl.errors import CheckpointError, ConfigError, ShapeError
from minidl.graph import Spec, grad, placeholder, tensor
from minidl.layers import Context
from minidl.training import Interrupted, Model, Reporter, RunDirectory, fit, load, resume
from minidl.training.pipeline import make_trainer, prepare, train
from minidl.training.summary import summarize

EMBEDDING = {"type": "embedding", "num_embeddings": 7, "embedding_dim": 4}
HEAD = {"type": "linear", "units": 7, "tie": {"weight": "embedding_0.weight"}}
TOKENS = Spec((3, 5), "int64")


def network(*layers, spec=TOKENS):
    root = make("layer", {"type": "sequential", "layers": list(layers)})
    root.setup(spec, place="model")
    return root


def refusal(*layers, spec=TOKENS, error=ConfigError):
    with pytest.raises(error) as caught:
        network(*layers, spec=spec)
    return str(caught.value)


def paths(root):
    return [p.path for p in root.all_parameters()]


# -- what is shared ----------------------------------------------------------------------------


def test_a_tied_parameter_is_in_the_state_once():
    root = network(EMBEDDING, HEAD)
    assert paths(root) == ["embedding_0.weight", "linear_1.bias"]
    weight, bias = root.children["linear_1"].parameters
    assert (weight.name, weight.path, weight.tied) == ("weight", "embedding_0.weight", True)
    assert (bias.path, bias.tied) == ("linear_1.bias", False)


def test_both_layers_compute_with_the_one_value_and_its_gradient_is_the_sum():
    root = network(EMBEDDING, HEAD)
    rng = np.random.default_rng(0)
    table, b = tensor(rng.normal(size=(7, 4))), tensor(rng.normal(size=7))
    x, g = rng.integers(0, 7, (3, 5)), tensor(rng.normal(size=(3, 5, 7)))
    values = {"embedding_0.weight": table, "linear_1.bias": b}
    z = root(tensor(x), context=Context(values))
    rows = table.numpy()[x]
    np.testing.assert_allclose(z.numpy(), rows @ table.numpy().T + b.numpy(), rtol=1e-12)
    by_rows = np.zeros((7, 4))
    np.add.at(by_rows, x, g.numpy() @ table.numpy())
    by_product = np.einsum("bto,bti->oi", g.numpy(), rows)
    found = grad(z, table, g).numpy()
    np.testing.assert_allclose(found, by_rows + by_product, rtol=1e-10)


def test_a_layer_may_share_all_it_has_and_so_may_a_list():
    branch = {"type": "sequential", "layers": [{"type": "linear", "units": 4}, {"type": "tanh"}]}
    root = network(
        {**branch, "name": "left"},
        {**branch, "name": "right", "inputs": ["input"], "tie": "left"},
        {"type": "add", "inputs": ["left", "right"]},
        spec=Spec((3, 4)),
    )
    assert paths(root) == ["left.linear_0.weight", "left.linear_0.bias"]
    values = {p.path: tensor(np.ones(p.spec.shape)) for p in root.all_parameters()}
    context = Context(values)
    root(tensor(np.random.default_rng(1).normal(size=(3, 4))), context=context)
    left, right = (context.outputs[name].numpy() for name in ("left", "right"))
    np.testing.assert_array_equal(left, right)


def test_a_list_may_tie_one_parameter_of_a_layer_that_it_holds():
    head = {"type": "sequential", "layers": [{"type": "linear", "units": 7, "bias": False}]}
    root = network(EMBEDDING, {**head, "tie": {"linear_0.weight": "embedding_0.weight"}})
    assert paths(root) == ["embedding_0.weight"]


def test_names_are_looked_for_in_the_list_itself_first_and_then_outwards():
    inner = {
        "type": "sequential",
        "layers": [
            {"type": "linear", "units": 4, "name": "own"},
            {"type": "linear", "units": 4, "tie": {"weight": "own.weight", "bias": "far.bias"}},
        ],
    }
    first = {"type": "linear", "units": 4}
    root = network({**first, "name": "own"}, {**first, "name": "far"}, inner, spec=Spec((2, 4)))
    tied = root.children["sequential_2"].children["linear_1"].parameters
    assert [p.path for p in tied] == ["sequential_2.own.weight", "far.bias"]


def test_what_is_tied_to_a_tied_parameter_is_tied_to_the_first():
    second = {"type": "linear", "units": 4, "tie": "a", "name": "b"}
    third = {"type": "linear", "units": 4, "tie": {"weight": "b.weight"}, "name": "c"}
    root = network({"type": "linear", "units": 4, "name": "a"}, second, third, spec=Spec((2, 4)))
    assert paths(root) == ["a.weight", "a.bias", "c.bias"]
    assert root.children["c"].parameters[0].path == "a.weight"


def test_repeated_layers_share_what_they_are_tied_to():
    blocks = {"type": "linear", "units": 4, "name": "block", "repeat": 3, "tie": "first"}
    root = network({"type": "linear", "units": 4, "name": "first"}, blocks, spec=Spec((2, 4)))
    assert paths(root) == ["first.weight", "first.bias"]


def test_running_statistics_that_are_shared_go_on_from_one_layer_to_the_next():
    norm = {"type": "batch_norm", "momentum": 0.5, "affine": False}
    root = network({**norm, "name": "a"}, {**norm, "tie": "a"}, spec=Spec((4, 2)))
    x = np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]])
    values = {"a.running_mean": tensor(np.zeros(2)), "a.running_var": tensor(np.ones(2))}
    context = Context(values, training=True)
    root(tensor(x), context=context)
    assert set(context.updates) == {"a.running_mean", "a.running_var"}
    # the second sees mean 0 and variance 1, after the first has moved half way to x
    halfway = 0.5 * x.mean(0)
    np.testing.assert_allclose(context.updates["a.running_mean"].numpy(), 0.5 * halfway, atol=1e-6)


def test_the_config_says_it_and_reads_it_again():
    config = to_config(make("layer", HEAD))
    assert config["tie"] == {"weight": "embedding_0.weight"}
    assert to_config(make("layer", config)) == config
    assert "tie" not in to_config(make("layer", {"type": "linear", "units": 2}))


def test_a_layer_that_is_set_up_again_elsewhere_is_tied_there_only():
    root = network(EMBEDDING, HEAD)
    head = root.children["linear_1"]
    with pytest.raises(ConfigError) as error:
        head.setup(Spec((3, 4)))
    assert str(error.value) == (
        "layer 'linear' (linear): tie: there is no parameter 'embedding_0.weight' before it "
        "(before it stand: none)"
    )


# -- what cannot be shared ---------------------------------------------------------------------


def test_shapes_that_differ_are_refused_naming_both_layers():
    head = {**HEAD, "units": 8}
    assert refusal(EMBEDDING, head, error=ShapeError) == (
        "layer 'linear_1' (linear, model.layers[1]): its 'weight' of shape (8, 4) cannot be the "
        "'weight' of layer 'embedding_0' (embedding, model.layers[0]), of shape (7, 4) "
        "(its input is float32[3, 5, 4])"
    )


def test_a_parameter_that_is_not_there_or_comes_later_is_refused_with_the_near_miss():
    head = {**HEAD, "tie": {"weight": "embeding_0.weight"}}
    assert refusal(EMBEDDING, head) == (
        "layer 'linear_1' (linear, model.layers[1]): tie: there is no parameter "
        "'embeding_0.weight' before it; did you mean 'embedding_0.weight'? "
        "(before it stand: embedding_0.weight)"
    )
    first = {"type": "linear", "units": 4, "tie": {"weight": "linear_1.weight"}}
    assert refusal(first, {"type": "linear", "units": 4}, spec=Spec((2, 4))) == (
        "layer 'linear_0' (linear, model.layers[0]): tie: there is no parameter "
        "'linear_1.weight' before it (before it stand: none)"
    )


def test_a_name_that_the_layer_does_not_have_is_refused():
    head = {**HEAD, "tie": {"weigth": "embedding_0.weight"}}
    assert refusal(EMBEDDING, head) == (
        "layer 'linear_1' (linear, model.layers[1]): tie: it has no parameter 'weigth'; "
        "did you mean 'weight'? (it has: weight, bias)"
    )
    assert refusal(EMBEDDING, {"type": "tanh", "tie": "embedding_0"}) == (
        "layer 'tanh_1' (tanh, model.layers[1]): tie: it has no parameters to share"
    )


def test_a_buffer_cannot_be_a_parameter():
    norm = {"type": "batch_norm", "name": "norm"}
    tied = {"type": "linear", "units": 4, "tie": {"bias": "norm.running_mean"}}
    assert refusal(norm, tied, spec=Spec((2, 4))) == (
        "layer 'linear_1' (linear, model.layers[1]): tie: its 'bias' is a parameter and cannot be "
        "the 'running_mean' of layer 'norm' (batch_norm, model.layers[0]), which is a buffer"
    )


# -- training ----------------------------------------------------------------------------------

AUTOENCODER = """
name = "tied"
seed = 1
device = "cpu"

[data]
dataset = "digits"
batch_size = 200

[model]
layers = [
  { type = "flatten" },
  { type = "linear", units = 64, name = "f" },
  { type = "tanh" },
  { type = "linear", units = 64, name = "g", tie = { weight = "f.weight" } },
  { type = "batch_norm" },
  { type = "linear", units = 10, name = "out" },
]

[loss]
type = "cross_entropy"
[optimizer]
type = "adam"
lr = 1e-2
[training]
epochs = 2
log_every = 4
"""


class StopAt(Reporter):
    """Interrupts its trainer after a step."""

    def __init__(self, step):
        self.step = step
        self.trainer = None

    def stepped(self, progress, loss):
        if progress.step == self.step:
            self.trainer.interrupt(signal.SIGTERM)


def checkpoint(run):
    last = json.loads((run / "checkpoints/last.json").read_text())["checkpoint"]
    folder = run / "checkpoints" / last
    return [(folder / f"{name}.safetensors").read_bytes() for name in ("model", "optimizer")]


def test_a_tied_network_trains_saves_loads_and_resumes_as_any_other(tmp_path):
    config = parse_config(AUTOENCODER, "tied.toml")
    model = fit(config, output_dir=tmp_path / "whole")
    assert model.results["test"]["accuracy"] > 0.8
    names = list(model.weights())
    assert "f.weight" in names
    assert "g.weight" not in names
    again = load(tmp_path / "whole")
    for name, value in model.weights().items():
        np.testing.assert_array_equal(again.weights()[name], value)

    run = RunDirectory.create(tmp_path / "parts", config)
    stop = StopAt(9)
    stop.trainer = make_trainer(prepare(config), run, stop)
    with pytest.raises(Interrupted):
        train(stop.trainer)
    resume(tmp_path / "parts")
    assert checkpoint(tmp_path / "parts") == checkpoint(tmp_path / "whole")


def test_a_tied_network_takes_no_weights_of_an_untied_one():
    tied = Model.from_config(parse_config(AUTOENCODER, "tied.toml"))
    loose = AUTOENCODER.replace(', tie = { weight = "f.weight" }', "")
    with pytest.raises(CheckpointError):
        tied.set_weights(Model.from_config(parse_config(loose, "loose.toml")).weights())


def test_a_summary_counts_a_tied_parameter_once():
    model = Model.from_config(parse_config(AUTOENCODER, "tied.toml"))
    summary = summarize(model)
    assert {row.name: row.parameters for row in summary.rows}["g"] == 64
    assert summary.parameters == sum(row.parameters for row in summary.rows)
    assert summary.parameters == model.parameter_count


def test_tying_needs_no_more_than_the_values_of_the_context():
    root = network(EMBEDDING, HEAD)
    values = {p.path: placeholder(p.path, *p.spec) for p in root.all_parameters()}
    assert root(placeholder("x", (2, 9), "int64"), context=Context(values)).shape == (2, 9, 7)
