"""Training on arrays: what ``md.fit(config, data=...)`` takes, does and leaves behind."""

import json

import numpy as np
import pytest

import minidl as md
from minidl.config import config_from_dict, load_config
from minidl.errors import ConfigError, DataError
from minidl.training import Interrupted, RunDirectory, evaluate, resume
from minidl.training.pipeline import make_trainer, prepare, train, with_arrays

from .conftest import StopAt, checkpoint_bytes

CONFIG = {
    "name": "arrays",
    "device": "cpu",
    "model": {"layers": [{"type": "linear", "units": 16}, "relu", {"type": "linear", "units": 3}]},
    "loss": "cross_entropy",
    "optimizer": {"type": "adam", "lr": 0.02},
    "training": {"epochs": 2},
}


@pytest.fixture(scope="module")
def points():
    """Return 240 points of the plane and which of three directions each lies in."""
    inputs = np.random.default_rng(0).normal(size=(240, 2))
    return inputs, ((np.arctan2(*inputs.T) / (2 * np.pi) + 0.5) * 3).astype(np.int32)


def changed(**tables):
    """Return the config with keys of its tables changed."""
    return {**CONFIG, **{name: {**CONFIG.get(name, {}), **new} for name, new in tables.items()}}


def test_it_learns(points):
    model = md.fit(changed(training={"epochs": 30}), data=points, test=points)
    assert model.results["test"]["accuracy"] > 0.95
    assert model.classes == ("0", "1", "2")
    assert model.results["test"] == pytest.approx(model.evaluate(*points))


def test_lists_train_as_arrays_do(points):
    lists = md.fit(CONFIG, data=[values.tolist() for values in points])
    assert lists.history == md.fit(CONFIG, data=points).history


def test_a_file_and_a_config_need_name_no_dataset(points, tmp_path):
    text = config_from_dict(CONFIG, dataset="arrays").to_toml()
    kept = [line for line in text.splitlines() if not line.startswith('dataset = "arrays"')]
    assert len(kept) == len(text.splitlines()) - 1
    (tmp_path / "net.toml").write_text("\n".join(kept), "utf-8")
    expected = md.fit(CONFIG, data=points).history
    assert md.fit(tmp_path / "net.toml", data=points).history == expected
    named = load_config(tmp_path / "net.toml", ["data.dataset=arrays"])
    assert md.fit(named, data=points).history == expected
    with pytest.raises(ConfigError, match="net.toml:6:1: missing key 'dataset' in \\[data\\]"):
        md.fit(tmp_path / "net.toml")


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 7, "drop_last": True},
        {"validation": 0, "shuffle": False},
        {"validation": 0.25, "evaluation_batch_size": 10},
        {"sampler": "balanced", "prefetch": 2},
        {"transforms": [{"type": "mixup", "alpha": 1.0}]},
        {"dtype": "float64", "divide_by": 2.0, "classes": ["x", "y", "z"]},
    ],
)
def test_the_data_options_are_those_of_a_file(points, options, tmp_path):
    inputs, targets = points
    np.savez(tmp_path / "d.npz", x=inputs.astype(options.get("dtype", "float32")), y=targets)
    stored = {"dataset": "npz", "path": str(tmp_path / "d.npz"), **options}
    from_file = md.fit(changed(data=stored))
    given = md.fit(changed(data=options), data=points)
    assert given.history == from_file.history
    assert given.results.keys() == from_file.results.keys()


def test_a_network_reconstructs_its_inputs(points):
    inputs, targets = points
    config = {**changed(data={"reconstruct": True}, training={"epochs": 20}), "loss": "mse"}
    config["model"] = {"layers": [{"type": "linear", "units": 2}]}
    model = md.fit(config, data=(inputs, targets), test=points)
    found = model.evaluate(inputs)
    assert found == pytest.approx(model.results["test"])
    assert found["loss"] == pytest.approx(np.mean((model.predict(inputs) - inputs) ** 2), rel=1e-5)


def test_values_are_a_column_here_and_there(points):
    inputs, _ = points
    config = {**CONFIG, "loss": "mse", "model": {"layers": [{"type": "linear", "units": 1}]}}
    values = 3 * inputs[:, 0] - 1
    model = md.fit(config, data=(inputs, values), test=(inputs, values))
    assert model.predict(inputs).shape == (240, 1)
    assert model.evaluate(inputs, values) == pytest.approx(model.results["test"])


@pytest.fixture
def run(points, tmp_path):
    """Return a finished run directory that was trained on points."""
    md.fit(CONFIG, data=points, test=points, output_dir=tmp_path / "run")
    return tmp_path / "run"


def test_a_run_can_be_loaded_measured_and_predicted_with(points, run, tmp_path):
    model = md.load(run)
    results = json.loads((run / "run.json").read_text())["results"]
    assert model.evaluate(*points) == pytest.approx(results["test"])
    np.save(tmp_path / "p.npy", points[0][:5])
    stored = model.dataset.read_inputs(str(tmp_path / "p.npy"))
    np.testing.assert_array_equal(model.predict(stored), model.predict(points[0][:5]))


def test_what_needs_the_arrays_of_a_run_says_how_to_give_them(run):
    for use in (resume, evaluate):
        with pytest.raises(DataError) as caught:
            use(run)
        assert ": dataset 'arrays' reads no files: give it arrays in " in str(caught.value)


def test_a_run_goes_on_when_it_is_given_its_arrays_again(points, tmp_path):
    md.fit(CONFIG, data=points, output_dir=tmp_path / "whole")
    config = with_arrays(CONFIG, points)
    stop = StopAt(5)
    stop.trainer = make_trainer(
        prepare(config), RunDirectory.create(tmp_path / "parts", config), stop
    )
    with pytest.raises(Interrupted):
        train(stop.trainer)
    resume(tmp_path / "parts", data=points)
    assert checkpoint_bytes(tmp_path / "parts") == checkpoint_bytes(tmp_path / "whole")


def test_a_model_of_arrays_can_be_made_without_training(points):
    model = md.Model.from_config(CONFIG, data=points)
    assert model.parameter_count == 99
    assert model.predict(points[0][:3]).shape == (3, 3)


@pytest.mark.parametrize(
    ("config", "given", "message"),
    [
        (
            {**CONFIG, "data": {"dataset": "digits"}},
            {"data": ([[0.0]], [0])},
            "[data] names the dataset 'digits', but arrays were given; leave it out, or set "
            "dataset = 'arrays'",
        ),
        (CONFIG, {"test": ([[0.0]], [0])}, "validation and test need data, the arrays to train on"),
        (
            {**CONFIG, "data": 3},
            {"data": ([[0.0]], [0])},
            "config: [data] must be a table, got 3",
        ),
        (CONFIG, {}, "config: missing table [data]"),
    ],
)
def test_arrays_and_a_config_that_do_not_go_together_are_refused(config, given, message):
    with pytest.raises(ConfigError) as caught:
        md.fit(config, **given)
    assert str(caught.value) == message


def test_targets_that_are_no_numbers_are_refused(points):
    with pytest.raises(DataError) as caught:
        md.fit(CONFIG, data=(points[0], [*points[1][:-1], np.nan]))
    assert str(caught.value) == (
        "dataset 'arrays': train targets[239, 0] is nan; replace it or leave the sample out"
    )
