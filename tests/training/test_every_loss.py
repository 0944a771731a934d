"""Every registered loss, from a config and files as a person has them to what predict prints."""

import contextlib
import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import tomlkit

from minidl import registry
from minidl.cli.main import main

Rows = list[dict[str, str]]


@dataclass
class Case:
    """A problem, how it is trained, and what must be predicted for the file of new inputs.

    Attributes
    ----------
    write : function
        Takes a folder and leaves there what ``data`` names, and new inputs in ``new.csv`` or
        ``new.npy``; returns what is true of them.
    check : function
        Takes the rows that were predicted and that truth.
    """

    loss: dict
    write: Callable[[Path, np.random.Generator], object]
    data: dict
    layers: list[dict]
    check: Callable[[Rows, object], None]
    training: dict = field(default_factory=dict)
    lr: float = 0.05

    def __str__(self) -> str:
        return f"{self.loss['type']}-{self.write.__name__}"

    def toml(self) -> str:
        return tomlkit.dumps(
            {
                "device": "cpu",
                "data": {"batch_size": 16, "validation": 0.0, **self.data},
                "model": {"layers": self.layers},
                "loss": self.loss,
                "optimizer": {"type": "adam", "lr": self.lr},
                "training": {"epochs": 15, **self.training},
            }
        )


