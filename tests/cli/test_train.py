"""``minidl train``, ``resume`` and ``evaluate``."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from minidl.training import evaluate


def test_train_prints_results_to_stdout_and_progress_to_stderr(cli, config):
    result = cli("train", config, "-o", "run")
    assert result.code == 0
    assert result.out.startswith("test  loss ")
    assert "accuracy" in result.out
    assert result.out.rstrip().endswith("run")
    assert "device: cpu through numpy, as asked" in result.err
    assert "training 1,210 parameters for 26 steps" in result.err
    lines = result.err.splitlines()
    assert lines[2].split() == ["train", "validation"]
    assert lines[3].split() == ["epoch", "time", *["loss", "accuracy"] * 2]
    assert re.fullmatch(r" +2/2 +[0-9.]+ s( +[0-9.]+ +[0-9.]+ %){2}", lines[5])
    assert len(lines) == 6 and max(map(len, lines)) <= 80
    assert "\x1b[" not in result.err


def test_the_command_line_changes_the_config(cli, config):
    result = cli(
        "train", config, "-o", "run", "--epochs", 1, "--seed", 7, "-s", "optimizer.lr=5e-3", "-q"
    )
    assert result.code == 0, result.err
    resolved = (config.parent / "run/config.resolved.toml").read_text()
    assert "epochs = 1\n" in resolved
    assert "seed = 7\n" in resolved
    assert "lr = 0.005\n" in resolved


def test_json_gives_results_for_machines(cli, config):
    result = cli("train", config, "-o", "run", "-q", "--json")
    report = json.loads(result.out)
    assert report["run"] == "run"
    assert set(report["results"]) == {"train", "validation", "test"}


def test_a_dry_run_shows_the_network_and_writes_nothing(cli, config, tmp_path):
    result = cli("train", config, "--dry-run")
    assert result.code == 0
    assert "linear_1" in result.out
    assert [path.name for path in tmp_path.iterdir()] == ["net.toml"]


def test_without_an_output_directory_a_run_goes_to_runs_by_name_and_time(cli, config, tmp_path):
    result = cli("train", config, "-q", "--epochs", 1)
    assert result.code == 0
    (run,) = (tmp_path / "runs" / "small").iterdir()
    assert (run / "metrics.jsonl").is_file()


def test_resume_trains_on_and_refuses_a_finished_run(cli, trained):
    refused = cli("resume", trained)
    assert refused.code == 2
    assert "is finished (26 of 26 steps); give --epochs to train on" in refused.err
    result = cli("resume", trained, "--epochs", 3, "--no-progress")
    assert result.code == 0, result.err
    assert "from step 26" in result.err
    again = cli("train", "--resume", trained, "--epochs", 4, "-q")
    assert again.code == 0, again.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["net.toml"], "CONFIG"),
        (["--device", "cpu"], "--device"),
        (["--seed", "0", "--dry-run"], "--seed or --dry-run"),
        (["-s", "seed=1"], "--set"),
    ],
)
def test_train_with_resume_takes_nothing_that_the_run_decides(cli, trained, arguments, named):
    result = cli("train", *arguments, "--resume", trained)
    assert result.code == 2
    expected = f"--resume goes on with the config of the run; it takes no {named}\n"
    assert result.err.endswith(expected)


def test_a_dry_run_gives_json_too(cli, config):
    report = json.loads(cli("train", config, "--dry-run", "--json").out)
    assert report["parameters"] == 1210


def test_a_run_outlives_the_pipe_that_it_reports_to(config):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "minidl", "train", str(config), "-o", "run"]
    with os.fdopen(writer, "wb") as stderr:
        result = subprocess.run(
            command, cwd=config.parent, stderr=stderr, stdout=subprocess.PIPE, timeout=60
        )
    assert result.returncode == 0
    assert result.stdout.decode().startswith("test  loss ")


def test_evaluate_takes_the_validation_part_where_there_is_no_test_part(cli, config):
    text = config.read_text().replace('"digits"', '"npz"\npath = "d.npz"')
    config.write_text(text)
    rng = np.random.default_rng(0)
    samples = {"x": rng.normal(size=(40, 4)), "y": np.arange(40) % 10}
    np.savez(config.parent / "d.npz", **samples)
    assert cli("train", config, "-o", "run", "-q").code == 0
    assert cli("evaluate", "run").out.startswith("validation  loss ")
    report = json.loads(cli("evaluate", "run", "--json").out)
    assert report["split"] == "validation"
    assert report["results"] == evaluate("run")
    result = cli("evaluate", "run", "--split", "test")
    assert (result.code, result.err) == (1, "error: the dataset 'npz' has no test part\n")
    assert cli("train", config, "-o", "all", "-q", "-s", "data.validation=0").code == 0
    assert cli("evaluate", "all").out.startswith("train  loss ")


def test_evaluate_gives_what_training_measured(cli, trained):
    recorded = [json.loads(line) for line in (trained / "metrics.jsonl").open()]
    test = next(line for line in recorded if line["split"] == "test")
    result = cli("evaluate", trained, "--json")
    assert result.code == 0
    assert json.loads(result.out)["results"] == {k: test[k] for k in ("loss", "accuracy")}
    text = cli("evaluate", trained, "--split", "validation", "--checkpoint", "best")
    assert text.out.startswith("validation  loss ")


def test_an_unknown_key_is_one_message_with_its_place(cli, config):
    config.write_text(config.read_text().replace("batch_size", "batch_sise"))
    result = cli("train", config)
    assert result.code == 2
    assert result.err == (
        f"error: {config}:7:1: unknown key 'batch_sise' in [data]; did you mean 'batch_size'?\n"
    )


def test_an_absent_gpu_is_an_error_that_says_why(cli, config, tmp_path):
    from minidl.backends.cupy import CupyBackend

    reason = CupyBackend.unavailable()
    if reason is None:
        pytest.skip("this machine has a CUDA device")
    expected = f"{reason}; {CupyBackend.advice()}".removesuffix("; ")
    result = cli("train", config, "--device", "cuda")
    assert result.code == 1
    assert result.err == f"error: backend 'cupy' cannot be used here: {expected}\n"
    assert not (tmp_path / "runs").exists()


def test_divergence_exits_with_3(cli, config):
    result = cli("train", config, "-q", "-o", "run", "-s", "optimizer.lr=1e38", "--epochs", 3)
    assert result.code == 3
    assert result.err.startswith("error: the loss became ")
    assert "the state before that step is in run/checkpoints" in result.err


def test_the_traceback_comes_with_minidl_debug(cli, config, monkeypatch):
    monkeypatch.setenv("MINIDL_DEBUG", "1")
    result = cli("train", config.parent / "missing.toml")
    assert result.code == 2
    assert "Traceback" in result.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_to_go_on_from(config, number):
    folder = config.parent
    command = [sys.executable, "-m", "minidl", "train", str(config), "-o", "run"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, "--epochs", "100000"],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not (folder / "run/checkpoints/last.json").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"stopped by signal {int(number)} after step" in err.decode()
    step = json.loads((folder / "run/checkpoints/last.json").read_text())["step"]
    assert f"after step {step}" in err.decode()


def test_many_metrics_take_several_lines_that_fit(cli, config):
    named = 'training.metrics=["accuracy", "f1", "precision", "recall", "top_k_accuracy"]'
    result = cli("train", config, "-o", "run", "--no-progress", "-s", named)
    lines = result.err.splitlines()[2:]
    assert lines[0].split() == ["epoch", "time"]
    assert re.fullmatch(r" +1/2 +[0-9.]+ s", lines[1])
    text = " ".join(" ".join(lines[2:]).split())
    names = "loss", "accuracy", "f1", "precision", "recall", "top_k_accuracy"
    for split in ("train", "validation"):
        pairs = " ".join(rf"{name} [0-9.e-]+( %)?" for name in names)
        assert len(re.findall(rf"{split} {pairs}", text)) == 2
    assert max(map(len, lines)) <= 80


def test_early_stopping_says_so_and_where_the_best_weights_are(cli, config):
    result = cli(
        *("train", config, "-o", "run", "--epochs", 9, "--no-progress"),
        *("-s", "training.patience=1", "-s", "training.min_delta=0.9"),
    )
    assert "stopped early: no better validation accuracy for 1 epoch\n" in result.err
    best = result.out.splitlines()[1]
    assert re.fullmatch(
        r"best  validation accuracy [0-9.]+ %, in epoch 1  \(evaluate --checkpoint best\)", best
    )


def test_frozen_parameters_are_not_counted_as_trained(cli, config):
    frozen = 'optimizer.groups=[{ match = "linear_1.*", frozen = true }]'
    result = cli("train", config, "-o", "run", "--no-progress", "-s", frozen)
    assert "training 170 parameters (1,040 more are frozen) for 26 steps" in result.err
