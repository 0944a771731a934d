"""The package as users have it: installed, found by name, trained from a config."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata

import pytest

CONFIG = """
name = "digits-kan"
seed = 1

[data]
dataset = "digits"
batch_size = 64

[model]
layers = [
  { type = "flatten" },
  { type = "kan", units = 16, grid_range = [0.0, 1.0], grid_size = 3 },
  { type = "kan", units = 10, grid_range = [-4.0, 4.0] },
]

[loss]
type = "cross_entropy"

[optimizer]
type = "adam"
lr = 1e-2

[training]
epochs = 5
"""


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300
    )


def test_the_package_is_installed_not_found_by_its_folder():
    files = metadata.distribution("minidl-kan").files
    assert "minidl_kan/layers.py" in {file.as_posix() for file in files}


@pytest.mark.parametrize(("kind", "name"), [("op", "bspline_basis"), ("layer", "kan")])
def test_minidl_finds_what_it_brings_by_name(kind, name, tmp_path):
    code = f"from minidl import registry; print(registry.entry('{kind}', '{name}').source)"
    done = run("-c", code, cwd=tmp_path)
    assert done.stdout == "minidl_kan\n", done.stderr


def test_a_config_names_the_layer_and_learns(tmp_path):
    (tmp_path / "net.toml").write_text(CONFIG)
    done = run("-m", "minidl", "train", "net.toml", "-o", "run", "--no-progress", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    (test,) = [record for record in map(json.loads, lines) if record["split"] == "test"]
    assert test["accuracy"] > 0.9


def test_a_misspelt_field_is_an_error_in_the_config(tmp_path):
    (tmp_path / "net.toml").write_text(CONFIG.replace("grid_size", "grid_sise"))
    done = run("-m", "minidl", "config", "check", "net.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "grid_sise" in done.stderr
    assert "did you mean 'grid_size'?" in done.stderr


@pytest.mark.parametrize("name", ["bspline_basis", "kan"])
def test_the_command_line_checks_its_gradients(name, tmp_path):
    done = run("-m", "minidl", "check", name, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
