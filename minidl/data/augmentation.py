"""Transforms of images, and of whole batches: receive a batch and draws, return it changed."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from minidl.data.draws import Draws
from minidl.data.transforms import Transform, transform
from minidl.graph.spec import Spec

Probability = Annotated[float, Ge(0), Le(1)]


class _ImageTransform(Transform):
    """Base of transforms of images of shape (channels, height, width), of any dtype."""

    def setup(self, inputs: Spec, targets: Spec, classes: int) -> None:
        if inputs.ndim != 3:
            raise self.refuse(
                f"takes images of shape (channels, height, width), not samples of shape "
                f"{inputs.shape}"
            )


class _FillingTransform(_ImageTransform):
    """Base of those that put one value in place of pixels."""

    fill: float = 0.0

    def setup(self, inputs: Spec, targets: Spec, classes: int) -> None:
        super().setup(inputs, targets, classes)
        with np.errstate(invalid="ignore"):
            stored = np.array(self.fill).astype(inputs.dtype)
        if stored != self.fill:
            raise self.refuse(f"cannot fill with {self.fill:g} what is stored as {inputs.dtype}")


@transform("random_crop")
class RandomCrop(_FillingTransform):
    """Shift each image by up to ``padding`` pixels in both directions, drawn evenly.

    The same as padding it on all sides and cutting a piece of its own size out at random.

    Attributes
    ----------
    padding : int
        Pixels that come in from outside, at most.
    fill : float
        Their value, on the scale that images are stored in: 0 to 255 for bytes.
    """

    padding: Annotated[int, Ge(1)] = 4

    def setup(self, inputs: Spec, targets: Spec, classes: int) -> None:
        super().setup(inputs, targets, classes)
        _, height, width = inputs.shape
        if self.padding >= min(height, width):
            raise self.refuse(
                f"with padding = {self.padding} may shift images of {height} x {width} pixels "
                f"out of sight; padding must be less than {min(height, width)}"
            )

    def __call__(
        self, inputs: np.ndarray, targets: np.ndarray, draws: Draws
    ) -> tuple[np.ndarray, np.ndarray]:
        count, channels, height, width = inputs.shape
        border = self.padding
        larger = (count, channels, height + 2 * border, width + 2 * border)
        padded = np.full(larger, self.fill, inputs.dtype)
        padded[:, :, border:-border, border:-border] = inputs
        pieces = np.lib.stride_tricks.sliding_window_view(padded, (height, width), (2, 3))
        top, left = draws.integers(2 * border + 1, 2, count)
        return pieces[np.arange(count), :, top, left], targets


@transform("horizontal_flip")
class HorizontalFlip(_ImageTransform):
    """Mirror each image, left for right, with probability ``p``.

    Attributes
    ----------
    p : float
    """

    p: Probability = 0.5

    def __call__(
        self, inputs: np.ndarray, targets: np.ndarray, draws: Draws
    ) -> tuple[np.ndarray, np.ndarray]:
        chosen = draws.chance(self.p, len(inputs))
        flipped = inputs.copy()
        flipped[chosen] = inputs[chosen, :, :, ::-1]
        return flipped, targets


@transform("cutout")
class Cutout(_FillingTransform):
    """Cover a square of each image with one value, with probability ``p``.

    Its centre is drawn evenly from the image, so that at the border less than a whole square is
    covered (DeVries and Taylor, "Improved regularization of convolutional neural networks with
    cutout", 2017).

    Attributes
    ----------
    size : int
        Length of its sides in pixels.
    p : float
    fill : float
        The value, on the scale that images are stored in: 0 to 255 for bytes.
    """

    size: Annotated[int, Ge(1)] = 8
    p: Probability = 1.0

    def setup(self, inputs: Spec, targets: Spec, classes: int) -> None:
        super().setup(inputs, targets, classes)
        _, height, width = inputs.shape
        if self.size > min(height, width):
            raise self.refuse(
                f"with size = {self.size} covers squares larger than images of {height} x {width} "
                f"pixels; size may be {min(height, width)} at most"
            )

    def __call__(
        self, inputs: np.ndarray, targets: np.ndarray, draws: Draws
    ) -> tuple[np.ndarray, np.ndarray]:
        count, _, height, width = inputs.shape
        chosen = draws.chance(self.p, count)
        rows = self._covered(draws.integers(height, count), height)
        columns = self._covered(draws.integers(width, count), width)
        square = rows[:, :, np.newaxis] & columns[:, np.newaxis, :]
        square &= chosen[:, np.newaxis, np.newaxis]
        covered = inputs.copy()
        np.copyto(covered, self.fill, where=square[:, np.newaxis], casting="unsafe")
        return covered, targets

    def _covered(self, centres: np.ndarray, length: int) -> np.ndarray:
        """Return which of ``length`` places lie in the square, shape (images, length)."""
        first = centres[:, np.newaxis] - self.size // 2
        places = np.arange(length)
        return (places >= first) & (places < first + self.size)


@transform("mixup")
class Mixup(Transform):
    """Replace each sample by a mean of itself and another of the batch, and its target likewise.

    x' = λ x_i + (1 − λ) x_j    y' = λ y_i + (1 − λ) y_j    λ of Beta(α, α), for each sample

    Inputs become float32, on the scale they are stored in; classes become probabilities of shape
    (batch, classes), which ``cross_entropy`` takes. Zhang et al., "mixup: beyond empirical risk
    minimization", 2018.

    Attributes
    ----------
    alpha : float
        α: small values seldom mix much, 1 draws λ evenly.
    """

    alpha: Annotated[float, Gt(0)] = 0.2

    _classes = 0

    def setup(self, inputs: Spec, targets: Spec, classes: int) -> None:
        if not targets.dtype.startswith("float") and not (classes and targets.shape == ()):
            raise self.refuse(
                f"takes one class a sample, of known classes, or values; "
                f"not targets of {targets} with {classes} classes"
            )
        self._classes = classes

    def __call__(
        self, inputs: np.ndarray, targets: np.ndarray, draws: Draws
    ) -> tuple[np.ndarray, np.ndarray]:
        partners = draws.permutation(len(inputs))
        share = draws.beta(self.alpha, len(inputs)).astype(np.float32)
        if targets.dtype.kind == "i":
            targets = np.eye(self._classes, dtype=np.float32)[targets]
        return _mix(inputs, partners, share), _mix(targets, partners, share)


def _mix(values: np.ndarray, partners: np.ndarray, share: np.ndarray) -> np.ndarray:
    dtype = values.dtype if values.dtype.kind == "f" else np.dtype(np.float32)
    weight = share.astype(dtype).reshape(-1, *[1] * (values.ndim - 1))
    own = values.astype(dtype, copy=False)
    mixed = own[partners]
    mixed -= own
    mixed *= 1 - weight
    mixed += own
    return mixed
