"""The run directory: config, metrics and checkpoints of one run, on disk.

config.toml   config.resolved.toml   run.json   metrics.jsonl   dataset.json
checkpoints/step-00000500/{model,optimizer}.safetensors, state.json
checkpoints/last.json, best.json
plugins/
"""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.config import copy_plugins
from minidl.errors import CheckpointError
from minidl.training import tensors

if TYPE_CHECKING:
    from minidl.config import Config


@dataclass(frozen=True)
class Checkpoint:
    """What is read back from ``checkpoints/step-…``."""

    path: Path
    model: dict[str, np.ndarray]
    optimizer: dict[str, np.ndarray]
    state: dict[str, Any]


class RunDirectory:
    """A run on disk. :meth:`create` makes one, :meth:`open` reads one.

    Attributes
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.metrics = path / "metrics.jsonl"

    @classmethod
    def create(cls, path: str | Path | None, config: Config) -> RunDirectory:
        """Make the directory: ``path``, or ``runs/<name>/<time>`` if it is None.

        Raises
        ------
        CheckpointError
            If it cannot be written or is not empty.
        """
        chosen = Path("runs") / config.name if path is None else Path(path)
        try:
            if path is None:
                chosen = _make_new(chosen)
            chosen.mkdir(parents=True, exist_ok=True)
            if any(chosen.iterdir()):
                raise CheckpointError(
                    f"run directory {chosen} is not empty; name another with -o, "
                    f"or go on with it: minidl resume {chosen}"
                )
            (chosen / "checkpoints").mkdir()
        except OSError as error:
            raise CheckpointError(
                f"cannot write run directory {chosen}: {error.strerror}; name another with -o"
            ) from None
        run = cls(chosen)
        tensors.write_bytes(chosen / "config.toml", config.source_text.encode())
        run.write_config(config, copy_plugins(config, chosen / "plugins"))
        return run

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """Open an existing run.

        Raises
        ------
        CheckpointError
            If ``path`` is not a run directory.
        """
        run = cls(Path(path))
        if not (run.path / "config.resolved.toml").is_file():
            raise CheckpointError(
                f"{path} is not a run directory: it has no config.resolved.toml; "
                f"give the directory that 'minidl train' printed"
            )
        return run

    def write_config(self, config: Config, plugins: Sequence[str] | None = None) -> None:
        """Write the resolved config, its plugin files being those copied into the run."""
        names = [Path(path).name for path in config.plugins] if plugins is None else plugins
        text = config.to_toml(plugins=[f"plugins/{name}" for name in names])
        tensors.write_bytes(self.path / "config.resolved.toml", text.encode())

    def load_config(self) -> Config:
        """Return the resolved config of the run, its local plugins read from the copies."""
        from minidl.config import load_config

        return load_config(self.path / "config.resolved.toml")

    # -- run.json and dataset.json -----------------------------------------------------------

    def write_info(self, **changes: Any) -> None:
        """Update run.json."""
        self._write_json("run.json", {**self.info(), **changes})

    def info(self) -> dict[str, Any]:
        """Return run.json: versions, device, status, results."""
        return self._read_json("run.json", {})

    def write_dataset(self, state: Mapping[str, Any]) -> None:
        """Keep what the dataset fitted on the training part."""
        self._write_json("dataset.json", dict(state))

    def dataset_state(self) -> dict[str, Any] | None:
        """Return what the dataset fitted on the training part, if it was kept."""
        return self._read_json("dataset.json", None)

    # -- metrics.jsonl -----------------------------------------------------------------------

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Add a line to metrics.jsonl."""
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise CheckpointError(f"cannot write {self.metrics}: {error.strerror}") from None

    def read_metrics(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of metrics.jsonl."""
        if self.metrics.is_file():
            with self.metrics.open(encoding="utf-8") as file:
                for text in file:
                    if text.endswith("\n"):
                        yield json.loads(text)

    def truncate_metrics(self, step: int) -> None:
        """Drop what a run that is resumed at ``step`` writes again: later lines, the test part."""
        kept = [m for m in self.read_metrics() if m["step"] <= step and m["split"] != "test"]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        tensors.write_bytes(self.metrics, text.encode())

    # -- checkpoints -------------------------------------------------------------------------

    def save(
        self,
        step: int,
        model: Mapping[str, np.ndarray],
        optimizer: Mapping[str, np.ndarray],
        state: Mapping[str, Any],
    ) -> Path:
        """Write a checkpoint, whole or not at all, and make it the last one."""
        name = f"step-{step:08d}"
        final, partial = self.checkpoints / name, self.checkpoints / f".{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
        except OSError as error:
            raise CheckpointError(f"cannot write {partial}: {error.strerror}") from None
        digests = {
            "model": tensors.write(partial / "model.safetensors", model),
            "optimizer": tensors.write(partial / "optimizer.safetensors", optimizer),
        }
        text = json.dumps({**state, "sha256": digests}, indent=1)
        tensors.write_bytes(partial / "state.json", text.encode())
        shutil.rmtree(final, ignore_errors=True)
        partial.replace(final)
        self.point("last", step)
        return final

    def point(self, which: str, step: int, **extra: Any) -> None:
        """Make the checkpoint of ``step`` the ``last`` or the ``best`` one."""
        name = {"checkpoint": f"step-{step:08d}", "step": step, **extra}
        tensors.write_bytes(self.checkpoints / f"{which}.json", json.dumps(name).encode())

    def pointed(self, which: str) -> dict[str, Any] | None:
        """Return what ``last.json`` or ``best.json`` says, if there is one."""
        return self._read_json(f"checkpoints/{which}.json", None, "checkpoint")

    def prune(self, keep: int) -> None:
        """Remove all checkpoints but the newest ``keep``, the last and the best."""
        pointed = [self.pointed(which) for which in ("last", "best")]
        kept = {entry["checkpoint"] for entry in pointed if entry is not None}
        found = sorted(self.checkpoints.glob("step-*"))
        kept |= {path.name for path in found[-keep:]}
        for path in found:
            if path.name not in kept:
                shutil.rmtree(path)

    def load(self, which: str = "last") -> Checkpoint:
        """Read a checkpoint: ``last``, ``best``, or the number of a step.

        Raises
        ------
        CheckpointError
            If there is none, or a file of it is damaged.
        """
        path = self._locate(which)
        state = self._read_json(f"checkpoints/{path.name}/state.json", None, "sha256")
        if state is None:
            raise CheckpointError(f"checkpoint {path} has no state.json; use another checkpoint")
        digests = state["sha256"]
        return Checkpoint(
            path,
            tensors.read(path / "model.safetensors", digests.get("model")),
            tensors.read(path / "optimizer.safetensors", digests.get("optimizer")),
            state,
        )

    def _locate(self, which: str) -> Path:
        if which.isdigit():
            path = self.checkpoints / f"step-{int(which):08d}"
        else:
            pointed = self.pointed(which)
            if pointed is None:
                raise CheckpointError(f"run {self.path} has no '{which}' checkpoint{self._have()}")
            path = self.checkpoints / pointed["checkpoint"]
        if not path.is_dir():
            raise CheckpointError(f"run {self.path} has no checkpoint {path.name}{self._have()}")
        return path

    def _have(self) -> str:
        found = [path.name for path in sorted(self.checkpoints.glob("step-*"))]
        return f" (it has: {', '.join(found)})" if found else " (it has none)"

    def _write_json(self, name: str, value: Any) -> None:
        tensors.write_bytes(self.path / name, json.dumps(value, indent=1).encode())

    def _read_json(self, name: str, default: Any, *needed: str) -> Any:
        """Return what a file holds; raise CheckpointError unless it has the keys ``needed``."""
        path = self.path / name
        if not path.is_file():
            return default
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CheckpointError(f"{path} is damaged: {error}") from None
        missing = [key for key in needed if not isinstance(found, dict) or key not in found]
        if missing:
            raise CheckpointError(f"{path} is damaged: it has no '{missing[0]}'")
        return found


def _make_new(folder: Path) -> Path:
    """Make ``<folder>/<time>``, numbered where another run began in the same second."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for count in itertools.count():
        path = folder / (f"{stamp}-{count}" if count else stamp)
        with contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            return path
    raise AssertionError
