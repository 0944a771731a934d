"""Whatever PyTorch has too is compared with it: nothing is left out in silence.

The tables say what PyTorch calls each part, and the comparisons are made from these tables:
tests/ops/test_parity.py, tests/layers/test_parity.py, tests/losses/test_parity.py,
tests/optimizers/test_optimizers.py and tests/schedules/test_schedules.py. PyTorch is not needed
here.
"""

from __future__ import annotations

import pytest
import torch_layers
import torch_ops
import torch_training

from minidl import registry

TABLES = {
    "op": (torch_ops.OPS, torch_ops.NO_COUNTERPART),
    "layer": (torch_layers.LAYERS, torch_layers.NO_COUNTERPART),
    "loss": (torch_training.LOSSES, torch_training.NO_COUNTERPART["loss"]),
    "optimizer": (torch_training.OPTIMIZERS, torch_training.NO_COUNTERPART["optimizer"]),
    "schedule": (torch_training.SCHEDULES, torch_training.NO_COUNTERPART["schedule"]),
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_part_is_compared_with_pytorch_or_has_a_reason_why_not(kind):
    compared, others = TABLES[kind]
    names = {entry.name for entry in registry.entries(kind) if entry.source == "minidl"}
    unknown = ", ".join(sorted(names - {*compared, *others}))
    assert not unknown, f"enter into a table of tests/torch_*.py, or say there why not: {unknown}"
    assert {*compared, *others} == names
    assert not {*compared} & {*others}
    assert all(len(reason) > 10 for reason in others.values())
