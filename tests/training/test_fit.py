"""Training on the digits that ship with minidl: it learns, repeats itself, and goes on exactly."""

import json
import math

import numpy as np
import pytest

import minidl as md
from minidl.errors import CheckpointError, ConfigError
from minidl.training import Interrupted, Reporter, RunDirectory, fit, load, resume
from minidl.training.pipeline import make_trainer, prepare, reopen, train

from .conftest import StopAt, checkpoint_bytes


def test_it_learns(small):
    model = fit(small("training.epochs=8"))
    assert model.results["test"]["accuracy"] > 0.9
    assert model.results["validation"]["accuracy"] > 0.9
    assert model.results["train"]["loss"] < model.history[0]["loss"]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(small, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        fit(small(f"seed={seed}"), output_dir=tmp_path / name)
    a, b, c = (checkpoint_bytes(tmp_path / name) for name in "abc")
    assert a == b
    assert a != c
    assert (tmp_path / "a/metrics.jsonl").read_bytes() == (
        tmp_path / "b/metrics.jsonl"
    ).read_bytes()


@pytest.mark.parametrize("step", [1, 7, 12, 13, 20])
def test_a_resumed_run_is_the_run_that_never_stopped(small, tmp_path, step):
    config = small("data.validation=0.1")
    fit(config, output_dir=tmp_path / "whole")
    run = RunDirectory.create(tmp_path / "parts", config)
    stop = StopAt(step)
    stop.trainer = make_trainer(prepare(config), run, stop)
    with pytest.raises(Interrupted) as caught:
        train(stop.trainer)
    assert caught.value.exit_code == 143
    assert "minidl resume" in str(caught.value)
    resume(tmp_path / "parts")
    assert checkpoint_bytes(tmp_path / "parts") == checkpoint_bytes(tmp_path / "whole")
    lines = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "parts")]
    assert lines[0] == lines[1]


