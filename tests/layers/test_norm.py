"""Normalising layers: statistics in training and outside, large means, refusals, PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch_layers

from minidl.component import make
from minidl.config import parse_config
from minidl.errors import ConfigError, DtypeError, ShapeError
from minidl.graph import Spec, grad, tensor
from minidl.layers import Context
from minidl.training import fit, load


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def set_up(config, shape, dtype="float32"):
    made = make("layer", config)
    made.setup(Spec(shape, dtype), path="norm", place="model.layers[1]")
    return made


def first_values(made, dtype="float64"):
    values = {}
    for p in made.all_parameters():
        start = 1 if p.name in ("weight", "running_var") else 0
        values[p.path] = tensor(np.full(p.spec.shape, start, dtype))
    return values


def run(made, x, values, training):
    """Return the output and the next values of buffers."""
    context = Context(values, training=training)
    z = made(tensor(x), context=context).numpy()
    return z, {path.partition(".")[2]: value.numpy() for path, value in context.updates.items()}


def refusal(config, shape, error=ShapeError, dtype="float32"):
    with pytest.raises(error) as caught:
        set_up(config, shape, dtype)
    return str(caught.value)


# -- batch norm --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 7), (4, 3, 2, 5), (2, 3, 2, 2, 2)])
def test_batch_norm_in_training_uses_and_remembers_the_batch(shape):
    x, axes = 3 + 2 * random(*shape), tuple(i for i in range(len(shape)) if i != 1)
    made = set_up({"type": "batch_norm", "momentum": 0.25}, shape)
    values = first_values(made)
    values["norm.running_mean"] = tensor(np.full(3, 8.0))
    z, updates = run(made, x, values, training=True)
    np.testing.assert_allclose(z.mean(axes), 0, atol=1e-12)
    np.testing.assert_allclose(z.var(axes), 1, rtol=1e-4)
    np.testing.assert_allclose(updates["running_mean"], 6 + 0.25 * x.mean(axes), rtol=1e-12)
    unbiased = x.var(axes, ddof=1)
    np.testing.assert_allclose(updates["running_var"], 0.75 + 0.25 * unbiased, rtol=1e-12)


def test_batch_norm_outside_training_uses_what_it_remembers():
    x = random(4, 2, 3)
    made = set_up({"type": "batch_norm", "eps": 0.5}, x.shape)
    values = first_values(made)
    values["norm.running_mean"] = tensor(np.array([1.0, -1.0]))
    values["norm.running_var"] = tensor(np.array([3.5, 8.5]))
    values["norm.weight"] = tensor(np.array([2.0, 1.0]))
    z, updates = run(made, x, values, training=False)
    assert not updates
    np.testing.assert_allclose(z[:, 0], x[:, 0] - 1, rtol=1e-12)
    np.testing.assert_allclose(z[:, 1], (x[:, 1] + 1) / 3, rtol=1e-12)


def test_without_running_statistics_the_batch_decides_always():
    x = random(6, 2) * 4
    made = set_up({"type": "batch_norm", "track_running_stats": False}, x.shape)
    assert [p.name for p in made.parameters] == ["weight", "bias"]
    (z, updates), (again, _) = (run(made, x, first_values(made), t) for t in (True, False))
    np.testing.assert_array_equal(z, again)
    assert not updates


def test_cumulative_momentum_averages_over_all_batches():
    made = set_up({"type": "batch_norm", "momentum": "cumulative"}, (8, 2))
    values = first_values(made)
    values["norm.num_batches_tracked"] = tensor(0)
    batches = [random(8, 2, seed=seed) + seed for seed in range(4)]
    for batch in batches:
        _, updates = run(made, batch, values, training=True)
        values |= {f"norm.{name}": tensor(value) for name, value in updates.items()}
    means = np.mean([batch.mean(0) for batch in batches], 0)
    np.testing.assert_allclose(values["norm.running_mean"].numpy(), means, rtol=1e-12)
    variances = np.mean([batch.var(0, ddof=1) for batch in batches], 0)
    np.testing.assert_allclose(values["norm.running_var"].numpy(), variances, rtol=1e-12)
    assert values["norm.num_batches_tracked"].item() == 4


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("mean", [1e5, -1e5])
def test_batch_norm_is_right_at_a_mean_of_1e5_in_float32(training, mean):
    x = (random(64, 4, 5, 5) + mean).astype("float32")
    g = random(64, 4, 5, 5, seed=1).astype("float32")
    exact = x.astype("float64")

    def of(dtype):
        made = set_up({"type": "batch_norm"}, x.shape)
        values = first_values(made, dtype)
        # a float32 mean is at best the nearest float32; take it as the truth
        near = np.float32(exact.mean((0, 2, 3)))
        values["norm.running_mean"] = tensor(near.astype(dtype))
        values["norm.running_var"] = tensor(exact.var((0, 2, 3)).astype(dtype))
        given = tensor(x.astype(dtype))
        context = Context(values, training=training)
        z = made(given, context=context)
        by_x = grad(z, given, tensor(g.astype(dtype)))
        new = [value.numpy() for value in context.updates.values()]
        return [z.numpy(), by_x.numpy(), *new]

    for single, double in zip(of("float32"), of("float64"), strict=True):
        np.testing.assert_allclose(single, double, rtol=1e-5, atol=2e-5)


def test_batch_norm_refuses_to_train_on_one_value():
    made = set_up({"type": "batch_norm"}, (1, 3))
    with pytest.raises(ShapeError) as error:
        run(made, random(1, 3), first_values(made), training=True)
    assert str(error.value) == (
        "layer 'norm' (batch_norm, model.layers[1]): in training it needs more than one value "
        "for each channel, and a batch of shape (1, 3) has 1; choose a batch_size that leaves no "
        "single sample over (its input is float64[1, 3])"
    )


# -- instance norm -----------------------------------------------------------------------------


def test_instance_norm_remembers_the_mean_over_the_samples_and_uses_it_outside_training():
    x = 3 + 2 * random(4, 3, 5)
    made = set_up({"type": "instance_norm", "track_running_stats": True, "eps": 0.5}, x.shape)
    assert [p.name for p in made.parameters] == ["running_mean", "running_var"]
    values = first_values(made)
    z, updates = run(made, x, values, training=True)
    own = x - x.mean(2, keepdims=True)
    np.testing.assert_allclose(z, own / np.sqrt(x.var(2, keepdims=True) + 0.5), rtol=1e-10)
    np.testing.assert_allclose(updates["running_mean"], 0.1 * x.mean((0, 2)), rtol=1e-10)
    spread = 0.9 + 0.1 * x.var(2, ddof=1).mean(0)
    np.testing.assert_allclose(updates["running_var"], spread, rtol=1e-10)
    values |= {f"norm.{name}": tensor(value) for name, value in updates.items()}
    z, none = run(made, x, values, training=False)
    mean, var = (updates[name].reshape(3, 1) for name in ("running_mean", "running_var"))
    np.testing.assert_allclose(z, (x - mean) / np.sqrt(var + 0.5), rtol=1e-10)
    assert not none


def test_instance_norm_refuses_to_remember_single_values():
    made = set_up({"type": "instance_norm", "track_running_stats": True}, (4, 3, 1))
    with pytest.raises(ShapeError) as error:
        run(made, random(4, 3, 1), first_values(made), training=True)
    assert str(error.value) == (
        "layer 'norm' (instance_norm, model.layers[1]): in training it needs more than one value "
        "for each channel, and each sample of a batch of shape (4, 3, 1) has 1 (its input is "
        "float64[4, 3, 1])"
    )


# -- what does not fit -------------------------------------------------------------------------


def test_shapes_that_do_not_fit_are_refused_with_the_numbers():
    start = "layer 'norm' ({}, model.layers[1]): "
    for name in ("batch_norm", "instance_norm"):
        assert refusal(name, (4,)) == start.format(name) + (
            "it takes a batch of shape (N, C, …), not (4,) (its input is float32[4])"
        )
    assert refusal({"type": "group_norm", "num_groups": 3}, (2, 4, 5)) == (
        start.format("group_norm") + "group_norm: 3 groups do not divide the 4 channels of "
        "(2, 4, 5) (its input is float32[2, 4, 5])"
    )
    assert refusal("instance_norm", (2, 4)) == start.format("instance_norm") + (
        "it takes a batch of shape (N, C, L, …), not (2, 4) (its input is float32[2, 4])"
    )
    for name in ("layer_norm", "rms_norm"):
        assert refusal({"type": name, "normalized_shape": [3, 5]}, (2, 3, 4)) == (
            start.format(name) + "normalized_shape is [3, 5], but the last axes of (2, 3, 4) are "
            "[3, 4] (its input is float32[2, 3, 4])"
        )
        assert refusal({"type": name, "normalized_shape": [3, 5]}, (3, 5)) == (
            start.format(name) + "it takes a batch with 2 more axes to normalise over, not shape "
            "(3, 5) (its input is float32[3, 5])"
        )


@pytest.mark.parametrize("name", ["batch_norm", "layer_norm", "rms_norm", "instance_norm"])
def test_integers_are_refused_with_advice(name):
    message = refusal(name, (2, 3, 4), DtypeError, "uint8")
    assert "it takes floats, not uint8; convert and scale the data first" in message


def test_fields_without_meaning_are_refused():
    with pytest.raises(ConfigError) as momentum:
        make("layer", "batch_norm").copy(momentum=1.5)
    assert "momentum" in str(momentum.value)
    with pytest.raises(ConfigError) as eps:
        make("layer", "layer_norm").copy(eps=0.0)
    assert str(eps.value) == "layer 'layer_norm': eps: Input should be greater than 0, got 0.0"


# -- training ----------------------------------------------------------------------------------

NETWORK = """
name = "norms"
device = "cpu"
[data]
dataset = "digits"
batch_size = 100
[model]
layers = [
  { type = "flatten" },
  { type = "linear", units = 32, bias = false },
  { type = "batch_norm" },
  { type = "leaky_relu" },
  { type = "linear", units = 32 },
  { type = "rms_norm" },
  { type = "swiglu" },
  { type = "linear", units = 10 },
]
[loss]
type = "cross_entropy"
[optimizer]
type = "adam"
lr = 1e-2
[training]
epochs = 4
"""


def test_a_normalised_network_learns_and_keeps_its_statistics(tmp_path):
    model = fit(parse_config(NETWORK, "norms.toml"), output_dir=tmp_path / "run")
    assert model.results["test"]["accuracy"] > 0.9
    weights = load(tmp_path / "run").weights()
    assert (weights["batch_norm_2.running_var"] != 1).all()
    np.testing.assert_array_equal(
        weights["batch_norm_2.running_mean"], model.weights()["batch_norm_2.running_mean"]
    )


# -- PyTorch -----------------------------------------------------------------------------------


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("batch_norm", {"momentum": momentum}) for momentum in (0.1, 0.6, 0.0, "cumulative")),
        ("batch_norm", {"momentum": 0.3, "affine": False, "eps": 0.1}),
        ("instance_norm", {"track_running_stats": True}),
        ("instance_norm", {"track_running_stats": True, "affine": True, "momentum": 0.6}),
    ],
)
@pytest.mark.parametrize("shape", [(5, 3), (3, 2, 7), (2, 3, 4, 5), (2, 2, 1, 2, 2), (1, 2, 3)])
def test_running_statistics_are_those_of_pytorch(shape, name, options):
    torch = pytest.importorskip("torch")
    shape = (*shape, 4) if name == "instance_norm" and len(shape) == 2 else shape
    module = torch_layers.module(name, options, shape)
    made = set_up({"type": name, **options}, shape)
    names = [p.name for p in made.parameters]

    def held():
        state = module.state_dict()
        return {f"norm.{name}": tensor(state[name].numpy()) for name in names}

    values = held()
    for step in range(3):
        x = random(*shape, seed=step) * 2 + step
        z, updates = run(made, x, values, training=True)
        expected = module.train()(torch.tensor(x)).detach().numpy()
        np.testing.assert_allclose(z, expected, rtol=1e-9, atol=1e-9)
        values |= {f"norm.{name}": tensor(value) for name, value in updates.items()}
        for path, value in held().items():
            np.testing.assert_allclose(values[path].numpy(), value.numpy(), rtol=1e-9, atol=1e-12)
    z, _ = run(made, x, values, training=False)
    expected = module.eval()(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(z, expected, rtol=1e-9, atol=1e-9)
