"""A small config on real data that every training test starts from."""

import json
import signal

import pytest

from minidl.config import parse_config
from minidl.training import Reporter

DIGITS = """
name = "small"
seed = 3
device = "cpu"

[data]
dataset = "digits"
batch_size = 100

[model]
layers = [
  { type = "flatten" },
  { type = "linear", units = 16, name = "hidden" },
  { type = "relu" },
  { type = "dropout", p = 0.1 },
  { type = "linear", units = 10, name = "out" },
]

[loss]
type = "cross_entropy"

[optimizer]
type = "adam"
lr = 1e-2

[training]
epochs = 3
log_every = 5
"""


@pytest.fixture
def small():
    """Return a function that makes the small config, some keys or a piece of text changed."""

    def make(*overrides, replace=("", "")):
        return parse_config(DIGITS.replace(*replace), "small.toml", overrides=overrides)

    return make


def checkpoint_bytes(run):
    folder = (
        run / "checkpoints" / json.loads((run / "checkpoints/last.json").read_text())["checkpoint"]
    )
    return [(folder / f"{name}.safetensors").read_bytes() for name in ("model", "optimizer")]


class StopAt(Reporter):
    """Interrupts its trainer after a step."""

    def __init__(self, step):
        self.step = step
        self.trainer = None

    def stepped(self, progress, loss):
        if progress.step == self.step:
            self.trainer.interrupt(signal.SIGTERM)