def test_a_finished_run_holds_what_the_design_says(small, tmp_path):
    fit(small(), output_dir=tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names >= {
        "config.toml",
        "config.resolved.toml",
        "run.json",
        "metrics.jsonl",
        "checkpoints",
    }
    info = json.loads((tmp_path / "run/run.json").read_text())
    assert info["status"] == "finished"
    assert info["device"] == "cpu"
    assert info["results"]["test"]["accuracy"] > 0.5
    lines = [json.loads(text) for text in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert {line["split"] for line in lines} == {"train", "validation", "test"}
    assert all({"step", "epoch", "split", "loss", "accuracy"} <= line.keys() for line in lines)
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    assert lines[-1]["split"] == "test"


@pytest.mark.parametrize("keep", [1, 2, 4, 9])
def test_only_the_newest_the_last_and_the_best_checkpoints_are_kept(small, tmp_path, keep):
    fit(small("training.epochs=6", f"training.keep={keep}"), output_dir=tmp_path / "run")
    kept = {path.name for path in (tmp_path / "run/checkpoints").glob("step-*")}
    last = json.loads((tmp_path / "run/checkpoints/last.json").read_text())
    best = json.loads((tmp_path / "run/checkpoints/best.json").read_text())
    newest = {f"step-{epoch * 13:08d}" for epoch in range(1, 7)[-keep:]}
    assert kept == newest | {last["checkpoint"], best["checkpoint"]}
    history = RunDirectory.open(tmp_path / "run").read_metrics()
    validation = [line for line in history if line["split"] == "validation"]
    assert best["value"] == max(line["accuracy"] for line in validation)
    assert best["metric"] == "accuracy"


def test_a_loaded_model_predicts_as_the_trained_one(small, tmp_path):
    trained = fit(small(), output_dir=tmp_path / "run")
    loaded = load(tmp_path / "run")
    inputs = prepare(small()).splits.test.inputs[:50]
    expected = trained.predict(inputs)
    np.testing.assert_array_equal(loaded.predict(inputs), expected)
    np.testing.assert_allclose(expected.sum(axis=1), 1, rtol=1e-5)
    assert loaded.predict(inputs, batch_size=7) == pytest.approx(expected, abs=1e-5)
    assert loaded.classes == trained.classes


def test_max_steps_ends_a_run_within_an_epoch_and_leaves_a_checkpoint(small, tmp_path):
    fit(small("training.max_steps=5"), output_dir=tmp_path / "run")
    run = RunDirectory.open(tmp_path / "run")
    assert run.load("last").state["step"] == 5


def test_more_epochs_asked_for_on_resume_stay_with_the_run(small, tmp_path):
    fit(small("training.epochs=1"), output_dir=tmp_path / "run")
    run = RunDirectory.open(tmp_path / "run")
    stop = StopAt(20)
    stop.trainer = reopen(run, stop, epochs=3)
    with pytest.raises(Interrupted):
        train(stop.trainer)
    resume(tmp_path / "run")
    assert run.load("last").state["step"] == 39
    assert run.load_config().training.epochs == 3


def test_checkpoints_can_be_asked_for_by_step(small, tmp_path):
    config = small("training.checkpoint_every=4", "training.keep=10", "training.epochs=1")
    fit(config, output_dir=tmp_path / "run")
    assert RunDirectory.open(tmp_path / "run").load("4").state["step"] == 4
    with pytest.raises(CheckpointError, match="has no checkpoint step-00000005"):
        RunDirectory.open(tmp_path / "run").load("5")


def test_without_validation_there_is_no_best_checkpoint(small, tmp_path):
    fit(small("data.validation=0", "training.epochs=1"), output_dir=tmp_path / "run")
    with pytest.raises(CheckpointError, match="has no 'best' checkpoint"):
        load(tmp_path / "run", "best")


def test_weights_can_be_saved_and_loaded_alone(small, tmp_path):
    model = md.Model.from_config(small())
    other = md.Model.from_config(small("seed=9"))
    model.save(tmp_path / "weights.safetensors")
    other.load_weights(tmp_path / "weights.safetensors")
    inputs = prepare(small()).splits.test.inputs[:5]
    np.testing.assert_array_equal(model(inputs).numpy(), other(inputs).numpy())


def test_the_learning_rate_follows_the_schedule(small):
    model = fit(small('schedule.type="cosine"', "training.log_every=1", "training.epochs=1"))
    rates = [line["lr"] for line in model.history if line["split"] == "train"]
    steps = len(rates)
    expected = [0.01 * 0.5 * (1 + math.cos(math.pi * step / steps)) for step in range(steps)]
    assert rates[0] == 0.01
    assert rates == pytest.approx(expected, rel=0.2, abs=1e-3)
    assert rates == sorted(rates, reverse=True)


def test_an_autoencoder_learns_to_give_its_inputs_back(small):
    config = small(
        "data.reconstruct=true",
        'loss={ type = "mse" }',
        "model.layers[4].units=64",
        "training.epochs=5",
    )
    model = fit(config)
    inputs = prepare(config).splits.test.inputs
    scaled = inputs.reshape(-1, 64).astype("float32") / 16
    error = float(np.mean((model.predict(inputs) - scaled) ** 2))
    assert model.results["test"]["loss"] == pytest.approx(error, rel=1e-3)
    assert error < 0.6 * float(scaled.var())


def test_two_runs_that_begin_in_one_second_get_folders_of_their_own(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda _: "20260101-120000")
    config = small()
    paths = [RunDirectory.create(None, config).path.name for _ in range(3)]
    assert paths == ["20260101-120000", "20260101-120000-1", "20260101-120000-2"]


def test_a_run_that_died_before_its_test_part_is_finished_by_resuming(small, tmp_path):
    config = small("training.epochs=1")
    run = RunDirectory.create(tmp_path / "run", config)
    trainer = make_trainer(prepare(config), run)
    trainer.parts["test"] = None  # all that it did before it died
    trainer.train()
    assert run.info()["status"] == "running"
    results = resume(tmp_path / "run").results
    assert results["test"]["accuracy"] > 0.3
    assert run.info()["results"] == results
    assert [line["split"] for line in run.read_metrics()].count("test") == 1


def test_resuming_a_finished_run_is_refused_and_changes_nothing(small, tmp_path):
    fit(small("training.epochs=1"), output_dir=tmp_path / "run")
    files = ("run.json", "metrics.jsonl", "checkpoints/last.json")
    before = [(tmp_path / "run" / name).read_bytes() for name in files]
    with pytest.raises(ConfigError) as caught:
        resume(tmp_path / "run")
    assert str(caught.value) == (
        f"the run {tmp_path / 'run'} is finished (13 of 13 steps); give --epochs to train on"
    )
    assert [(tmp_path / "run" / name).read_bytes() for name in files] == before


def test_a_config_may_be_a_dict_and_nothing_else(small):
    config = small("training.epochs=1")
    made = fit(config.to_dict())
    for name, array in fit(config).weights().items():
        np.testing.assert_array_equal(made.weights()[name], array)
    with pytest.raises(ConfigError) as caught:
        fit(None)
    assert str(caught.value) == (
        "a config is the path of a TOML file, a dict or a Config, not NoneType"
    )


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(small, tmp_path):
    RunDirectory.create(tmp_path / "run", small())
    resume(tmp_path / "run")
    fit(small(), output_dir=tmp_path / "whole")
    assert checkpoint_bytes(tmp_path / "run") == checkpoint_bytes(tmp_path / "whole")


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_signal_while_measuring_stops_there_and_the_run_goes_on_from_it(small, tmp_path, split):
    class StopMeasuring(Reporter):
        def measuring(self, progress, part, done, total):
            if part == split and progress.epoch == 3:
                self.trainer.interrupt(2)

    fit(small(), output_dir=tmp_path / "whole")
    stop = StopMeasuring()
    run = RunDirectory.create(tmp_path / "parts", small("data.evaluation_batch_size=50"))
    stop.trainer = make_trainer(prepare(run.load_config()), run, stop)
    with pytest.raises(Interrupted):
        train(stop.trainer)
    resume(tmp_path / "parts")
    assert checkpoint_bytes(tmp_path / "parts") == checkpoint_bytes(tmp_path / "whole")
    parts = [(m["step"], m["split"]) for m in run.read_metrics()]
    whole = [(m["step"], m["split"]) for m in RunDirectory.open(tmp_path / "whole").read_metrics()]
    assert parts == whole
