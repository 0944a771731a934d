"""The loop: batches through the training step, measuring, and leaving checkpoints."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.backends import use_backend
from minidl.component import make, to_config
from minidl.data import Part, batches
from minidl.data.batches import batch_count
from minidl.errors import (
    CheckpointError,
    ConfigError,
    DivergedError,
    MinidlError,
    ShapeError,
    placed,
    suggestion,
)
from minidl.metrics import Metric
from minidl.schedules import Schedule
from minidl.training.best import Best, directions
from minidl.training.diagnosis import explain_divergence
from minidl.training.loss_scale import LossScale
from minidl.training.measuring import evaluation_batch_size, measure, metrics_of
from minidl.training.meter import Meter
from minidl.training.model import Model
from minidl.training.reporter import Progress, Reporter
from minidl.training.run import Checkpoint, RunDirectory
from minidl.training.state import RunState
from minidl.training.step import Forward, Steps
from minidl.training.update import Update

if TYPE_CHECKING:
    from minidl.config import Config

Batch = tuple[np.ndarray, np.ndarray]


class Interrupted(MinidlError):
    """A signal stopped the run; its state is in a checkpoint."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class Trainer:
    """Trains a model.

    Parameters
    ----------
    config : Config
    model : Model
    train : Part
    validation, test : Part, optional
        Measured after every epoch, and once at the end.
    run : RunDirectory, optional
        Without one nothing is written.
    reporter : Reporter, optional
        Told what happens.
    """

    def __init__(
        self,
        config: Config,
        model: Model,
        train: Part,
        validation: Part | None = None,
        test: Part | None = None,
        run: RunDirectory | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        self.config = config
        self.model = model
        self.parts = {"train": train, "validation": validation, "test": test}
        self.run_directory = run
        self.reporter = reporter or Reporter()
        self.metrics = metrics_of(config)
        with placed("optimizer"):
            self.update = Update(
                config.optimizer,
                model.parameters,
                clip_norm=config.training.clip_norm,
                clip_value=config.training.clip_value,
                accumulate=config.training.accumulate,
                averaged=config.loss.averaged,
                ema=config.training.ema,
                loss_scale=LossScale() if config.training.precision == "mixed_float16" else None,
            )
        self.steps = Steps(
            model,
            config.loss,
            self.metrics,
            self.update,
            config.seed,
            config.data.reconstruct,
            config.training.low_precision,
        )
        self.state = RunState(model, self.update)
        self.schedule = None if config.schedule is None else fresh(config.schedule)
        self.step = 0
        self.epoch = 0
        self.batch = 0
        self._unmeasured = False
        with placed("training.best_metric"):
            self.best = Best(config.training, self.metrics)
        self.history: list[dict[str, Any]] = []
        self._meter = Meter(self.metrics)
        self._window = Meter(self.metrics)
        self._signal: int | None = None
        size, drop_last = config.data.batch_size, config.data.drop_last
        self.batches_per_epoch = batch_count(len(train), size, drop_last)
        self._steps_per_epoch = math.ceil(self.batches_per_epoch / self.update.accumulate)
        whole = config.training.epochs * self._steps_per_epoch
        with placed("data.batch_size"):
            self._try_last_batch(train)
        with placed("schedule" if config.training.patience is None else "training.patience"):
            _check_followed(config, self.metrics, validation is not None)
        self.total_steps = min(whole, config.training.max_steps or whole)

    def _try_last_batch(self, train: Part) -> None:
        """Trace a training step of the smaller last batch, if there is one.

        Raises
        ------
        ShapeError
            If a layer cannot train on so few samples.
        """
        size = self.config.data.batch_size
        rest = len(train) % size
        if not rest or self.config.data.drop_last:
            return
        inputs, targets = train.input_spec, train.target_spec
        inputs = inputs.with_shape((rest, *inputs.shape))
        targets = targets.with_shape((rest, *targets.shape))
        try:
            with use_backend(self.model.backend):
                Forward(self.steps, inputs, targets)
        except ShapeError as error:
            raise ShapeError(
                f"the last batch of an epoch has {rest} of {size} samples ({len(train)} in all): "
                f"{error}; set [data] drop_last = true, or another batch_size"
            ) from None

    # -- running -----------------------------------------------------------------------------

    def train(self) -> dict[str, dict[str, float]]:
        """Train from where it stands to the end.

        Returns
        -------
        dict
            Results of the last measurement of each part, by part and metric.

        Raises
        ------
        DivergedError
            If the loss becomes NaN or infinite; the state before that step is in a checkpoint.
        Interrupted
            If :meth:`interrupt` was called; the state is in a checkpoint.
        """
        trained = sum(spec.size for spec in self.update.trained.values())
        self.reporter.started(self._progress(), trained, self.model.parameter_count - trained)
        results: dict[str, dict[str, float]] = {}
        try:
            while self._unmeasured or (
                self.step < self.total_steps and not self.best.out_of_patience
            ):
                if not self._epoch_done():
                    self._train_epoch()
                results["train"] = self._meter.result()
                self._end_of_epoch(results)
            if self.parts["test"] is not None:
                results["test"] = self._measure("test")
                self._record("test", results["test"])
            self.state.adopt_averages()
            return results
        finally:
            self.reporter.finished(self._progress())

    def interrupt(self, signal_number: int) -> None:
        """Ask the loop to stop after the step it is in."""
        self._signal = signal_number

    def _train_epoch(self) -> None:
        config, train = self.config, self.parts["train"]
        assert train is not None
        began, seen = time.perf_counter(), 0
        every = config.training.log_every
        with closing(self._epoch_batches(train)) as epoch:
            for group in _grouped(epoch, self.update.accumulate):
                loss = self._train_step(group)
                seen += sum(len(inputs) for inputs, _ in group)
                speed = seen / (time.perf_counter() - began)
                self.reporter.stepped(self._progress(speed), loss)
                if self.step % every == 0 or self._epoch_done():
                    rate = self._rates(self.step - 1)[0]
                    self._record("train", self._window.result(), lr=rate, **self._scaling())
                    self._window.reset()
                self._heed_signal()
                if self._epoch_done():
                    return
                if self._checkpoint_due():
                    self.save()

    def _epoch_batches(self, train: Part) -> Generator[Batch, None, None]:
        config = self.config
        return batches(
            train,
            config.data.batch_size,
            seed=config.seed,
            epoch=self.epoch,
            shuffle=config.data.shuffle,
            drop_last=config.data.drop_last,
            start=self.batch,
            sampler=config.data.sampler,
            transforms=config.data.transforms,
            prefetch=config.data.prefetch,
        )

    def _train_step(self, group: Sequence[Batch]) -> float:
        """Make one update from one or more batches; returns the loss of the last."""
        rates, first = self._rates(self.step), self.step * self.update.accumulate + 1
        before = self.state.buffers() if len(group) > 1 else {}
        seen = []
        for draw, (inputs, targets) in enumerate(group, first):
            last = draw == first + len(group) - 1
            measured = self.steps.train(inputs, targets, rates, self.step + 1, draw=draw, last=last)
            if not math.isfinite(measured.loss):
                self._diverged(measured.loss, inputs, targets, draw, before)
            seen.append(measured)
        for measured in seen:
            self._meter.add(measured)
            self._window.add(measured)
        self.step += 1
        self.batch += len(group)
        self._unmeasured = True
        return seen[-1].loss

    def _end_of_epoch(self, results: dict[str, dict[str, float]]) -> None:
        is_best = False
        if self.parts["validation"] is not None:
            results["validation"] = self._measure("validation")
            self._record("validation", results["validation"])
            if self.schedule is not None:
                self.schedule.measured(results["validation"], directions(self.metrics))
            is_best = self.best.judge(results["validation"], self.step, self._progress().epoch)
        self._unmeasured = False
        self.reporter.epoch_ended(self._progress(), results)
        if self.batch >= self.batches_per_epoch:
            self.epoch += 1
            self.batch = 0
            self._meter.reset()
        self.save(is_best=is_best)

    def _measure(self, split: str) -> dict[str, float]:
        part = self.parts[split]
        assert part is not None
        size = evaluation_batch_size(self.config)

        def each(done: int, total: int) -> None:
            self._heed_signal()
            self.reporter.measuring(self._progress(), split, done, total)

        results = measure(self.steps, part, size, self.state.measured(), each)
        self.reporter.measured(self._progress(), split, results)
        return results

    def _rates(self, step: int) -> list[float]:
        """Return the learning rate of each optimiser of the update."""
        factor = 1.0 if self.schedule is None else self.schedule(step, self.total_steps)
        return [optimizer.lr * factor for optimizer in self.update.optimizers]

    def _scaling(self) -> dict[str, float]:
        """Return what the log says of loss scaling, if there is any."""
        scale = self.update.loss_scale
        if scale is None:
            return {}
        return scale.report(self.state.scalars(scale.slots()))

    def _epoch_done(self) -> bool:
        return self.batch >= self.batches_per_epoch or self.step >= self.total_steps

    def _checkpoint_due(self) -> bool:
        every = self.config.training.checkpoint_every
        return every is not None and self.step % every == 0

    def _progress(self, speed: float = 0.0) -> Progress:
        epochs = math.ceil(self.total_steps / self._steps_per_epoch)
        epoch = self.epoch if self.epoch and not self.batch else self.epoch + 1
        return Progress(self.step, self.total_steps, epoch, epochs, speed)

    def _record(self, split: str, results: dict[str, float], **extra: float) -> None:
        line = {"step": self.step, "epoch": self._progress().epoch, "split": split}
        line |= {**results, **extra}
        self.history.append(line)
        if self.run_directory is not None:
            self.run_directory.append_metrics(line)

    # -- stopping early ----------------------------------------------------------------------

    def _heed_signal(self) -> None:
        """Save and raise Interrupted if :meth:`interrupt` was called."""
        if self._signal is None:
            return
        path = self.save()
        where = ""
        if path is not None and self.run_directory is not None:
            where = f"; go on with: minidl resume {self.run_directory.path}"
        number = self._signal
        raise Interrupted(number, f"stopped by signal {number} after step {self.step}{where}")

    def _diverged(
        self,
        loss: float,
        inputs: np.ndarray,
        targets: np.ndarray,
        draw: int,
        before: Mapping[str, Any],
    ) -> None:
        """Go back to the state before the step, save it if it is sound, and say what happened."""
        self.state.go_back({})
        epoch = self._progress().epoch
        error = explain_divergence(self.steps, inputs, targets, loss, self.step + 1, epoch, draw)
        self.model.state.values.update(before)
        saved = "state before that step"
        try:
            self.save()
        except DivergedError:
            saved = "last good state"
        if self.run_directory is not None:
            error.add_note(f"the {saved} is in {self.run_directory.checkpoints}")
        raise error

    # -- checkpoints -------------------------------------------------------------------------

    def save(self, *, is_best: bool = False) -> Any:
        """Write a checkpoint, if there is a run directory; returns its path.

        Raises
        ------
        DivergedError
            If a weight is not finite; the checkpoints that are there stay as they are.
        """
        run = self.run_directory
        if run is None:
            return None
        path = run.save(self.step, *self.state.to_arrays(self.step), self._position())
        if is_best:
            assert self.best.entry is not None
            run.point("best", **self.best.entry)
        run.prune(self.config.training.keep)
        self.reporter.saved(str(path))
        return path

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a checkpoint: weights, optimiser, place in the data, running averages.

        Raises
        ------
        CheckpointError
            If it is of another architecture or optimiser; nothing is changed then.
        """
        where = str(checkpoint.path)
        state = checkpoint.state
        missing = [key for key in self._position() if key not in state]
        if missing:
            raise CheckpointError(f"{where}/state.json is damaged: it has no '{missing[0]}'")
        if state["batches_per_epoch"] != self.batches_per_epoch:
            raise CheckpointError(
                f"{where} counts {state['batches_per_epoch']} batches an epoch, this config "
                f"{self.batches_per_epoch}: the data or the batch size is another"
            )
        self.state.restore(checkpoint)
        self.step, self.epoch, self.batch = state["step"], state["epoch"], state["batch"]
        self._unmeasured = state["unmeasured"]
        self.best.restore(state["best"])
        self._meter.restore(state["meter"])
        self._window.restore(state["window"])
        if self.schedule is not None:
            self.schedule.restore(state["schedule"])

    def _position(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "epoch": self.epoch,
            "batch": self.batch,
            "unmeasured": self._unmeasured,
            "batches_per_epoch": self.batches_per_epoch,
            "best": self.best.to_dict(),
            "meter": self._meter.to_dict(),
            "window": self._window.to_dict(),
            "schedule": {} if self.schedule is None else self.schedule.state(),
        }


def fresh(schedule: Schedule) -> Schedule:
    """Return a schedule of the same fields that has learnt nothing from another run."""
    return make("schedule", to_config(schedule))


def _check_followed(config: Config, metrics: Sequence[Metric], has_validation: bool) -> None:
    """Raise ConfigError unless there is what patience and the schedule follow."""
    follows = None if config.schedule is None else config.schedule.follows
    label = "" if config.schedule is None else f"schedule '{config.schedule.type_name}'"
    needing = ["[training] patience"] if config.training.patience is not None else []
    needing += [label] if follows is not None else []
    if needing and not has_validation:
        verb = "needs" if len(needing) == 1 else "need"
        raise ConfigError(
            f"{' and '.join(needing)} {verb} a validation part; set [data] validation = 0.1"
        )
    known = directions(metrics)
    if follows is not None and follows not in known:
        raise ConfigError(
            f"{label}: metric '{follows}' is not measured{suggestion(follows, known)} "
            f"(measured are: {', '.join(known)})"
        )


def _grouped(epoch: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Yield ``size`` batches at a time; the last time what is left."""
    iterator = iter(epoch)
    while group := list(itertools.islice(iterator, size)):
        yield group
