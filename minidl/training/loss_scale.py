"""Dynamic loss scaling: keeps float16 gradients from becoming 0, and from overflowing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from minidl import ops
from minidl.graph import Spec, Tensor, tensor

EXPONENT, GOOD, SKIPPED = "loss_scale:exponent", "loss_scale:good", "loss_scale:skipped"


@dataclass(frozen=True)
class LossScale:
    """The factor s = 2^(16 + e) on the loss of a float16 backward pass, as state of the run.

    Gradients of s · LOSS are divided by s in float32. Where one is not finite, the update is
    skipped and s halved; after ``interval`` updates in a row without that, s is doubled. The
    optimiser counts the updates that took place. At the smallest s nothing is skipped any more:
    there it is the network itself that has diverged.

    P. Micikevicius et al., "Mixed Precision Training", ICLR 2018, section 3.2; the constants are
    those of PyTorch's GradScaler.

    Attributes
    ----------
    start, lowest, highest : int
        Base-2 logarithms of the first, the smallest and the largest s.
    interval : int
        Updates without an overflow after which s is doubled.
    """

    start: int = 16
    lowest: int = -16
    highest: int = 100
    interval: int = 2000

    def slots(self) -> dict[str, Spec]:
        """Return the state it keeps, all of which begins at 0."""
        return {name: Spec(()) for name in (EXPONENT, GOOD, SKIPPED)}

    def factor(self, held: Mapping[str, Tensor]) -> Tensor:
        """Return s."""
        return 2.0 ** (held[EXPONENT] + float(self.start))

    def accepts(self, gradients: Mapping[str, Tensor], held: Mapping[str, Tensor]) -> Tensor:
        """Return whether an update is to be made of these gradients, already divided by s."""
        bad = [ops.sum(ops.where(ops.isfinite(g), 0.0, 1.0)) for g in gradients.values()]
        return (sum(bad, tensor(0.0)) == 0.0) | (held[EXPONENT] <= float(self.lowest - self.start))

    def report(self, held: Mapping[str, float]) -> dict[str, float]:
        """Return what the log shows: s, and how many updates were skipped so far."""
        factor = 2.0 ** (held[EXPONENT] + self.start)
        return {"loss_scale": factor, "skipped": int(held[SKIPPED])}

    def next(self, accepted: Tensor, held: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the next values of what it keeps."""
        good = held[GOOD] + 1.0
        grows = accepted & (good >= float(self.interval))
        change = ops.where(accepted, grows.astype("float32"), -1.0)
        exponent = ops.clip(
            held[EXPONENT] + change,
            min=float(self.lowest - self.start),
            max=float(self.highest - self.start),
        )
        return {
            EXPONENT: exponent,
            GOOD: ops.where(accepted & ops.logical_not(grows), good, 0.0),
            SKIPPED: held[SKIPPED] + ops.where(accepted, 0.0, 1.0),
        }
