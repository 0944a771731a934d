"""What a loaded dataset is made of: parts, which hold samples, and splits, which hold parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from minidl.errors import DataError
from minidl.graph.spec import Spec


@dataclass(frozen=True)
class Part:
    """Samples that belong together: the training, validation or test part.

    Parts may share arrays: ``rows`` then says which samples are whose, so that holding some out
    copies none. Take samples through :meth:`gather` and :meth:`span`, which heed it.

    Attributes
    ----------
    inputs : numpy.ndarray
        Shape (samples, ...), in the dtype it is stored in.
    targets : numpy.ndarray
        Shape (samples, ...): int64 class indices, or float values.
    rows : numpy.ndarray, optional
        Indices of the samples that belong to the part; None for all of them.

    Raises
    ------
    DataError
        If there are not as many targets as inputs.
    """

    inputs: np.ndarray
    targets: np.ndarray
    rows: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise DataError(
                f"{len(self.inputs)} inputs but {len(self.targets)} targets; "
                "each sample needs one of both"
            )

    def __len__(self) -> int:
        return len(self.inputs) if self.rows is None else len(self.rows)

    @property
    def input_spec(self) -> Spec:
        """Shape and dtype of the inputs of one sample, as stored."""
        return Spec(self.inputs.shape[1:], self.inputs.dtype.name)

    @property
    def target_spec(self) -> Spec:
        """Shape and dtype of the target of one sample."""
        return Spec(self.targets.shape[1:], self.targets.dtype.name)

    def gather(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the inputs and targets of the samples at ``positions``, each copied once."""
        rows = positions if self.rows is None else self.rows[positions]
        return self.inputs[rows], self.targets[rows]

    def span(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the inputs and targets of samples ``start`` to ``stop``, not to be written to.

        They are not copied, unless the part shares its arrays or they are not laid out plainly.
        """
        if self.rows is not None:
            return self.gather(np.arange(start, min(stop, len(self))))
        return _plain(self.inputs[start:stop]), _plain(self.targets[start:stop])


@dataclass(frozen=True)
class Splits:
    """A loaded dataset. ``validation`` is None unless the dataset brings such a part itself.

    Attributes
    ----------
    train, validation, test : Part
        ``validation`` and ``test`` may be None.
    classes : tuple of str
        Name of each class, in the order of the indices; empty for regression.
    """

    train: Part
    validation: Part | None = None
    test: Part | None = None
    classes: tuple[str, ...] = ()

    @property
    def task(self) -> Literal["classification", "regression"]:
        """What the targets are: class indices (integers) or values (floats)."""
        return "classification" if self.train.targets.dtype.kind == "i" else "regression"

    @property
    def input_spec(self) -> Spec:
        """Shape and dtype of the inputs of one sample, as stored: what ``prepare`` receives."""
        return self.train.input_spec

    @property
    def target_spec(self) -> Spec:
        """Shape and dtype of the target of one sample."""
        return self.train.target_spec

    def parts(self) -> Iterator[tuple[str, Part]]:
        """Yield the name and the part of each part there is: train, validation, test."""
        for name in ("train", "validation", "test"):
            part = getattr(self, name)
            if part is not None:
                yield name, part

    def describe(self) -> dict[str, Any]:
        """Return what a person wants to know, in values that JSON has: sizes, specs, classes."""
        return {
            "task": self.task,
            "input": str(self.input_spec),
            "target": str(self.target_spec),
            "classes": list(self.classes),
            "samples": {name: len(part) for name, part in self.parts()},
        }


def _plain(array: np.ndarray) -> np.ndarray:
    return np.require(array, requirements=("C", "A"))
