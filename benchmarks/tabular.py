"""The tabular template beside models of scikit-learn that are tuned on the same rows.

Five folds of all rows: each model is trained on four and tested on the fifth. Options of
scikit-learn's models are chosen by five-fold cross-validation within the training rows; the
template is trained as it is. Prints the accuracy on each fold and its mean.

    python benchmarks/tabular.py
"""

from __future__ import annotations

import statistics
import tomllib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from minidl.cli.options import SHIPPED
from minidl.config import load_config
from minidl.training import fit

Rows = tuple[np.ndarray, np.ndarray]

MODELS: list[tuple[Any, dict[str, list[Any]]]] = [
    (LogisticRegression(max_iter=2000), {"C": [0.01, 0.1, 1, 10]}),
    (SVC(), {"C": [0.1, 1, 10, 100], "gamma": ["scale", 0.01, 0.001]}),
    (
        MLPClassifier(max_iter=500, random_state=0),
        {"alpha": [1e-4, 1e-2, 1], "hidden_layer_sizes": [(32,), (64,)]},
    ),
    (RandomForestClassifier(random_state=0), {"n_estimators": [100, 300]}),
]


def main() -> None:
    """Print a line for each model."""
    warnings.filterwarnings("ignore", category=UserWarning)
    found: dict[str, list[float]] = {}
    inputs, targets = all_rows()
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(inputs, targets):
        scale = StandardScaler().fit(inputs[train])
        parts = [(scale.transform(inputs[p]), targets[p]) for p in (train, test)]
        for name, accuracy in accuracies(*parts):
            found.setdefault(name, []).append(accuracy)
    for name, values in found.items():
        each = "  ".join(f"{value:7.2%}" for value in values)
        print(f"{name:24}{statistics.mean(values):7.2%}   {each}")


def all_rows() -> Rows:
    """Return the inputs, as they are in the file, and the classes of all rows."""
    config = load_config(SHIPPED / "tabular.toml", ["data.standardize=false"])
    splits = config.data.dataset.splits(0.0)
    parts = [part.gather(np.arange(len(part))) for _, part in splits.parts()]
    inputs, targets = zip(*parts, strict=True)
    return np.concatenate(inputs), np.concatenate(targets)


def accuracies(train: Rows, test: Rows) -> Iterator[tuple[str, float]]:
    """Yield the name of each model and the share of the test rows that it gets right."""
    template = tomllib.loads((SHIPPED / "tabular.toml").read_text())
    template["data"] = {"batch_size": template["data"]["batch_size"], "validation": 0.0}
    yield "minidl tabular", fit(template, data=train, test=test).results["test"]["accuracy"]
    for model, options in MODELS:
        tuned = GridSearchCV(model, options, cv=5).fit(*train)
        yield type(model).__name__, float(tuned.score(*test))


if __name__ == "__main__":
    main()
