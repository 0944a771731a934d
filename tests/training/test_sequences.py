"""Networks on sequences of several lengths, from a config: what they tell apart is in the data."""

from __future__ import annotations

import pytest

from minidl.config import parse_config
from minidl.training import fit

CONFIG = """
name = "sequences"
device = "cpu"
[data]
dataset = "sequence_csv"
path = "series.csv"
group = "series"
target = "kind"
padding = -9.0
standardize = false
batch_size = 20
test_fraction = 0.0
validation = 0
[model]
layers = [
  { type = "padding_mask", name = "mask", value = -9.0 },
  LAYERS
  { type = "linear", units = 2 },
]
[loss]
type = "cross_entropy"
[optimizer]
type = "adam"
lr = 1e-2
[training]
epochs = 20
"""

CONVOLUTION = """
  { type = "permute", name = "turned", axes = [2, 1], inputs = ["input"] },
  { type = "conv1d", out_channels = 16, kernel_size = 3, padding = 1 },
  { type = "relu", name = "features" },
  { type = "global_KIND_pool", inputs = ["features", "mask"] },
"""

TRANSFORMER = """
  { type = "linear", units = 16, inputs = ["input"] },
  { type = "sinusoidal_embedding", name = "steps" },
  { type = "transformer_block", name = "features", num_heads = 4, inputs = ["steps", "mask"] },
  { type = "global_KIND_pool", axis = -1, inputs = ["features", "mask"] },
"""


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize("layers", [CONVOLUTION, TRANSFORMER], ids=["conv1d", "transformer"])
def test_a_network_learns_whether_sequences_rise(layers, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{s},{(s * 7 % 11 - 5 + step * (1 if s % 2 else -1)) / 4},{'up' if s % 2 else 'down'}"
        for s in range(200)
        for step in range(2 + s % 5)
    ]
    (tmp_path / "series.csv").write_text("series,value,kind\n" + "\n".join(rows) + "\n")
    text = CONFIG.replace("LAYERS", layers.strip()).replace("KIND", kind)
    model = fit(parse_config(text, "sequences.toml"))
    assert model.results["train"]["accuracy"] > 0.95
