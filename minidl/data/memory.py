"""Arrays in memory, given in Python."""

from __future__ import annotations

import copy
from dataclasses import field
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Gt

from minidl.data.base import Dataset, dataset
from minidl.data.given import as_array, as_dtype
from minidl.data.npz import prepared, read_array_file
from minidl.data.parts import Part, Splits
from minidl.data.targets import Task, as_targets, class_names
from minidl.errors import DataError
from minidl.graph import Tensor
from minidl.graph.spec import is_float


@dataset("arrays")
class Arrays(Dataset):
    """Arrays that Python gives: ``md.fit(config, data=(inputs, targets))``.

    Inputs of whole numbers are kept in the dtype they have, floats in ``dtype``. A run directory
    does not hold them: they are given again to go on with it.

    Attributes
    ----------
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

    task: Task = "auto"
    classes: tuple[str, ...] = ()
    dtype: Literal["float32", "float64", "int64"] = "float32"
    divide_by: Annotated[float, Gt(0)] = 1.0

    _held: Splits | None = field(default=None, init=False)

    def holding(self, train: Any, validation: Any = None, test: Any = None) -> Arrays:
        """Return a dataset with these options and samples.

        Parameters
        ----------
        train, validation, test : pair of array_like
            Inputs and targets, shape (samples, ...).

        Raises
        ------
        DataError
            If one is no pair, or its arrays are not such as :meth:`Dataset.splits` takes.
        """
        first = self._part(train, "train", self.task)
        task: Task = "classification" if first.targets.dtype.kind == "i" else "regression"
        dtype = first.inputs.dtype.name
        second, third = (
            None if given is None else self._part(given, name, task, dtype)
            for name, given in (("validation", validation), ("test", test))
        )
        parts = [part for part in (first, second, third) if part is not None]
        classes = class_names(parts, self.classes, self.label)
        made = copy.copy(self)
        made._held = Splits(first, second, third, classes)
        return made

    def load(self) -> Splits:
        """Return the arrays.

        Raises
        ------
        DataError
            If none were given.
        """
        if self._held is None:
            raise DataError(
                f"{self.label} reads no files: give it arrays in Python, to train with "
                "md.fit(config, data=(inputs, targets)), to measure with "
                "md.load(run).evaluate(inputs, targets)"
            )
        return self._held

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
        return read_array_file(path)

    def _part(self, samples: Any, name: str, task: Task, dtype: str | None = None) -> Part:
        label = f"{self.label}: {name}"
        paired = isinstance(samples, tuple | list)
        if not paired or len(samples) != 2:
            found = f"{len(samples)} values" if paired else type(samples).__name__
            raise DataError(f"{label} is a pair (inputs, targets), not {found}")
        inputs = as_array(samples[0], f"{label} inputs")
        targets = as_array(samples[1], f"{label} targets")
        if len(inputs) != len(targets):
            raise DataError(
                f"{label} has {len(inputs)} inputs but {len(targets)} targets; "
                "each sample needs one of both"
            )
        if dtype is None:
            dtype = self.dtype if inputs.dtype.kind == "f" else inputs.dtype.name
        values = self.dtype if is_float(self.dtype) else "float32"
        return Part(
            as_dtype(inputs, dtype, f"{label} inputs"),
            as_targets(targets, task, values, f"{label} targets"),
        )
