"""The rules of the network that a config describes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from minidl.backends import use_backend
from minidl.errors import DataError
from minidl.explain.network import BATCH, Numbers, explain_network
from minidl.explain.symbols import TARGET
from minidl.graph import Spec, tensor
from minidl.graph.rules import Explanation
from minidl.training.pipeline import Prepared, prepare

if TYPE_CHECKING:
    from minidl.config import Config

_UNNAMED_INPUT = "input"
_RECONSTRUCTS = "{}: the input {}, which the network is to give back"


def explain_config(
    config: str | Path | Config, *, values: bool = False, sample: int = 0
) -> Explanation:
    """Write down how the network of a config computes its loss, and every gradient of it.

    The dataset is loaded, because the shapes of its samples decide those of the network.

    Parameters
    ----------
    config : str, Path or Config
        A TOML file, or what :func:`minidl.config.load_config` returned.
    values : bool
        Whether to compute every value and gradient, with the first values of the parameters.
    sample : int
        The sample of the training part to compute them for; networks whose samples stay rows
        take those that follow too.

    Raises
    ------
    DataError
        If there is no such sample.
    """
    prepared = prepare(config)
    model, part = prepared.model, prepared.splits.train
    reconstructs, name = prepared.config.data.reconstruct, prepared.config.model.input
    symbol = "x" if name == _UNNAMED_INPUT else name
    target = Spec(part.targets.shape, part.targets.dtype.name)
    with use_backend(prepared.backend):
        explanation = explain_network(
            model.root,
            prepared.config.loss,
            model.layer_spec,
            model.layer_spec if reconstructs else target,
            title=prepared.config.name,
            input_name=symbol,
            numbers=_numbers(prepared, sample) if values else None,
        )
    if not reconstructs:
        return explanation
    remark = _RECONSTRUCTS.format(TARGET, symbol)
    return replace(explanation, remarks=(remark, *explanation.remarks))


def _numbers(prepared: Prepared, sample: int) -> Numbers:
    part = prepared.splits.train
    if not 0 <= sample < len(part):
        raise DataError(f"there is no sample {sample}: the training part has {len(part)}, from 0")
    chosen = slice(sample, sample + BATCH)
    stored = tensor(part.inputs[chosen])
    inputs = prepared.config.data.dataset.prepare(stored).numpy()
    targets = inputs if prepared.config.data.reconstruct else part.targets[chosen]
    return Numbers(inputs, targets, prepared.model.weights())
