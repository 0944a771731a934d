"""Encoders and decoders in one config: sequences that are answered by their reverse."""

from __future__ import annotations

import numpy as np
import pytest

from minidl.compiler import simplify
from minidl.component import make
from minidl.config import parse_config
from minidl.graph import Graph, Spec, placeholder, toposort
from minidl.layers import Context
from minidl.training import fit

CONFIG = """
name = "reverse"
device = "cpu"
[data]
dataset = "npz"
path = "reversals.npz"
dtype = "int64"
task = "classification"
batch_size = 50
validation = 0
[model]
layers = [
  { type = "embedding", name = "symbols", num_embeddings = 5, embedding_dim = 32 },
  { type = "slice", name = "question", stop = 3 },
  { type = "slice", name = "answer", inputs = ["symbols"], start = 3 },
  LAYERS
  { type = "linear", units = 4 },
]
[loss]
type = "cross_entropy"
[optimizer]
type = "adam"
lr = 1e-2
[training]
epochs = 10
"""

RECURRENT = """
  { type = "KIND", name = "encoder", inputs = ["question"], hidden_size = 32, output = "state" },
  { type = "KIND", inputs = ["answer", "encoder"], hidden_size = 32 },
"""

TRANSFORMER = """
  { type = "positional_embedding", name = "place", inputs = ["question"], max_length = 3 },
  { type = "transformer_block", name = "memory", num_heads = 4, mlp_ratio = 1.0 },
  { type = "positional_embedding", name = "target", inputs = ["answer"], max_length = 3 },
  { type = "transformer_decoder_block", inputs = ["target", "memory"], num_heads = 4 },
"""

NETWORKS = {
    "gru": RECURRENT.replace("KIND", "gru"),
    "lstm": RECURRENT.replace("KIND", "lstm"),
    "transformer": TRANSFORMER,
}


def write_reversals(path):
    """Write questions of three symbols, and the answers as far as a step may know them."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("", 600), ("_test", 100)):
        question = rng.integers(0, 4, (count, 3))
        answer = question[:, ::-1]
        begun = np.concatenate([np.full((count, 1), 4), answer[:, :-1]], axis=1)
        arrays[f"x{part}"] = np.concatenate([question, begun], axis=1)
        arrays[f"y{part}"] = np.ascontiguousarray(answer)
    np.savez(path, **arrays)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_decoder_learns_what_only_the_encoder_has_seen(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_reversals("reversals.npz")
    text = CONFIG.replace("LAYERS", NETWORKS[network].strip())
    model = fit(parse_config(text, "reverse.toml"), output_dir=tmp_path / "run")
    assert model.results["test"]["accuracy"] > 0.97


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_a_tied_twin_gives_the_state_for_nothing(kind):
    fields = {"type": kind, "hidden_size": 4, "num_layers": 2, "bidirectional": True}
    layers = [
        {**fields, "name": "all"},
        {**fields, "name": "end", "inputs": ["input"], "tie": "all", "output": "state"},
        {"type": "flatten", "name": "flat"},
        {"type": "linear", "name": "bridge", "units": 8},
        {"type": "flatten", "name": "steps", "inputs": ["all"]},
        {"type": "concat", "inputs": ["bridge", "steps"]},
    ]
    root = make("layer", {"type": "sequential", "layers": layers})
    x = placeholder("x", (2, 5, 3))
    root.setup(Spec((2, 5, 3)))
    values = {p.path: placeholder(p.path, *p.spec) for p in root.all_parameters()}
    z = root(x, context=Context(values))
    simple = simplify(Graph((x, *values.values()), (z,), ()))
    steps = [n for n in toposort(simple.results) if n.op.name == f"{kind}_steps"]
    assert len(steps) == 2 * 2
