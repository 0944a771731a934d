"""The whole way from a config to a trained model, and back from a run directory."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidl.backends import Backend, resolve_device, use_backend
from minidl.data import Part, Splits
from minidl.data.memory import Arrays
from minidl.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    MinidlError,
    placed,
)
from minidl.graph import Spec
from minidl.training.environment import versions
from minidl.training.measuring import evaluation_batch_size, measure, measuring_steps, metrics_of
from minidl.training.model import Model
from minidl.training.reporter import Reporter
from minidl.training.run import RunDirectory
from minidl.training.soundness import check_network, remarks
from minidl.training.suitability import check_fit, check_transforms
from minidl.training.trainer import Trainer

if TYPE_CHECKING:
    from minidl.config import Config


@dataclass(frozen=True)
class Prepared:
    """A config made ready: data loaded, model made, device chosen.

    Attributes
    ----------
    device_reason : str
        Why this device.
    remarks : tuple of str
        What is likely a mistake, though nothing forbids it.
    """

    config: Config
    model: Model
    splits: Splits
    backend: Backend
    device_reason: str
    remarks: tuple[str, ...] = ()

    @property
    def usual_split(self) -> str:
        """What is measured unless something else is said: test, validation or train."""
        there = [name for name, _ in self.splits.parts()]
        return next(name for name in ("test", "validation", "train") if name in there)

    def part(self, split: str) -> Part:
        """Return the part called ``split``; raises DataError if the dataset has none."""
        part = getattr(self.splits, split)
        if part is None:
            raise DataError(
                f"the dataset '{self.config.data.dataset.type_name}' has no {split} part"
            )
        return part


def prepare(
    config: str | Path | Config | dict[str, Any],
    dataset_state: dict[str, Any] | None = None,
    *,
    outline: bool = False,
) -> Prepared:
    """Load the data of ``config``, choose its device and make its model.

    Every shape is inferred and every parameter made here, and loss and metrics are tried on a
    batch, so that what does not fit is an error before the first step.

    Parameters
    ----------
    outline : bool
        Whether shapes are enough: data is then read only if its dataset does not know them.
    """
    config = _as_config(config)
    backend, reason = resolve_device(config.device, config.backend)
    if config.training.low_precision is not None:
        note = backend.check_precision(config.training.low_precision)
        reason = f"{reason}; {note}" if note else reason
    with _in_file(config):
        splits = _load(config, dataset_state, outline)
        size = min(config.data.batch_size, len(splits.train))
        inputs, targets = batch_spec(splits.input_spec, size), batch_spec(splits.target_spec, size)
        with use_backend(backend):
            model = _make_model(config, inputs, targets, splits.classes, backend)
            measuring_steps(model).trace_evaluate(inputs, targets)
        check_fit(config, splits, model.output_spec)
        if not outline:
            with use_backend(backend):
                check_network(config, model, splits)
        for index, change in enumerate(config.data.transforms):
            with placed(f"data.transforms[{index}]"):
                change.setup(splits.input_spec, splits.target_spec, len(splits.classes))
        if config.data.transforms and not outline:
            with use_backend(backend):
                check_transforms(config, splits, measuring_steps(model))
    found = tuple(remarks(config, model, splits))
    return Prepared(config, model, splits, backend, reason, found)


def _load(config: Config, state: dict[str, Any] | None, outline: bool) -> Splits:
    dataset = config.data.dataset
    with placed("data"):
        if state is not None:
            dataset.restore(state)
        known = dataset.outline() if outline else None
        return known or dataset.splits(config.data.validation, config.seed)


def _make_model(
    config: Config, inputs: Spec, targets: Spec, classes: tuple[str, ...], backend: Backend
) -> Model:
    return Model(
        config.model.root(),
        inputs,
        targets,
        dataset=config.data.dataset,
        loss=config.loss,
        metrics=metrics_of(config),
        reconstruct=config.data.reconstruct,
        classes=classes,
        seed=config.seed,
        on=backend,
    )


@contextlib.contextmanager
def _in_file(config: Config) -> Iterator[None]:
    """Begin an error about a part of the config with its place in the file."""
    try:
        yield
    except MinidlError as error:
        where = config.locate(error.place) if error.place else ""
        if not where:
            raise
        found = type(error)(f"{where}: {error}")
        for note in getattr(error, "__notes__", ()):
            found.add_note(note)
        raise found from error.__cause__


def fit(
    config: str | Path | Config | dict[str, Any],
    *,
    data: Any = None,
    validation: Any = None,
    test: Any = None,
    output_dir: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Model:
    """Train the model of a config and return it.

    Parameters
    ----------
    config : str, Path, Config or dict
        A TOML file, what :func:`minidl.config.load_config` returned, or what such a file holds.
    data, validation, test : pair of array_like, optional
        Inputs and targets of a part, shape (samples, ...), in place of a dataset: the config
        names none then, or ``"arrays"``, whose options say what they are.
    output_dir : str or Path, optional
        The run directory, new or empty. Default: nothing is written.
    reporter : Reporter, optional
        Told what happens.

    Returns
    -------
    Model
        With ``results`` (by part and metric) and ``history`` (the lines of metrics.jsonl).

    Raises
    ------
    ConfigError, DataError
        If the config is wrong, or data is missing or not such as training can rely on.
    """
    prepared = prepare(with_arrays(config, data, validation, test))
    for remark in prepared.remarks:
        warnings.warn(remark, stacklevel=2)
    run = None if output_dir is None else RunDirectory.create(output_dir, prepared.config)
    trainer = make_trainer(prepared, run, reporter)
    return train(trainer)


def resume(
    run: str | Path,
    *,
    data: Any = None,
    validation: Any = None,
    test: Any = None,
    reporter: Reporter | None = None,
) -> Model:
    """Go on with a run from its last checkpoint, exactly as if it had never stopped.

    Arrays that :func:`fit` was given are given again.
    """
    directory = RunDirectory.open(run)
    config = with_arrays(directory.load_config(), data, validation, test)
    return train(reopen(directory, reporter, config))


def reopen(
    run: RunDirectory,
    reporter: Reporter | None = None,
    config: Config | None = None,
    **changes: Any,
) -> Trainer:
    """Return the trainer of a run, standing where its last checkpoint stands.

    A run that was stopped before its first checkpoint begins anew.

    ``config`` is that of the run, in place of what is read from it. ``changes`` replace fields of
    its training section (``epochs=20``), also in the run's resolved config, so that a later resume
    heeds them.

    Raises
    ------
    ConfigError, CheckpointError
        If the run is finished, or its checkpoint does not fit; it is left as it is then.
    """
    config = config or run.load_config()
    if changes:
        config = replace(config, training=replace(config.training, **changes))
    checkpoint = None if run.pointed("last") is None else run.load("last")
    prepared = prepare(config, run.dataset_state())
    trainer = _trainer(prepared, run, reporter)
    if checkpoint is not None:
        trainer.restore(checkpoint)
    finished = changes or run.info().get("status") == "finished"
    if finished and trainer.step >= trainer.total_steps:
        raise ConfigError(
            f"the run {run.path} is finished ({trainer.step} of {trainer.total_steps} steps); "
            f"give --epochs to train on"
        )
    if changes:
        run.write_config(config)
    _note_start(prepared, run)
    run.truncate_metrics(trainer.step)
    trainer.history = list(run.read_metrics())
    return trainer


def make_trainer(
    prepared: Prepared, run: RunDirectory | None = None, reporter: Reporter | None = None
) -> Trainer:
    """Return the trainer of a prepared config; notes the start in the run directory."""
    if run is not None:
        _note_start(prepared, run)
    return _trainer(prepared, run, reporter)


def _trainer(prepared: Prepared, run: RunDirectory | None, reporter: Reporter | None) -> Trainer:
    splits = prepared.splits
    parts = splits.train, splits.validation, splits.test
    with _in_file(prepared.config):
        return Trainer(prepared.config, prepared.model, *parts, run, reporter)


def _note_start(prepared: Prepared, run: RunDirectory) -> None:
    config, splits = prepared.config, prepared.splits
    run.write_info(
        name=config.name,
        status="running",
        started=run.info().get("started") or _now(),
        device=prepared.backend.device,
        backend=prepared.backend.name,
        device_reason=prepared.device_reason,
        parameters=prepared.model.parameter_count,
        input=_spec_to_dict(splits.input_spec),
        target=_spec_to_dict(splits.target_spec),
        classes=list(splits.classes),
        **versions(),
    )
    state = config.data.dataset.state()
    if state:
        run.write_dataset(state)


def train(trainer: Trainer) -> Model:
    """Run a trainer to its end and note in the run directory how it ended."""
    run = trainer.run_directory
    status = "failed"
    results = {} if run is None else run.info().get("results", {})
    try:
        with use_backend(trainer.model.backend), _in_file(trainer.config):
            results = {**results, **trainer.train()}
        status = "finished"
    except BaseException as error:
        status = f"stopped: {type(error).__name__}"
        raise
    finally:
        if run is not None:
            run.write_info(status=status, ended=_now(), step=trainer.step, results=results)
    trainer.model.results = results
    trainer.model.history = trainer.history
    return trainer.model


def load(run: str | Path, checkpoint: str = "last") -> Model:
    """Return the model of a run directory with the weights of a checkpoint.

    Parameters
    ----------
    run : str or Path
        What ``minidl train`` made.
    checkpoint : str
        ``"last"``, ``"best"`` or the number of a step.
    """
    return load_model(RunDirectory.open(run), checkpoint)


def load_model(run: RunDirectory, checkpoint: str = "last") -> Model:
    """Return the model of a run; its data need not be there any more."""
    config, found, info = run.load_config(), run.load(checkpoint), run.info()
    if "input" not in info or "target" not in info:
        raise CheckpointError(f"{run.path / 'run.json'} does not say what the model takes")
    backend, _ = resolve_device(config.device, config.backend)
    state = run.dataset_state()
    if state is not None:
        config.data.dataset.restore(state)
    inputs, targets = (
        Spec((1, *info[what]["shape"]), info[what]["dtype"]) for what in ("input", "target")
    )
    with use_backend(backend), _in_file(config):
        model = _make_model(config, inputs, targets, tuple(info["classes"]), backend)
    model.set_weights(found.model, f"the checkpoint {found.path}")
    return model


def load_prepared(run: RunDirectory, checkpoint: str = "last") -> Prepared:
    """Return a run's config, data and model, with the weights of a checkpoint."""
    config = run.load_config()
    found = run.load(checkpoint)
    prepared = prepare(config, run.dataset_state())
    prepared.model.set_weights(found.model, f"the checkpoint {found.path}")
    return prepared


