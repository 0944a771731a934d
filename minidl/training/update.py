"""One update of the parameters: receives gradients in graph values, returns all next values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minidl import ops
from minidl.errors import ConfigError
from minidl.graph import Spec, Tensor
from minidl.layers import Parameter
from minidl.optimizers import Optimizer
from minidl.optimizers.groups import assign
from minidl.training.loss_scale import SKIPPED, LossScale

CLIP_EPSILON = 1e-6
WEIGHT = "sum:weight"
"""How much the batches that were summed count together."""


class Update:
    """How gradients become the next values of parameters.

    Parameters
    ----------
    optimizer : Optimizer
        With its parameter groups.
    parameters : sequence of Parameter
        Those of the model; what is not trainable, or frozen by a group, is left alone.
    clip_norm : float, optional
        Gradients are scaled so that their norm, all together, is at most this (Pascanu, Mikolov
        and Bengio, "On the difficulty of training recurrent neural networks", 2013).
    clip_value : float, optional
        Each element of a gradient is brought into [−clip_value, clip_value], before clip_norm.
    accumulate : int
        Batches whose gradients make one update: that of one large batch of their samples.
    averaged : bool
        Whether the loss of several batches is their mean, weighted by how much each counts, and
        not their sum.
    ema : float, optional
        Largest decay of a moving average a of the weights p: a ← d · a + (1 − d) · p with
        d = min(ema, (1 + t) / (10 + t)) in update t, so that early averages forget the first
        weights (as ``num_updates`` of TensorFlow's ExponentialMovingAverage does).
    loss_scale : LossScale, optional
        By which the loss is scaled, whose gradients this is given, and which skips updates.

    Attributes
    ----------
    trained : dict
        Spec of each parameter that is updated, by path.
    frozen : set of str
        Paths of the parameters and buffers that stay as they are.
    optimizers : list of Optimizer
        The optimiser itself, and one for each group that changes its fields.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        parameters: Sequence[Parameter],
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        accumulate: int = 1,
        averaged: bool = True,
        ema: float | None = None,
        loss_scale: LossScale | None = None,
    ) -> None:
        specs = {p.path: p.spec for p in parameters if p.trainable}
        owners = assign(optimizer, [p.path for p in parameters])
        self._owner = {path: owner for path in specs if (owner := owners[path]) is not None}
        self.trained = {path: specs[path] for path in self._owner}
        self.frozen = {p.path for p in parameters if owners[p.path] is None}
        if not self.trained:
            what = "every parameter is frozen" if specs else "the model has no parameters"
            raise ConfigError(f"there is nothing to train: {what}")
        self.optimizers = list({id(owner): owner for owner in self._owner.values()}.values())
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.accumulate = accumulate
        self.averaged = averaged
        self.ema = ema
        self.loss_scale = loss_scale

    def slots(self) -> dict[str, Spec]:
        """Return the state that lives as long as a run: of optimisers, averages, loss scaling."""
        found = {
            slot_name(path, slot): spec
            for path, owner in self._owner.items()
            for slot, spec in owner.slots(self.trained[path]).items()
        }
        scaling = {} if self.loss_scale is None else self.loss_scale.slots()
        return found | self.averages() | scaling

    def averages(self) -> dict[str, Spec]:
        """Return the moving averages of the weights, if they are kept."""
        if self.ema is None:
            return {}
        return {slot_name(path, "average"): spec for path, spec in self.trained.items()}

    def sums(self) -> dict[str, Spec]:
        """Return the state that lives from one update to the next: sums over its batches."""
        if self.accumulate == 1:
            return {}
        sums = {slot_name(path, "gradient"): spec for path, spec in self.trained.items()}
        return {**sums, WEIGHT: Spec(())}

    def gather(
        self, gradients: Mapping[str, Tensor], weight: Tensor, held: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the next sums over batches.

        Parameters
        ----------
        gradients : mapping
            By path, of ``weight`` times the loss of a batch; of the loss where it is a sum.
        weight : Tensor
            How much the batch counts.
        """
        sums = {slot_name(p, "gradient"): g for p, g in gradients.items()}
        return {name: held[name] + value for name, value in {**sums, WEIGHT: weight}.items()}

    def gathered(
        self, gradients: Mapping[str, Tensor], weight: Tensor, held: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the gradients of all batches as if they were one, and the sums begun anew."""
        sums = self.gather(gradients, weight, held)
        weights = sums[WEIGHT]
        divisor = ops.where(weights > 0.0, weights, 1.0) if self.averaged else 1.0
        found = {path: sums[slot_name(path, "gradient")] / divisor for path in gradients}
        return found, {name: ops.zeros_like(total) for name, total in sums.items()}

    def apply(
        self,
        gradients: Mapping[str, Tensor],
        values: Mapping[str, Tensor],
        held: Mapping[str, Tensor],
        rates: Sequence[Tensor],
        step: Tensor,
    ) -> dict[str, Tensor]:
        """Return the next value of every parameter, slot and average, by name.

        Parameters
        ----------
        gradients : mapping
            Of the loss, by path.
        values, held : mapping
            Parameters, and all other state, by name.
        rates : sequence of Tensor
            Learning rate of each of ``optimizers``.
        step : Tensor
            Scalar float: 1 in the first update.
        """
        if self.loss_scale is None:
            return self._step(gradients, values, held, rates, step)
        accepted = self.loss_scale.accepts(gradients, held)
        done = step - held[SKIPPED]
        made = self._step(gradients, values, held, rates, done)
        old = {**values, **held}
        kept = {name: ops.where(accepted, new, old[name]) for name, new in made.items()}
        return kept | self.loss_scale.next(accepted, held)

    def _step(
        self,
        gradients: Mapping[str, Tensor],
        values: Mapping[str, Tensor],
        held: Mapping[str, Tensor],
        rates: Sequence[Tensor],
        step: Tensor,
    ) -> dict[str, Tensor]:
        """Return the next value of every parameter, slot and average."""
        updates: dict[str, Tensor] = {}
        gradients = clip(gradients, self.clip_norm, self.clip_value)
        rate_of = {id(o): rate for o, rate in zip(self.optimizers, rates, strict=True)}
        for path, owner in self._owner.items():
            names = {slot: slot_name(path, slot) for slot in owner.slots(self.trained[path])}
            own = {slot: held[name] for slot, name in names.items()}
            new, slots = owner.update(values[path], gradients[path], own, rate_of[id(owner)], step)
            updates[path] = new
            updates.update({names[slot]: value for slot, value in slots.items()})
            if self.ema is not None:
                name, decay = (
                    slot_name(path, "average"),
                    ops.minimum((1 + step) / (10 + step), self.ema),
                )
                updates[name] = decay * held[name] + (1 - decay) * new
        return updates


def clip(
    gradients: Mapping[str, Tensor], norm: float | None = None, value: float | None = None
) -> Mapping[str, Tensor]:
    """Bring each element into [−value, value], then scale by min(1, norm / ‖all gradients‖)."""
    if value is not None:
        gradients = {p: ops.clip(g, min=-value, max=value) for p, g in gradients.items()}
    if norm is None or not gradients:
        return gradients
    squares = [ops.sum(ops.square(g)) for g in gradients.values()]
    total = squares[0]
    for square in squares[1:]:
        total = total + square
    scale = ops.minimum(norm / (ops.sqrt(total) + CLIP_EPSILON), 1.0)
    return {path: g * scale for path, g in gradients.items()}


def slot_name(path: str, slot: str) -> str:
    """Return the name in state of what belongs to a parameter: apart from that of any other."""
    return f"{path}:{slot}"
