"""Runs whose batches are transformed, balanced and prefetched: repeated, and resumed exactly."""

import signal
import threading

import numpy as np
import pytest

from minidl.config import parse_config
from minidl.errors import DataError
from minidl.training import Interrupted, RunDirectory, fit, resume
from minidl.training.pipeline import load_prepared, make_trainer, prepare, train

from .conftest import StopAt, checkpoint_bytes

OPTIONS = (
    'data.transforms=[{type="random_crop", padding=1}, {type="cutout", size=2}, "mixup"]',
    "data.sampler=balanced",
)


def prefetching():
    return [thread for thread in threading.enumerate() if thread.name == "minidl-prefetch"]


def test_prefetching_changes_nothing(small, tmp_path):
    for name, prefetch in (("alone", 0), ("ahead", 3)):
        fit(small(*OPTIONS, f"data.prefetch={prefetch}"), output_dir=tmp_path / name)
    assert checkpoint_bytes(tmp_path / "alone") == checkpoint_bytes(tmp_path / "ahead")
    alone, ahead = ((tmp_path / n / "metrics.jsonl").read_bytes() for n in ("alone", "ahead"))
    assert alone == ahead
    assert prefetching() == []


def test_transforms_change_what_is_learnt_but_not_what_is_measured(small):
    plain, changed = fit(small()), fit(small(*OPTIONS, "training.epochs=8"))
    assert plain.history[0]["loss"] != changed.history[0]["loss"]
    assert changed.results["test"]["accuracy"] > 0.6
    assert changed.results["train"]["loss"] > changed.results["test"]["loss"]


@pytest.mark.parametrize("step", [1, 7, 13, 20])
def test_a_resumed_run_is_the_run_that_never_stopped(small, tmp_path, step):
    config = small(*OPTIONS, "data.prefetch=2")
    fit(config, output_dir=tmp_path / "whole")
    run = RunDirectory.create(tmp_path / "parts", config)
    stop = StopAt(step)
    stop.trainer = make_trainer(prepare(config), run, stop)
    with pytest.raises(Interrupted) as caught:
        train(stop.trainer)
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert prefetching() == []
    resume(tmp_path / "parts")
    assert checkpoint_bytes(tmp_path / "parts") == checkpoint_bytes(tmp_path / "whole")


def test_a_metric_that_keeps_every_score_is_resumed_exactly(small, tmp_path):
    config = small("training.metrics=['auc', 'accuracy']", "data.batch_size=200")
    fit(config, output_dir=tmp_path / "whole")
    run = RunDirectory.create(tmp_path / "parts", config)
    stop = StopAt(10)
    stop.trainer = make_trainer(prepare(config), run, stop)
    with pytest.raises(Interrupted):
        train(stop.trainer)
    (state,) = run.checkpoints.glob("step-00000010/state.json")
    assert '"zlib"' in state.read_text()
    resume(tmp_path / "parts")
    whole, parts = ((tmp_path / n / "metrics.jsonl").read_bytes() for n in ("whole", "parts"))
    assert parts == whole


def test_a_transform_that_does_not_fit_is_an_error_before_the_first_step(small):
    with pytest.raises(DataError) as caught:
        prepare(small('data.transforms=[{type="cutout", fill=0.5}]'))
    assert str(caught.value) == (
        "--set data.transforms=[{type=\"cutout\", fill=0.5}]: transform 'cutout' cannot fill with "
        "0.5 what is stored as uint8"
    )


PRICES = """
device = "cpu"
data = { dataset = "csv", path = "prices.csv", target = "price", standardize_targets = true }
model = { layers = [{ type = "linear", units = 1 }] }
loss = { type = "mse" }
optimizer = { type = "adam", lr = 0.05 }
training = { epochs = 30, metrics = ["mae", "rmse", "mse", "r2"] }
"""


def test_standardised_targets_are_measured_and_predicted_in_their_units(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    area = rng.uniform(20, 200, 300)
    price = 1e5 + 2e3 * area + rng.normal(0, 5e3, 300)
    rows = [f"{a:.6f},{p:.6f}\n" for a, p in zip(area, price, strict=True)]
    (tmp_path / "prices.csv").write_text("area,price\n" + "".join(rows))
    model = fit(parse_config(PRICES, str(tmp_path / "net.toml")), output_dir="run")
    results = model.results["test"]
    assert results["r2"] > 0.98 and results["loss"] < 0.02
    prepared = load_prepared(RunDirectory.open("run"))
    test = prepared.splits.test
    found = prepared.model.predict(test.span(0, len(test))[0])
    missed = found[:, 0] - price[test.rows]
    assert results["mae"] == pytest.approx(np.abs(missed).mean(), rel=1e-4)
    assert results["rmse"] == pytest.approx(np.sqrt((missed**2).mean()), rel=1e-4)
    assert results["rmse"] == pytest.approx(np.sqrt(results["mse"]))
    assert results["r2"] == pytest.approx(
        1 - (missed**2).sum() / ((price[test.rows] - price[test.rows].mean()) ** 2).sum(), rel=1e-4
    )
