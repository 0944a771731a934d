"""What a dataset is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from minidl.component import C, Component, component
from minidl.data.batches import hold_out
from minidl.data.checks import check_splits
from minidl.data.parts import Part, Splits
from minidl.errors import DataError
from minidl.graph import Tensor
from minidl.graph.spec import is_float

__all__ = ["Dataset", "Part", "Splits", "dataset"]


class Dataset(Component):
    """Where samples come from. Subclass it and decorate it with :func:`dataset`.

        @md.dataset("spiral")
        class Spiral(md.Dataset):
            count: int = 100                                      # a field: its config

            def load(self):
                ...
                return Splits(Part(points, arms), classes=("left", "right"))

    Attributes
    ----------
    paths : tuple of str
        Fields that name files or folders; a config resolves them relative to its own place.
    validates_by : str
        What decides which samples validate, in place of the share that a config names.
    predicts_inputs : bool
        Whether the target of a place is the input of the next, which a network must not see.
    """

    kind: ClassVar[str] = "dataset"
    paths: ClassVar[tuple[str, ...]] = ()
    validates_by: ClassVar[str] = ""
    predicts_inputs: ClassVar[bool] = False

    # -- for authors -------------------------------------------------------------------------

    def load(self) -> Splits:
        """Read everything; override.

        Raises
        ------
        DataError
            Saying what was looked for, where, and how to get it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no load")

    def outline(self) -> Splits | None:
        """Return what :meth:`load` would, with arrays that cannot be taken from, without reading.

        None, as by default, where shapes and classes are only known once the data is read.
        """
        return None

    def prepare(self, inputs: Tensor) -> Tensor:
        """Turn a batch as it is stored into what the network takes; runs inside the program.

        Default: converted to float32 unless it is a float already.
        """
        return inputs if is_float(inputs.dtype) else inputs.astype("float32")

    def target_units(self, values: Tensor) -> Tensor:
        """Turn targets, or predictions of them, into what a person reads; default as they are.

        For a dataset that scales its targets for the loss. Metrics and predictions go through it,
        inside the program.
        """
        return values

    def read_inputs(self, path: str) -> np.ndarray:
        """Read a file of unlabelled inputs for ``minidl predict``, stored as ``load`` stores them.

        Raises
        ------
        DataError
            If this dataset has no such reader, or the file does not fit.
        """
        raise DataError(f"dataset '{self.type_name}' cannot read inputs from a file")

    def input_names(self, path: str) -> tuple[str, Sequence[str]] | None:
        """Return what each sample of :meth:`read_inputs` is called, behind what such names are.

        ``("file", ["a.png", "b.png"])``. None, as by default, where only their order is known.
        """
        return None

    def state(self) -> dict[str, Any]:
        """Return what was learnt from the training part, in values that JSON has.

        A run keeps it, so that a network meets later inputs as it met those it was trained on.
        """
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Use what :meth:`state` returned instead of learning it again.

        Raises
        ------
        DataError
            If it is not a state of this dataset.
        """

    @property
    def target_names(self) -> tuple[str, ...]:
        """What the data calls each value that is to be predicted; empty where it has no names."""
        return ()

    @property
    def filling(self) -> float | None:
        """What sequences shorter than others are filled up with; None where they are not."""
        return None

    def real_steps(self, inputs: np.ndarray) -> np.ndarray | None:
        """Return which steps of stored sequences are no padding, bool of shape (samples, steps).

        None if all are.
        """
        return None

    # -- for those who hold datasets ---------------------------------------------------------

    def splits(self, validation: float = 0.0, seed: int = 0) -> Splits:
        """Load and check everything, and hold ``validation`` of the training part out.

        A part that the dataset brings itself is taken instead; 0 holds nothing out.

        Raises
        ------
        DataError
            As :meth:`load` does, or if the data breaks a rule of :func:`check_splits`.
        """
        splits = check_splits(self.load(), self.label)
        if not validation or splits.validation is not None:
            return splits
        train, held = hold_out(splits.train, validation, seed)
        return replace(splits, train=train, validation=held)

    @property
    def label(self) -> str:
        """The dataset in messages: ``"dataset 'npz' (points.npz)"``."""
        given = [getattr(self, name) for name in self.paths if getattr(self, name)]
        return f"dataset '{self.type_name}'" + (f" ({given[0]})" if given else "")


def dataset(name: str) -> Callable[[C], C]:
    """Declare a dataset and register it under ``name``."""
    return component("dataset", name)
