"""Listing what is registered, telling of a plugin, and writing a new one."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from minidl import registry

ROOT = Path(__file__).parents[2]
FILE = """
import minidl as md

@md.layer("twice")
class Twice(md.Layer):
    "Two times x. Exactly."

    def forward(self, x):
        return 2 * x
"""


@pytest.fixture
def plugin_file(tmp_path):
    (tmp_path / "my_layers.py").write_text(FILE)
    yield tmp_path / "my_layers.py"
    registry.forget("layer", "twice")


def test_everything_is_listed_by_kind_with_a_line_each(cli):
    text = cli("plugins", "list").out
    heads = [line for line in text.splitlines() if not line.startswith(" ")]
    assert heads == list(registry.KINDS)
    assert re.search(r"^  linear +Affine map of the last axis, as in PyTorch$", text, re.M)
    assert re.search(r"^  numpy +Arrays in main memory", text, re.M)


def test_one_kind_is_listed_with_what_plugins_bring(cli, plugin_file):
    text = cli("plugins", "list", "layer", "--plugin", plugin_file).out
    assert re.search(rf"^  twice +Two times x \(from {re.escape(str(plugin_file))}\)$", text, re.M)
    assert "adam" not in text
    listed = json.loads(cli("plugins", "list", "layer", "--plugin", plugin_file, "--json").out)
    assert {
        "kind": "layer",
        "name": "twice",
        "source": str(plugin_file),
        "summary": "Two times x",
    } in listed
    assert {each["kind"] for each in listed} == {"layer"}


def test_a_kind_that_there_is_not(cli):
    result = cli("plugins", "list", "layers")
    assert result.code == 2
    assert result.err == (
        f"error: no kind is called 'layers'; did you mean 'layer'? "
        f"(there are: {', '.join(registry.KINDS)})\n"
    )


def test_a_plugin_is_told_by_its_distribution_its_file_or_what_it_brings(cli, plugin_file):
    told = json.loads(cli("plugins", "info", "minidl", "--json").out)
    assert told["name"] == "minidl"
    assert told["version"]
    assert ("layer", "linear") in {(part["kind"], part["name"]) for part in told["parts"]}
    text = cli("plugins", "info", "my_layers.py", "--plugin", plugin_file).out
    assert text.startswith(f"{plugin_file}\n")
    assert text.endswith("  layer twice: Two times x\n")
    text = cli("plugins", "info", "twice", "--plugin", plugin_file).out
    assert text.startswith("twice\n")
    assert str(plugin_file) in text


def test_a_name_that_nothing_has(cli):
    result = cli("plugins", "info", "lstmm")
    assert (result.code, result.err) == (
        2,
        "error: no plugin or part is called 'lstmm'; did you mean 'lstm'?\n",
    )


def test_a_plugin_that_fails_to_load_is_told(cli, monkeypatch):
    broken = {"gate from minidl-gate 0.1.0": "ValueError: no"}
    monkeypatch.setattr(registry, "broken_plugins", lambda kind=None: broken)
    result = cli("plugins", "info", "minidl-gate")
    assert result.code == 0
    assert "gate from minidl-gate 0.1.0: ValueError: no" in result.out
    assert "gate from minidl-gate 0.1.0 (ValueError: no)" in cli("plugins", "list", "loss").err


# -- new -------------------------------------------------------------------------------------


def test_a_new_plugin_passes_its_own_tests_and_is_found_by_its_entry_point(cli, tmp_path):
    result = cli("plugins", "new", "minidl-soft-gate")
    assert result.out == (
        "minidl-soft-gate written; install it with: pip install -e minidl-soft-gate\n"
    )
    folder = tmp_path / "minidl-soft-gate"
    path = os.pathsep.join([str(folder), str(ROOT)])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == "minidl-soft-gate"
    points = project["project"]["entry-points"]
    assert points == {"minidl.layers": {"soft_gate": "minidl_soft_gate.layers"}}
    assert set(points) <= set(registry.KINDS.values())
    assert project["tool"]["setuptools"]["packages"] == ["minidl_soft_gate"]
    left = [p for p in folder.rglob("*") if p.is_file() and "$" in p.read_text(errors="ignore")]
    assert [p for p in left if p.suffix != ".pyc"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["My Plugin"],
            "a plugin cannot be called 'My Plugin'; write small letters and digits, with - between "
            "words: minidl-gate",
        ),
        (["minidl"], "'minidl' is there already in Python; choose another name"),
        (["class"], "'class' is there already in Python; choose another name"),
        (["minidl-relu"], "a layer 'relu' is there already; choose another with --layer"),
        (
            ["minidl-soft-gate", "--layer", "1x"],
            "a layer cannot be called '1x'; write it as my_layer",
        ),
        (["minidl-soft-gate", "-o", "full"], "full is there already; name another folder with -o"),
    ],
)
def test_a_plugin_that_cannot_be_written(cli, tmp_path, arguments, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    result = cli("plugins", "new", *arguments)
    assert (result.code, result.err) == (2, f"error: {message}\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full"]
