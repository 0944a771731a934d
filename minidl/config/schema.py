"""What a config is: typed values, each section a frozen dataclass whose fields are its keys."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt, MinLen

from minidl.component import make, to_config
from minidl.config.overrides import parse_path
from minidl.config.positions import Locator
from minidl.data import Dataset, Transform
from minidl.layers import Layer
from minidl.losses import Loss
from minidl.metrics import Metric
from minidl.optimizers import Optimizer
from minidl.schedules import Schedule

Count = Annotated[int, Ge(1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How samples are batched: what ``[data]`` holds beside the dataset and its options.

    Attributes
    ----------
    batch_size : int
        Samples a training step.
    validation : float
        Part of the training data that is held out, in [0, 1); 0 for none. A dataset that brings a
        validation part of its own keeps that one.
    shuffle : bool
        Whether the training samples are put in a new order every epoch.
    drop_last : bool
        Whether a last training batch that is smaller than the others is left out.
    sampler : {"uniform", "balanced"}
        Whether an epoch has each training sample once, or as many samples of every class, those of
        rare classes several times.
    transforms : list of Transform
        Random changes that each training batch goes through, in order.
    reconstruct : bool
        Whether the network is to give back its inputs, as an autoencoder does; the dataset's own
        targets are then left aside.
    prefetch : int
        How many training batches a thread prepares ahead; 0 for no thread. The batches are the
        same.
    evaluation_batch_size : int, optional
        Samples a batch where nothing is learnt; default what the trainer chooses.
    """

    batch_size: Count = 64
    validation: Annotated[float, Ge(0), Lt(1)] = 0.1
    shuffle: bool = True
    drop_last: bool = False
    sampler: Literal["uniform", "balanced"] = "uniform"
    transforms: list[Transform] = dataclasses.field(default_factory=list)
    reconstruct: bool = False
    prefetch: Annotated[int, Ge(0)] = 0
    evaluation_batch_size: Count | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(BatchConfig):
    """``[data]``: where samples come from, and how they are batched.

    Attributes
    ----------
    dataset : Dataset
        Its name in the file; its own options stand beside it.
    """

    dataset: Dataset


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """``[model]``: the layers, in order.

    Attributes
    ----------
    input : str
        The name by which a layer's ``inputs`` refer to the input of the network.
    layers : list of Layer
        At least one.
    """

    input: str = "input"
    layers: Annotated[list[Layer], MinLen(1)]

    def root(self) -> Layer:
        """Return a new ``sequential`` layer of new copies of the layers."""
        layers = [to_config(layer) for layer in self.layers]
        return make("layer", {"type": "sequential", "layers": layers, "input": self.input})


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """``[training]``: how long, what is measured, and what is kept.

    Attributes
    ----------
    epochs : int
        Passes over the training part.
    max_steps : int, optional
        Steps after which training ends, wherever in an epoch that is.
    clip_norm : float, optional
        Norm that the gradient of all parameters together is scaled down to where it is above it.
    clip_value : float, optional
        What each element of a gradient is limited to, in size, before ``clip_norm``.
    accumulate : int
        Batches that make one step, which is that of one large batch of their samples.
    ema : float, optional
        Decay of a moving average of the weights, in (0, 1); smaller in early steps. Where it is
        given, the average is what is measured, saved and predicted with.
    precision : {"float32", "mixed_float16", "mixed_bfloat16"}
        What training steps compute in. The mixed ones keep parameters and all long sums in
        float32 and compute products in 16 bits, with float16 under dynamic loss scaling. What is
        measured and predicted is computed in float32.
    patience : int, optional
        Epochs without a new best after which training ends.
    min_delta : float
        By how much a new best must be better than the last.
    best_metric : str, optional
        What decides which weights are best, measured on the validation part: ``loss`` or a
        metric; default the first metric.
    metrics : list of Metric
        What is measured beside the loss; default the metrics that the loss names.
    checkpoint_every : int, optional
        Steps between checkpoints, beside the one that every epoch leaves.
    keep : int
        How many checkpoints are kept, beside the best.
    log_every : int
        Steps between lines of the log.
    """

    epochs: Count = 10
    max_steps: Count | None = None
    clip_norm: Annotated[float, Gt(0), Lt(math.inf)] | None = None
    clip_value: Annotated[float, Gt(0), Lt(math.inf)] | None = None
    accumulate: Count = 1
    ema: Annotated[float, Gt(0), Lt(1)] | None = None
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    patience: Count | None = None
    min_delta: Annotated[float, Ge(0), Lt(math.inf)] = 0.0
    best_metric: str | None = None
    metrics: list[Metric] | None = None
    checkpoint_every: Count | None = None
    keep: Count = 2
    log_every: Count = 20

    @property
    def low_precision(self) -> str | None:
        """The dtype of 16 bits that ``precision`` mixes with float32."""
        return None if self.precision == "float32" else self.precision.removeprefix("mixed_")


