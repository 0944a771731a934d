"""What a dataset is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minidl.component import C, Component, component
from minidl.graph import Tensor
from minidl.graph.spec import is_float

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Part:
    """Samples that belong together: the training, validation or test part.

    Attributes
    ----------
    inputs : numpy.ndarray
        Shape (samples, ...), in the dtype it is stored in.
    targets : numpy.ndarray
        Shape (samples, ...): int64 class indices, or float32 values.
    """

    inputs: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Splits:
    """A loaded dataset. ``validation`` is None unless the dataset brings such a part itself.

    Attributes
    ----------
    train, validation, test : Part
        ``test`` may be None.
    classes : tuple of str
        Name of each class, in the order of the indices; empty for regression.
    """

    train: Part
    validation: Part | None = None
    test: Part | None = None
    classes: tuple[str, ...] = ()


class Dataset(Component):
    """Where samples come from. Subclass it and decorate it with :func:`dataset`."""

    kind = "dataset"

    def load(self) -> Splits:
        """Read everything.

        Raises
        ------
        DataError
            Saying what was looked for, where, and how to get it.
        """
        raise NotImplementedError

    def prepare(self, inputs: Tensor) -> Tensor:
        """Turn a batch as it is stored into what the network takes; runs inside the program.

        Default: converted to float32 unless it is a float already.
        """
        return inputs if is_float(inputs.dtype) else inputs.astype("float32")

    def read_inputs(self, path: str) -> np.ndarray:
        """Read a file of unlabelled inputs for ``minidl predict``, stored as ``load`` stores them.

        Raises
        ------
        DataError
            If this dataset has no such reader, or the file does not fit.
        """
        raise NotImplementedError


def dataset(name: str) -> Callable[[C], C]:
    """Declare a dataset and register it under ``name``."""
    return component("dataset", name)
