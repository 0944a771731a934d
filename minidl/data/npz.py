"""Arrays in .npz files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt

from minidl.data.arrays import is_array_file, npz_names, read_any, read_npz
from minidl.data.base import Dataset, dataset
from minidl.data.batches import TEST, hold_out
from minidl.data.checks import check_finite
from minidl.data.parts import Part, Splits
from minidl.data.table import read_numbers
from minidl.data.targets import Task, as_targets, class_names
from minidl.errors import DataError
from minidl.graph import Tensor
from minidl.graph.spec import is_float


@dataset("npz")
class Npz(Dataset):
    """Inputs and targets as arrays of a .npz file; read without pickle.

    Arrays that are not compressed (``numpy.savez``) stay on disk, and are mapped: a file may be
    larger than memory. Inputs are kept in the dtype they are stored in.

    Attributes
    ----------
    path : str
        The file.
    inputs, targets : str
        Names of the arrays of the training part, shape (samples, ...).
    validation_inputs, validation_targets, test_inputs, test_targets : str, optional
        Names of the arrays of the other parts. Default: ``x_validation``, ``y_validation``,
        ``x_test`` and ``y_test`` where the file has them.
    test_fraction : float
        Without test arrays, the share of the samples that make the test part; 0 for none.
    split_seed : int
        What the choice of these samples is a function of.
    task : {"auto", "classification", "regression"}
        ``auto`` takes targets that are integers along one axis for class indices.
    classes : tuple of str
        Names of the classes. Default: their indices.
    dtype : {"float32", "float64", "int64"}
        What the network receives; ``int64`` for indices to be embedded. Targets that are values
        take it too if it is a float.
    divide_by : float
        What the network's inputs are divided by: 255 for images of 8 bits.
    """

    paths: ClassVar[tuple[str, ...]] = ("path",)

    path: str
    inputs: str = "x"
    targets: str = "y"
    validation_inputs: str | None = None
    validation_targets: str | None = None
    test_inputs: str | None = None
    test_targets: str | None = None
    test_fraction: Annotated[float, Ge(0), Lt(1)] = 0.0
    split_seed: int = 0
    task: Task = "auto"
    classes: tuple[str, ...] = ()
    dtype: Literal["float32", "float64", "int64"] = "float32"
    divide_by: Annotated[float, Gt(0)] = 1.0

    def load(self) -> Splits:
        """Map or read the arrays.

        Raises
        ------
        DataError
            If the file is missing or malformed, lacks an array, or arrays do not match.
        """
        train = self._part(self.inputs, self.targets)
        validation = self._optional("validation", self.validation_inputs, self.validation_targets)
        test = self._optional("test", self.test_inputs, self.test_targets)
        parts = [part for part in (train, validation, test) if part is not None]
        splits = Splits(train, validation, test, class_names(parts, self.classes, self.label))
        if test is None and self.test_fraction:
            rest, held = hold_out(train, self.test_fraction, self.split_seed, TEST)
            return replace(splits, train=rest, test=held)
        return splits

    def prepare(self, inputs: Tensor) -> Tensor:
        """Return the inputs as ``dtype``, divided by ``divide_by`` if that is not 1."""
        return prepared(inputs, self.dtype, self.divide_by)

    def read_inputs(self, path: str) -> np.ndarray:
        """Read inputs from a .npy file, a .npz file or a CSV file of numbers.

        Raises
        ------
        DataError
            If the file is malformed, or has a value that is not finite.
        """
        return read_array_file(path, self.inputs)

    def _part(self, inputs: str, targets: str) -> Part:
        file = Path(self.path)
        x, y = read_npz(file, inputs), read_npz(file, targets)
        if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
            raise DataError(
                f"{self.path}: '{inputs}' has shape {x.shape} and '{targets}' {y.shape}; "
                "their first axes, the samples, must agree"
            )
        dtype = self.dtype if is_float(self.dtype) else "float32"
        return Part(x, as_targets(y, self.task, dtype, f"{self.path}: '{targets}'"))

    def _optional(self, part: str, inputs: str | None, targets: str | None) -> Part | None:
        x, y = inputs or f"x_{part}", targets or f"y_{part}"
        if inputs is None and targets is None and x not in npz_names(Path(self.path)):
            return None
        return self._part(x, y)


def prepared(inputs: Tensor, dtype: str, divide_by: float) -> Tensor:
    """Return the inputs as ``dtype``, divided by ``divide_by`` if that is not 1."""
    values = inputs if inputs.dtype == dtype else inputs.astype(dtype)
    return values if divide_by == 1 else values / divide_by


def read_array_file(path: str, name: str = "x") -> np.ndarray:
    """Read the inputs in a .npy file, a .npz file (``name``) or a CSV file of numbers.

    Raises
    ------
    DataError
        If the file is malformed, or has a value that is not finite.
    """
    file = Path(path)
    array = read_any(file, (name,)) if is_array_file(file) else read_numbers(file)
    if array.ndim == 0:
        raise DataError(f"{path}: holds a single number; the first axis must be the samples")
    check_finite(array, f"{path}: inputs")
    return array
