"""What a transform is: a change to the training batches, drawn anew for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from minidl.component import C, Component, component
from minidl.data.draws import Draws
from minidl.errors import DataError
from minidl.graph.spec import Spec

__all__ = ["Draws", "Transform", "transform"]


class Transform(Component):
    """A random change to training batches. Subclass it and decorate it with :func:`transform`.

        @md.transform("noise")
        class Noise(md.Transform):
            scale: float = 0.1                                    # a field: its config

            def __call__(self, inputs, targets, draws):
                shift = self.scale * (draws.uniform(*inputs.shape) - 0.5)
                return (inputs + shift).astype(inputs.dtype), targets

    A config lists transforms as ``[data] transforms``; they run in that order, on the host, on
    arrays as the dataset stores them, before its ``prepare``. Batches that are measured or
    predicted are left as they are.
    """

    kind: ClassVar[str] = "transform"

    def setup(self, inputs: Spec, targets: Spec, classes: int) -> None:
        """Look at what is to come, before the first batch; override where something is needed.

        Parameters
        ----------
        inputs, targets : Spec
            Of one sample, as the dataset stores it.
        classes : int
            How many classes there are; 0 where that is not known or there are none.

        Raises
        ------
        DataError
            If the transform can do nothing with such samples.
        """

    def __call__(
        self, inputs: np.ndarray, targets: np.ndarray, draws: Draws
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the batch changed; override. What is received is not to be written to.

        Parameters
        ----------
        inputs, targets : numpy.ndarray
            Shape (batch, ...).
        draws : Draws
            The only source of randomness: a function of the seed, the epoch, the batch and the
            place of the transform in the list, so that a run can be repeated and resumed.
        """
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def refuse(self, what: str) -> DataError:
        """Return the error that this transform does not take something."""
        return DataError(f"transform '{self.type_name}' {what}")


def transform(name: str) -> Callable[[C], C]:
    """Declare a transform and register it under ``name``."""
    return component("transform", name)
