"""What a loaded dataset is made of: parts, which hold samples, and splits, which hold parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from minidl.errors import DataError
from minidl.graph.spec import Spec


class LazyArray:
    """Samples that are made when they are asked for; a part holds it in place of an array.

    Subclass it and override :meth:`take`. Who makes samples answers for their values: they are
    not looked at beforehand for NaN and unknown classes.

    Parameters
    ----------
    shape : tuple of int
        Of all samples together; their number comes first.
    dtype : str or numpy.dtype
        Of what :meth:`take` returns.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str | np.dtype) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the samples at ``rows`` as a new array; override."""
        raise NotImplementedError(f"{type(self).__name__} has no take")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        return self.take(rows)

    @property
    def ndim(self) -> int:
        """The number of axes, that of the samples among them."""
        return len(self.shape)


@dataclass(frozen=True)
class Part:
    """Samples that belong together: the training, validation or test part.

    Parts may share arrays: ``rows`` then says which samples are whose, so that holding some out
    copies none. Take samples through :meth:`gather` and :meth:`span`, which heed it.

    Attributes
    ----------
    inputs : numpy.ndarray or LazyArray
        Shape (samples, ...), in the dtype it is stored in.
    targets : numpy.ndarray or LazyArray
        Shape (samples, ...): int64 class indices, or float values.
    rows : numpy.ndarray, optional
        Indices of the samples that belong to the part; None for all of them.

    Raises
    ------
    DataError
        If there are not as many targets as inputs.
    """

    inputs: np.ndarray | LazyArray
    targets: np.ndarray | LazyArray
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

    def in_epoch(self, seed: int, epoch: int) -> Part:
        """Return the part that an epoch trains on, as long as this one: by default itself.

        Override it where the samples are drawn anew for every epoch, as windows of a text are.
        """
        return self

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
