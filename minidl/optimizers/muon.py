"""Muon: momentum made orthogonal, for the matrices inside a network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from minidl import ops
from minidl.component import config_fields
from minidl.graph import Spec, Tensor
from minidl.optimizers.adam import AdamW
from minidl.optimizers.base import Optimizer, optimizer
from minidl.optimizers.fields import NotNegative, Positive, Share
from minidl.optimizers.sgd import decayed


@optimizer("muon")
class Muon(Optimizer):
    """Muon for matrices, another optimiser for everything else.

    For a parameter with two axes, by the formulas of PyTorch:

    B ← momentum · B + (1 − momentum) · g
    U = (1 − momentum) · g + momentum · B         (without nesterov: U = B)
    X = U / max(‖U‖, eps), transposed if it has more rows than columns
    ns_steps times:  A = X @ X.T ;  X ← a · X + (b · A + c · A @ A) @ X
    p ← p · (1 − lr · weight_decay) − lr · r · X

    (a, b, c) are ns_coefficients. r is √max(1, rows / columns) ("original"), or
    0.2 √max(rows, columns) ("match_rms_adamw"), with which the learning rate and weight decay of
    ``adamw`` can be used. Jordan et al., "Muon: an optimizer for hidden layers in neural
    networks", 2024; Liu et al., "Muon is scalable for LLM training", 2025. X is computed in the
    parameter's dtype, which PyTorch rounds to bfloat16. The slot holds B / (1 − momentum).

    Parameters of other shapes (biases, norms, convolutions) are updated by ``other``. The tables
    of embeddings and the last layer are matrices too, but not hidden ones: give them to ``other``
    with a group, ``groups = [{ match = ["embedding_0.*", "head.*"], orthogonalize = false }]``.
    What a group changes it changes in ``other`` too, where that has a field of the same name: so
    ``lr`` in a group is the learning rate of all that matches.

    Attributes
    ----------
    lr : float
        Learning rate of matrices, before the schedule's factor; above 0.
    momentum : float
        Share of B that is kept, in [0, 1).
    nesterov : bool
        Look one step of momentum ahead.
    weight_decay : float
        Share of each value that is taken off it in a step, times lr; at least 0.
    ns_steps : int
        Newton–Schulz iterations, from 1 to 99.
    ns_coefficients : tuple of float
        Of the polynomial that drives the singular values towards 1.
    eps : float
        Smallest norm that U is divided by, above 0.
    adjust_lr : {"original", "match_rms_adamw"}
        How the step grows with the shape.
    orthogonalize : bool
        Whether matrices are treated as said; otherwise they too are left to ``other``.
    other : optimizer
        For all other parameters, with a learning rate of its own.
    """

    lr: Annotated[float, Gt(0), Lt(math.inf)] = 1e-3
    momentum: Share = 0.95
    nesterov: bool = True
    weight_decay: NotNegative = 0.1
    ns_steps: Annotated[int, Ge(1), Lt(100)] = 5
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315)
    eps: Positive = 1e-7
    adjust_lr: Literal["original", "match_rms_adamw"] = "original"
    orthogonalize: bool = True
    other: Optimizer = field(default_factory=AdamW)

    def check_fields(self) -> None:
        super().check_fields()
        if getattr(self.other, "groups", None):
            raise ValueError("other cannot have groups; put them beside other")

    def variant(self, changes: Mapping[str, Any]) -> Optimizer:
        own = {f.name for f in config_fields(type(self.other))}
        shared = {name: value for name, value in changes.items() if name in own}
        return super().variant({"other": self.other.variant(shared), **changes})

    def slots(self, parameter: Spec) -> dict[str, Spec]:
        if self._takes(parameter):
            return {"momentum": parameter}
        return self.other.slots(parameter)

    def update(
        self,
        parameter: Tensor,
        gradient: Tensor,
        slots: Mapping[str, Tensor],
        lr: Tensor,
        step: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if not self._takes(parameter.spec):
            own = lr * (self.other.lr / self.lr)
            return self.other.update(parameter, gradient, slots, own, step)
        lr = lr.astype(parameter.dtype)
        momentum = self.momentum * slots["momentum"] + gradient
        direction = gradient + self.momentum * momentum if self.nesterov else momentum
        # U = (1 − momentum) · direction; the factor leaves with the norm
        step_taken = self._orthogonal(direction, self.eps / (1 - self.momentum))
        kept = decayed(parameter, lr, self.weight_decay)
        return kept - (lr * self._growth(parameter.shape)) * step_taken, {"momentum": momentum}

    def _takes(self, parameter: Spec) -> bool:
        return self.orthogonalize and len(parameter.shape) == 2

    def _orthogonal(self, matrix: Tensor, floor: float) -> Tensor:
        """Return U Vᵀ of the singular value decomposition U S Vᵀ, roughly."""
        a, b, c = self.ns_coefficients
        tall = matrix.shape[0] > matrix.shape[1]
        x = ops.matrix_transpose(matrix) if tall else matrix
        x = x / ops.maximum(ops.sqrt(ops.square(x).sum()), floor)
        for _ in range(self.ns_steps):
            gram = x @ ops.matrix_transpose(x)
            x = a * x + (b * gram + c * (gram @ gram)) @ x
        return ops.matrix_transpose(x) if tall else x

    def _growth(self, shape: tuple[int, ...]) -> float:
        rows, columns = shape
        if self.adjust_lr == "original":
            return math.sqrt(max(1.0, rows / max(columns, 1)))
        return 0.2 * math.sqrt(max(rows, columns))
