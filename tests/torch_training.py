"""What PyTorch calls each loss, optimiser and schedule: the tables of their comparisons.

They can be read without PyTorch: names are looked up, and functions run, where it is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import torch
    from torch.nn import functional as F
except ImportError:
    torch = F = None

LOSSES: dict[str, Callable[..., Any]] = {}
"""Each loss that PyTorch has, as a function of prediction, target and the loss's fields."""

OPTIMIZERS: dict[str, str] = {
    "adadelta": "Adadelta",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamw": "AdamW",
    "muon": "Muon",
    "nadam": "NAdam",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
}
"""Each optimiser that PyTorch has, with its name in ``torch.optim``."""

SCHEDULES: dict[str, str] = {
    "constant": "ConstantLR",
    "cosine": "CosineAnnealingLR",
    "cosine_restarts": "CosineAnnealingWarmRestarts",
    "exponential": "ExponentialLR",
    "linear": "LinearLR",
    "multistep": "MultiStepLR",
    "one_cycle": "OneCycleLR",
    "polynomial": "PolynomialLR",
    "reduce_on_plateau": "ReduceLROnPlateau",
    "step": "StepLR",
}
"""Each schedule that PyTorch has, with its name in ``torch.optim.lr_scheduler``."""

NO_COUNTERPART: dict[str, dict[str, str]] = {
    "loss": {"triplet_margin": "PyTorch leaves the choice of triplets to its user"},
    "optimizer": {"lion": "PyTorch has no Lion"},
    "schedule": {},
}
"""What PyTorch does not have, and why."""


def counterpart(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a loss into the table."""

    def enter(rule: Callable[..., Any]) -> Callable[..., Any]:
        LOSSES[name] = rule
        return rule

    return enter


# -- losses of values --------------------------------------------------------------------------


@counterpart("cosine_embedding")
def _cosine_embedding(p, t):
    p, t = (v.reshape(-1, v.shape[-1]) for v in (p, t))
    return F.cosine_embedding_loss(p, t, torch.ones(len(p)))


@counterpart("huber")
def _huber(p, t, delta=1.0):
    return F.huber_loss(p, t, delta=delta)


@counterpart("mae")
def _mae(p, t):
    return F.l1_loss(p, t)


@counterpart("mse")
def _mse(p, t):
    return F.mse_loss(p, t)


@counterpart("smooth_l1")
def _smooth_l1(p, t, beta=1.0):
    return F.smooth_l1_loss(p, t, beta=beta)


@counterpart("squared_error")
def _squared_error(p, t):
    return 0.5 * F.mse_loss(p, t, reduction="sum")


# -- losses of classes -------------------------------------------------------------------------


@counterpart("binary_cross_entropy")
def _binary_cross_entropy(p, t, pos_weight=None):
    weight = None if pos_weight is None else torch.as_tensor(pos_weight, dtype=p.dtype)
    return F.binary_cross_entropy_with_logits(p, t.to(p.dtype), pos_weight=weight)


@counterpart("cross_entropy")
def _cross_entropy(p, t, **fields):
    return _of_classes(F.cross_entropy, p, t, **fields)


@counterpart("ctc")
def _ctc(p, t, **fields):
    time = torch.full((len(p),), p.shape[1])
    lengths = ((t >= 0) & (t != fields.get("blank", 0))).sum(1)
    return F.ctc_loss(p.log_softmax(-1).movedim(1, 0), t, time, lengths, **fields)


@counterpart("kl_div")
def _kl_div(p, t, log_target=False):
    rows = p.reshape(-1, p.shape[-1]), t.reshape(-1, t.shape[-1])
    return F.kl_div(*rows, reduction="batchmean", log_target=log_target)


@counterpart("nll")
def _nll(p, t, **fields):
    return _of_classes(F.nll_loss, p, t, **fields)


def _of_classes(loss, p, t, axis=-1, weight=None, ignore_index=-100, **fields):
    """Return a loss of classes, which PyTorch has along axis 1 and minidl along the last."""
    weight = None if weight is None else torch.as_tensor(weight, dtype=p.dtype)
    t = t.movedim(axis, 1) if t.ndim == p.ndim else t
    p = p.movedim(axis, 1).contiguous()
    return loss(p, t, weight=weight, ignore_index=ignore_index, **fields)
