"""Runs whose batches are transformed, balanced and prefetched: repeated, and resumed exactly."""

import signal
import threading

import pytest

from minidl.errors import DataError
from minidl.training import Interrupted, RunDirectory, fit, resume
from minidl.training.pipeline import make_trainer, prepare, train

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


def test_a_transform_that_does_not_fit_is_an_error_before_the_first_step(small):
    with pytest.raises(DataError) as caught:
        prepare(small('data.transforms=[{type="cutout", fill=0.5}]'))
    assert str(caught.value) == "transform 'cutout' cannot fill with 0.5 what is stored as uint8"