@dataclasses.dataclass(frozen=True, kw_only=True)
class General:
    """The keys above the first section.

    Attributes
    ----------
    name : str
        What runs are filed under; default the name of the file.
    seed : int
        What every draw is a function of.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``; another backend may have other devices.
    backend : str, optional
        The backend; default the one that the device chooses.
    plugins : list of str
        Absolute paths of local plugin files.
    """

    name: str
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    device: str = "auto"
    backend: str | None = None
    plugins: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Config(General):
    """A whole config, validated, with every default filled in.

    Two configs are equal if their :meth:`to_dict` are.

    Attributes
    ----------
    source_text : str
        The text as it was read; for a config made from a dict, the resolved one.
    overrides : list of str
        What was set from outside the file, as it was written.
    """

    data: DataConfig
    model: ModelConfig
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule | None = None
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    source_text: str = dataclasses.field(default="", repr=False)
    overrides: list[str] = dataclasses.field(default_factory=list, repr=False)
    locator: Locator | None = dataclasses.field(default=None, repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved config: plain tables, every default filled in."""
        general = {f.name: getattr(self, f.name) for f in dataclasses.fields(General)}
        dataset = to_config(self.data.dataset)
        table = {
            **_filled(general),
            "data": {"dataset": dataset.pop("type"), **dataset, **_section(self.data, "dataset")},
            "model": _section(self.model),
            "loss": to_config(self.loss),
            "optimizer": to_config(self.optimizer),
            "schedule": to_config(self.schedule) if self.schedule is not None else None,
            "training": _section(self.training),
        }
        return _filled(table)

    def to_toml(self, plugins: Sequence[str] | None = None) -> str:
        """Return the resolved config as TOML; loading it gives an equal config.

        Parameters
        ----------
        plugins : sequence of str, optional
            What to write for the plugin files, where copies of them are to be loaded.
        """
        table = self.to_dict()
        if plugins is not None:
            table["plugins"] = list(plugins)
        return _toml(table)

    def locate(self, place: str) -> str:
        """Return where ``place`` stands: ``"net.toml:7:3"`` for ``"model.layers[2]"``.

        Empty for a config that was never a text.
        """
        locator, path = self.locator, parse_path(place)
        if locator is None or not (locator.positions or locator.is_outside(path)):
            return ""
        return locator.locate(path)


def _section(section: Any, *without: str) -> dict[str, Any]:
    fields = [f.name for f in dataclasses.fields(section) if f.name not in without]
    return _filled({name: _plain(getattr(section, name)) for name in fields})


def _plain(value: Any) -> Any:
    return [to_config(part) for part in value] if isinstance(value, list) else value


def _filled(table: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what has no value: TOML cannot say it."""
    return {key: value for key, value in table.items() if value is not None}


def _toml(table: Mapping[str, Any]) -> str:
    import tomlkit

    document = tomlkit.document()
    for key, value in table.items():
        if isinstance(value, Mapping):
            section = tomlkit.table()
            for name, option in value.items():
                section.add(name, _item(option, spread=True))
            document.add(key, section)
        else:
            document.add(key, _item(value))
    return tomlkit.dumps(document)


def _item(value: Any, *, spread: bool = False) -> Any:
    """Return ``value`` as TOML, on one line; ``spread`` puts a list of tables on several."""
    import tomlkit

    if isinstance(value, Mapping):
        inline = tomlkit.inline_table()
        for key, item in value.items():
            inline.append(key, _item(item))
        return inline
    if isinstance(value, list):
        array = tomlkit.array()
        array.extend(_item(item) for item in value)
        return array.multiline(spread and any(isinstance(item, Mapping) for item in value))
    return tomlkit.item(value)