def minidl(*arguments: object) -> str:
    """Return what the command line prints."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as exited,
    ):
        main([str(argument) for argument in arguments])
    assert exited.value.code == 0, err.getvalue()
    return out.getvalue()


def write_csv(path: Path, header: str, rows: list) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])


# -- problems ---------------------------------------------------------------------------------


def boxes(folder, rng):
    """A table with two columns of values to predict."""
    x = rng.normal(size=(120, 2)).round(4)
    y = x @ [[1.0, -2.0], [0.5, 1.0]] + [3.0, -1.0]
    write_csv(folder / "data.csv", "a,b,width,height", np.hstack([x, y])[:100].tolist())
    write_csv(folder / "new.csv", "a,b", x[100:].tolist())
    return y[100:]


def same_boxes(rows, truth):
    assert list(rows[0]) == ["width", "height"]
    found = np.array([[float(value) for value in row.values()] for row in rows])
    assert np.abs(found - truth).mean() < 0.35


def flowers(folder, rng):
    """A table with a column of classes."""
    kinds = rng.integers(0, 3, 120)
    x = rng.normal(size=(120, 2)) * 0.3 + np.array([[0, 0], [2, 0], [0, 2]])[kinds]
    names = np.array(["iris", "lily", "rose"])[kinds]
    rows = [[*point, name] for point, name in zip(x.tolist(), names, strict=True)]
    write_csv(folder / "data.csv", "a,b,kind", rows[:100])
    write_csv(folder / "new.csv", "a,b", x[100:].tolist())
    return names[100:]


def same_flowers(rows, truth):
    assert list(rows[0]) == ["class", "p(iris)", "p(lily)", "p(rose)"]
    assert np.mean([row["class"] for row in rows] == truth) > 0.9
    assert [sum(map(float, list(row.values())[1:])) for row in rows] == pytest.approx(
        [1] * 20, abs=1e-5
    )


def symptoms(folder, rng):
    """A table with several questions of yes or no, 1 or 0."""
    x = rng.normal(size=(140, 3)).round(4)
    y = np.stack([x[:, 0] > 0, x[:, 1] > x[:, 2], x[:, 0] + x[:, 2] > 0], axis=1).astype(int)
    rows = np.hstack([x, y])
    write_csv(folder / "data.csv", "a,b,c,fever,cough,pain", rows[:120].tolist())
    write_csv(folder / "new.csv", "a,b,c", x[120:].tolist())
    return y[120:]


def same_symptoms(rows, truth):
    names = ["fever", "cough", "pain"]
    assert list(rows[0]) == ["fever", "p(fever)", "cough", "p(cough)", "pain", "p(pain)"]
    found = np.array([[int(row[name]) for name in names] for row in rows])
    assert (found == truth).mean() > 0.9
    assert all((float(row["p(cough)"]) > 0.5) == (row["cough"] == "1") for row in rows)


def answers(folder, rng):
    """A table with one question, whose answers are words."""
    x = rng.normal(size=(120, 2))
    words = np.where(x[:, 0] > x[:, 1], "yes", "no")
    rows = [[*point, word] for point, word in zip(x.tolist(), words, strict=True)]
    write_csv(folder / "data.csv", "a,b,answer", rows[:100])
    write_csv(folder / "new.csv", "a,b", x[100:].tolist())
    return words[100:]


def same_answers(rows, truth):
    assert list(rows[0]) == ["class", "p(no)", "p(yes)"]
    assert np.mean([row["class"] for row in rows] == truth) > 0.8


def mixtures(folder, rng):
    """Arrays whose targets are probabilities of three classes."""
    x = rng.normal(size=(120, 4)).astype("float32")
    z = np.exp(x[:, :3])
    y = (z / z.sum(axis=1, keepdims=True)).astype("float32")
    np.savez(folder / "data.npz", x=x[:100], y=y[:100])
    np.save(folder / "new.npy", x[100:])
    return y[100:]


def same_mixtures(rows, truth):
    assert list(rows[0]) == ["class", "p(red)", "p(green)", "p(blue)"]
    found = np.array([[float(value) for value in list(row.values())[1:]] for row in rows])
    np.testing.assert_allclose(found, truth, atol=0.08)


def rises(folder, rng):
    """Sequences of several lengths, with a class for each row: did the value rise?"""
    rows, new, truth = [], [], []
    for sequence in range(120):
        values = rng.normal(size=rng.integers(2, 7)).round(3)
        tags = ["up" if b > a else "down" for a, b in zip([0, *values], values, strict=False)]
        for value, tag in zip(values, tags, strict=True):
            if sequence < 100:
                rows.append([sequence, value, tag])
            else:
                new.append([sequence, value])
        truth += [(sequence, step, tag) for step, tag in enumerate(tags) if sequence >= 100]
    write_csv(folder / "data.csv", "series,value,tag", rows)
    write_csv(folder / "new.csv", "series,value", new)
    return truth


def same_rises(rows, truth):
    assert list(rows[0]) == ["series", "step", "class", "p(down)", "p(up)"]
    found = [(int(row["series"]), int(row["step"]), row["class"]) for row in rows]
    assert [row[:2] for row in found] == [row[:2] for row in truth]  # padding is left out
    assert np.mean([a == b for a, b in zip(found, truth, strict=True)]) > 0.9


def pictures(folder, rng):
    """Pictures with a class for each pixel; those of the frame have none."""
    x = rng.integers(0, 256, (60, 1, 4, 5)).astype("uint8")
    y = (x[:, 0] > 128).astype(int)
    framed = np.full_like(y, -1)
    framed[:, 1:-1, 1:-1] = y[:, 1:-1, 1:-1]
    np.savez(folder / "data.npz", x=x[:50], y=framed[:50])
    np.save(folder / "new.npy", x[50:])
    return y[50:]


def same_pictures(rows, truth):
    assert list(rows[0]) == ["sample", "row", "column", "class", "p(dark)", "p(light)"]
    found = np.zeros(truth.shape, int)
    for row in rows:
        found[tuple(int(row[name]) for name in ("sample", "row", "column"))] = (
            row["class"] == "light"
        )
    assert (found == truth).mean() > 0.9


def spoken(text, rng):
    """Return steps that spell a text: noisy one-hot rows, each letter two or three times."""
    steps = [np.eye(4)["abc ".index(c)] for c in " ".join(text) for _ in range(rng.integers(2, 4))]
    return (np.array(steps) + 0.1 * rng.normal(size=(len(steps), 4))).round(3)


def spellings(count, rng):
    return ["".join(rng.choice(list("abc"), rng.integers(1, 5))) for _ in range(count)]


def spelling(folder, rng):
    """Sequences of several lengths, each with the text that it spells in all its rows."""
    texts = spellings(70, rng)
    rows, new = [], []
    for sequence, text in enumerate(texts):
        for step in spoken(text, rng).tolist():
            if sequence < 60:
                rows.append([sequence, *step, text])
            else:
                new.append([sequence, *step])
    write_csv(folder / "data.csv", "series,a,b,c,d,text", rows)
    write_csv(folder / "new.csv", "series,a,b,c,d", new)
    return texts[60:]


def spelling_arrays(folder, rng):
    """The same in arrays: steps filled up with 0, labels with -1; class 0 is blank."""
    texts = spellings(70, rng)
    x, y = np.zeros((70, 25, 4), "float32"), np.full((70, 4), -1)
    for i, text in enumerate(texts):
        steps = spoken(text, rng)
        x[i, : len(steps)] = steps
        y[i, : len(text)] = ["-abc".index(c) for c in text]
    np.savez(folder / "data.npz", x=x[:60], y=y[:60])
    np.save(folder / "new.npy", x[60:])
    return texts[60:]


def same_spelling(rows, truth):
    assert list(rows[0])[-1] == "labels"
    assert np.mean([row["labels"] == text for row, text in zip(rows, truth, strict=True)]) > 0.8


def faces(folder, rng):
    """Arrays with a class for each sample, of which only being alike matters."""
    kinds = rng.integers(0, 4, 120)
    x = (rng.normal(size=(4, 6))[kinds] + 0.3 * rng.normal(size=(120, 6))).astype("float32")
    np.savez(folder / "data.npz", x=x[:100], y=kinds[:100])
    np.save(folder / "new.npy", x[100:])
    return kinds[100:]


def same_faces(rows, truth):
    assert list(rows[0]) == ["value_0", "value_1"]
    found = np.array([[float(value) for value in row.values()] for row in rows])
    apart = np.linalg.norm(found[:, None] - found, axis=-1) + 1e9 * np.eye(len(found))
    assert (truth[apart.argmin(axis=1)] == truth).mean() > 0.8


def meanings(folder, rng):
    """Arrays whose targets are vectors, of which only the direction matters."""
    x = rng.normal(size=(120, 5)).astype("float32")
    y = (x @ rng.normal(size=(5, 3)) * rng.uniform(1, 9, (120, 1))).astype("float32")
    np.savez(folder / "data.npz", x=x[:100], y=y[:100])
    np.save(folder / "new.npy", x[100:])
    return y[100:]


def same_meanings(rows, truth):
    found = np.array([[float(value) for value in row.values()] for row in rows])
    cosines = (found * truth).sum(axis=1)
    cosines /= np.linalg.norm(found, axis=1) * np.linalg.norm(truth, axis=1)
    assert cosines.mean() > 0.95


# -- how they are trained ---------------------------------------------------------------------

CSV = {"dataset": "csv", "path": "data.csv"}
NPZ = {"dataset": "npz", "path": "data.npz", "test_fraction": 0.2}
ROWS = {"dataset": "sequence_csv", "path": "data.csv", "group": "series"}
HIDDEN = [{"type": "linear", "units": 16}, {"type": "tanh"}]
MASK = {"type": "padding_mask", "name": "mask"}
SPELL = [
    MASK,
    {"type": "linear", "units": 4, "inputs": ["input"], "name": "logits"},
    {"type": "blank_padding", "inputs": ["logits", "mask"]},
]


def linear(units):
    return {"type": "linear", "units": units}


def of_values(name, **fields):
    data = {**CSV, "target": ["width", "height"]}
    return Case({"type": name, **fields}, boxes, data, [linear(2)], same_boxes, lr=0.2)


CASES = [
    of_values("squared_error"),
    of_values("mse"),
    of_values("mae"),
    of_values("huber", delta=0.5),
    of_values("smooth_l1", beta=0.5),
    Case(
        {"type": "cross_entropy", "ignore_index": -100, "weight": [1.0, 1.5]},
        rises,
        {**ROWS, "target": "tag", "labels": "step"},
        [
            MASK,
            {"type": "gru", "hidden_size": 12, "inputs": ["input", "mask"]},
            linear(2),
        ],
        same_rises,
        {"epochs": 40},
    ),
    Case(
        {"type": "cross_entropy", "ignore_index": -1, "axis": 1},
        pictures,
        {**NPZ, "task": "classification", "classes": ["dark", "light"], "divide_by": 255.0},
        [{"type": "conv2d", "out_channels": 2, "kernel_size": 1}],
        same_pictures,
        lr=0.5,
    ),
    Case({"type": "cross_entropy"}, flowers, {**CSV, "target": "kind"}, [linear(3)], same_flowers),
    Case(
        {"type": "cross_entropy"},
        mixtures,
        {**NPZ, "classes": ["red", "green", "blue"]},
        [linear(3)],
        same_mixtures,
        {"epochs": 40},
    ),
    Case(
        {"type": "nll"},
        flowers,
        {**CSV, "target": "kind"},
        [linear(3), {"type": "log_softmax"}],
        same_flowers,
    ),
    Case(
        {"type": "kl_div"},
        mixtures,
        {**NPZ, "classes": ["red", "green", "blue"]},
        [linear(3), {"type": "log_softmax"}],
        same_mixtures,
        {"epochs": 40},
    ),
    Case(
        {"type": "binary_cross_entropy"},
        symptoms,
        {**CSV, "target": ["fever", "cough", "pain"]},
        [linear(3)],
        same_symptoms,
    ),
    Case(
        {"type": "binary_cross_entropy"},
        answers,
        {**CSV, "target": "answer"},
        [linear(1)],
        same_answers,
    ),
    Case({"type": "triplet_margin"}, faces, NPZ, [*HIDDEN, linear(2)], same_faces),
    Case({"type": "cosine_embedding"}, meanings, NPZ, [linear(3)], same_meanings),
    Case(
        {"type": "ctc"},
        spelling,
        {**ROWS, "target": "text", "labels": "characters", "standardize": False},
        SPELL,
        same_spelling,
        {"epochs": 40},
    ),
    Case(
        {"type": "ctc"},
        spelling_arrays,
        {**NPZ, "task": "classification", "classes": ["", "a", "b", "c"]},
        SPELL,
        same_spelling,
        {"epochs": 40},
    ),
]


def test_every_loss_has_a_case():
    built_in = {e.name for e in registry.entries("loss") if e.source == "minidl"}
    assert {case.loss["type"] for case in CASES} == built_in


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_trains_from_a_config_and_predicts(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth = case.write(tmp_path, np.random.default_rng(0))
    Path("net.toml").write_text(case.toml())
    minidl("train", "net.toml", "-o", "run", "-q")
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    first = next(line["loss"] for line in lines if line["split"] == "train")
    report = json.loads(minidl("evaluate", "run", "--json"))["results"]
    assert report["loss"] < 0.8 * first
    assert report == {k: v for k, v in lines[-1].items() if k not in ("step", "epoch", "split")}
    new = next(Path().glob("new.*"))
    case.check(list(csv.DictReader(io.StringIO(minidl("predict", "run", "-i", new)))), truth)