def evaluate(
    run: str | Path, split: str | None = None, checkpoint: str = "last"
) -> dict[str, float]:
    """Measure a run's model on a part of its data: loss and metrics, by name.

    ``split`` is ``train``, ``validation`` or ``test``; by default the test part, or the validation
    part where there is none.
    """
    prepared = load_prepared(RunDirectory.open(run), checkpoint)
    return measure_part(prepared, split or prepared.usual_split)


def measure_part(prepared: Prepared, split: str) -> dict[str, float]:
    """Measure a prepared model on ``train``, ``validation`` or ``test``."""
    with use_backend(prepared.backend), _in_file(prepared.config):
        steps = measuring_steps(prepared.model)
        return measure(steps, prepared.part(split), evaluation_batch_size(prepared.config))


def batch_spec(sample: Spec, size: int) -> Spec:
    """Return the spec of a batch of ``size`` samples."""
    return sample.with_shape((size, *sample.shape))


def _spec_to_dict(spec: Spec) -> dict[str, Any]:
    return {"shape": list(spec.shape), "dtype": spec.dtype}


def with_arrays(
    config: str | Path | Config | dict[str, Any],
    data: Any,
    validation: Any = None,
    test: Any = None,
) -> Config:
    """Return a config whose dataset holds the arrays that were given, if any were."""
    if data is None:
        if validation is not None or test is not None:
            raise ConfigError("validation and test need data, the arrays to train on")
        return _as_config(config)
    config = _as_config(config, "arrays")
    dataset = config.data.dataset
    if not isinstance(dataset, Arrays):
        raise ConfigError(
            f"[data] names the dataset '{dataset.type_name}', but arrays were given; leave it out, "
            "or set dataset = 'arrays'"
        )
    held = dataset.holding(data, validation, test)
    return replace(config, data=replace(config.data, dataset=held))


def _as_config(config: str | Path | Config | dict[str, Any], dataset: str | None = None) -> Config:
    from minidl.config import Config, config_from_dict, load_config

    if isinstance(config, str | Path):
        return load_config(config, dataset=dataset)
    if isinstance(config, dict):
        return config_from_dict(config, dataset=dataset)
    if not isinstance(config, Config):
        raise ConfigError(
            f"a config is the path of a TOML file, a dict or a Config, not {type(config).__name__}"
        )
    return config


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
