"""``minidl predict``: what it reads from stdin, and the files that it writes."""

import csv
import io
import json

import numpy as np
import pytest

from minidl.training import load

ROWS = [f"{s},{t},{s % 3 + t},{'ab'[s % 2]}\n" for s in range(30) for t in range(2 + s % 2)]
CONFIG = """
device = "cpu"
data = { dataset = "sequence_csv", path = "data.csv", group = "run", order = "t", target = "kind" }
model = { layers = [{ type = "flatten" }, { type = "linear", units = 2 }] }
loss = { type = "cross_entropy" }
optimizer = { type = "adam" }
training = { epochs = 1 }
"""
NEW = "run,t,x\nlate,1,5\nearly,0,4\nlate,0,5\n"


@pytest.fixture
def run(cli, tmp_path):
    """Return a run that was trained on sequences; the new ones are in ``new.csv``."""
    (tmp_path / "data.csv").write_text("run,t,x,kind\n" + "".join(ROWS))
    (tmp_path / "net.toml").write_text(CONFIG)
    (tmp_path / "new.csv").write_text(NEW)
    result = cli("train", "net.toml", "-o", "run", "-q")
    assert result.code == 0, result.err
    return tmp_path / "run"


def stdin_is(monkeypatch, content):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_stdin_is_read_as_a_file_is(cli, run, monkeypatch):
    expected = cli("predict", run, "-i", "new.csv")
    assert expected.code == 0, expected.err
    stdin_is(monkeypatch, NEW.encode())
    assert cli("predict", run, "-i", "-").out == expected.out
    assert [row["run"] for row in csv.DictReader(io.StringIO(expected.out))] == ["late", "early"]


def test_what_is_wrong_with_stdin_is_said_of_stdin(cli, run, monkeypatch):
    stdin_is(monkeypatch, b"run,t,x\n1,0,much\n")
    result = cli("predict", run, "-i", "-")
    assert (result.code, result.err) == (
        1,
        "error: stdin:2:3: column 'x': 'much' is not a number\n",
    )


def test_the_ending_of_the_file_says_what_is_written(cli, run, tmp_path):
    for name in ("p.csv", "p.json", "p.npy", "p.npz"):
        result = cli("predict", run, "-i", "new.csv", "-o", name)
        assert (result.code, result.out, result.err) == (0, "", f"2 predictions in {name}\n")
    model = load(run)
    expected = model.predict(model.dataset.read_inputs("new.csv"))
    assert np.array_equal(np.load("p.npy"), expected)
    with np.load("p.npz") as arrays:
        assert set(arrays) == {"predictions", "classes", "targets", "samples"}
        assert np.array_equal(arrays["predictions"], expected)
        assert arrays["classes"].tolist() == ["a", "b"]
        assert arrays["samples"].tolist() == ["late", "early"]
    report = json.loads((tmp_path / "p.json").read_text())
    table = csv.DictReader((tmp_path / "p.csv").open())
    assert [{k: str(v) for k, v in row.items()} for row in report] == list(table)


@pytest.mark.parametrize("name", ["p.xlsx", "p"])
def test_another_ending_is_refused(cli, run, tmp_path, name):
    result = cli("predict", run, "-i", "new.csv", "-o", name)
    assert result.code == 2
    assert (
        f"--output {name}: its ending does not say what to write; end it with .csv, .json, .npy "
        "or .npz"
    ) in result.err
    assert not (tmp_path / name).exists()
    result = cli("predict", run, "--prompt", "a", "-o", "text.csv")
    assert "end it with .txt or .json" in result.err


def test_json_goes_with_no_other_ending(cli, run):
    result = cli("predict", run, "-i", "new.csv", "-o", "p.csv", "--json")
    assert result.code == 2
    assert "--json does not go with --output p.csv" in result.err


def test_a_file_that_cannot_be_written_is_named(cli, run):
    for name in ("no/p.csv", "no/p.npy", "no/p.npz"):
        result = cli("predict", run, "-i", "new.csv", "-o", name)
        assert (result.code, result.err) == (
            1,
            f"error: cannot write {name}: No such file or directory\n",
        )
