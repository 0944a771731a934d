"""Data written into the config itself."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from minidl.data.base import Dataset, dataset
from minidl.data.checks import check_splits
from minidl.data.npz import read_array_file
from minidl.data.parts import Part, Splits
from minidl.data.targets import Task, as_targets, class_names
from minidl.errors import ConfigError
from minidl.graph import Tensor


@dataset("inline")
class Inline(Dataset):
    """A few samples, written as nested lists; for teaching and for trying things out.

    All of them train: none is held out for validation, whatever share is asked for.

        dataset = "inline"
        inputs = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
        targets = [0, 1, 1, 0]

    Attributes
    ----------
    inputs, targets : nested list
        A sample an item.
    test_inputs, test_targets : nested list, optional
        The test part. Default: the training part.
    task : {"auto", "classification", "regression"}
        ``auto`` takes a plain list of integers for class indices.
    classes : tuple of str
        Names of the classes. Default: their indices.
    dtype : {"float32", "float64", "int64"}
        Of the inputs; ``int64`` for indices to be embedded. Targets that are values take it too
        if it is a float.
    """

    validates_by: ClassVar[str] = "all samples train"

    inputs: list[Any]
    targets: list[Any]
    test_inputs: list[Any] | None = None
    test_targets: list[Any] | None = None
    task: Task = "auto"
    classes: tuple[str, ...] = ()
    dtype: Literal["float32", "float64", "int64"] = "float32"

    def load(self) -> Splits:
        """Make arrays of the lists.

        Raises
        ------
        ConfigError
            If a list is ragged, holds something else than numbers, or is missing.
        """
        train = self._part("inputs", "targets")
        test = train
        if self.test_inputs is not None or self.test_targets is not None:
            test = self._part("test_inputs", "test_targets")
        return Splits(
            train, test=test, classes=class_names((train, test), self.classes, self.label)
        )

    def splits(self, validation: float = 0.0, seed: int = 0) -> Splits:
        """Make arrays of the lists and check them, without a validation part.

        Raises
        ------
        ConfigError, DataError
            If they are no arrays, or not such as training can rely on.
        """
        return check_splits(self.load(), self.label)

    def prepare(self, inputs: Tensor) -> Tensor:
        """Leave what it is: ``load`` has made it of the dtype that was asked for."""
        return inputs

    def read_inputs(self, path: str) -> np.ndarray:
        """Read inputs from a .npy file, a .npz file or a CSV file of numbers.

        Raises
        ------
        DataError
            If the file is malformed, or has a value that is not finite.
        """
        return read_array_file(path).astype(self.dtype)

    def _part(self, inputs: str, targets: str) -> Part:
        x, y = self._array(inputs), self._array(targets)
        if len(x) != len(y):
            raise ConfigError(
                f"{self.label}: {inputs} has {len(x)} samples, {targets} has {len(y)}"
            )
        dtype = "float32" if self.dtype == "int64" else self.dtype
        made = as_targets(y, self.task, dtype, f"{self.label}: {targets}")
        return Part(x.astype(self.dtype), made)

    def _array(self, name: str) -> np.ndarray:
        values = getattr(self, name)
        if values is None:
            raise ConfigError(f"{self.label}: {name} is missing")
        _check_rectangular(values, f"{self.label}: {name}")
        return np.array(values)


def _check_rectangular(values: list[Any], place: str) -> tuple[int, ...]:
    """Return the shape of nested lists of numbers; raise ConfigError where they are none."""
    shapes = [
        _check_rectangular(value, f"{place}[{index}]") if isinstance(value, list) else ()
        for index, value in enumerate(values)
    ]
    for index, value in enumerate(values):
        if not isinstance(value, bool | int | float | list):
            raise ConfigError(f"{place}[{index}] is {value!r}, not a number")
        if shapes[index] != shapes[0]:
            raise ConfigError(
                f"{place}[{index}] has shape {shapes[index]}, the first item has {shapes[0]}; "
                "all must have the same"
            )
    return (len(values), *shapes[0]) if shapes else (0,)
